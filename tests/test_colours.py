"""Photos and films come out in the colours their files mean: flat patches say so."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from animate.data.folders import as_stored
from animate.media import clips, colours
from animate.media.photo_colours import srgb_profile

PATCHES = np.array(
    [(0, 0, 0), (128, 128, 128), (180, 180, 180), (180, 140, 115), (60, 40, 30), (90, 20, 30),
     (30, 90, 160), (170, 60, 60), (60, 120, 60)], np.uint8
)  # fmt: skip
HEIGHT, SIDE = 64, 32  # of the picture, and of a patch in width
FLAT = PATCHES.repeat(SIDE, 0)[None].repeat(HEIGHT, 0)
P3, BT2020 = colours.PRIMARIES[12], colours.PRIMARIES[9]
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), colours.D65)
PROPHOTO = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), (0.3457, 0.3585))
D50 = (0.9642, 1.0, 0.8249)


def off(picture: np.ndarray, wanted: np.ndarray = PATCHES) -> int:
    """How many grey levels the worst patch is off."""
    seen = picture[picture.shape[0] // 2, SIDE // 2 :: SIDE].astype(int)
    return int(np.abs(seen - wanted).max())


def coded(primaries: Any, gamma: float) -> np.ndarray:
    """The patches in other primaries and another gamma."""
    light = colours.linear(FLAT / 255) @ np.linalg.inv(colours.to_bt709(primaries)).T
    return np.rint(light.clip(0, 1) ** (1 / gamma) * 255).astype(np.uint8)


# ---------------------------------------------------------------- equations


def test_the_equations_meet_the_values_of_the_standards() -> None:
    # BT.2408, table 1: the signals of reference white
    assert colours.pq(np.array([0.58]))[0] == pytest.approx(203, rel=0.01)
    white = colours.hlg(np.full(3, 0.75), colours.xyz_of(BT2020)[1])
    assert white == pytest.approx(np.full(3, 203), rel=0.01)
    assert colours.hlg(np.ones(3), colours.xyz_of(BT2020)[1]) == pytest.approx(1000, rel=1e-4)
    # BT.2407, section 2: from BT.2020 to BT.709
    told = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
    assert np.abs(colours.to_bt709(BT2020) - told).max() < 1e-4
    for primaries in colours.PRIMARIES.values():
        assert colours.to_bt709(primaries).sum(1) == pytest.approx(np.ones(3), abs=2e-3)


@pytest.mark.parametrize("brightest", [100.0, 203.0, 400.0, 1000.0, 4000.0, 10_000.0])
def test_the_tone_curve_rises_keeps_the_dark_and_ends_at_white(brightest: float) -> None:
    light = np.linspace(0, brightest, 2000)[:, None].repeat(3, 1)
    seen = colours.tone_mapped(light, brightest)[:, 0]
    assert (np.diff(seen) >= 0).all()
    assert seen.max() == pytest.approx(min(brightest, colours.WHITE), rel=1e-3)
    dark = light[:, 0] < 25
    assert seen[dark] == pytest.approx(light[dark, 0])
    hue = colours.tone_mapped(np.array([[800.0, 400.0, 200.0]]), 1000)[0]
    assert hue / hue[2] == pytest.approx([4, 2, 1])


# ---------------------------------------------------------------- films


def film(path: Path, frame: np.ndarray, change: str, *codec: str) -> Path:
    """Three equal frames, RGB of BT.709 with reference white at 255, changed and encoded."""
    height, width, _ = frame.shape
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "rawvideo"]
    command += ["-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "25", "-i", "-", "-vf"]
    marked = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=gbr:range=pc,"
    command += [marked + change, *codec, str(path)]
    subprocess.run(command, input=frame.tobytes() * 3, check=True)
    return path


def to(primaries: str, transfer: str, matrix: str, span: str, pixels: str) -> str:
    return f"zscale=t={transfer}:p={primaries}:m={matrix}:r={span}:npl=203:agamma=0,format={pixels}"


def hevc(more: str = "") -> tuple[str, ...]:
    return ("-c:v", "libx265", "-x265-params", f"log-level=error:pools=1:crf=4{more}",
            "-tag:v", "hvc1")  # fmt: skip


H264, VP9 = ("-c:v", "libx264", "-crf", "1"), ("-c:v", "libvpx-vp9", "-crf", "4", "-b:v", "0")
PRORES = ("-c:v", "prores_ks", "-profile:v", "4444")


def shown(path: Path) -> np.ndarray:
    return next(clips.open_clip(path).frames())


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
@pytest.mark.parametrize(
    ("name", "span", "pixels", "codec"),
    [
        ("c.mov", "tv", "yuv420p10le", hevc()),
        ("c.mp4", "pc", "yuv420p10le", hevc()),
        ("c.mkv", "tv", "yuv444p12le", hevc()),
        ("c.webm", "tv", "yuv420p10le", VP9),
        ("alpha.mov", "tv", "yuva444p10le", PRORES),
    ],
)
def test_hdr_is_shown_as_the_sdr_it_was_made_of(
    tmp_path: Path, transfer: str, name: str, span: str, pixels: str, codec: tuple[str, ...]
) -> None:
    path = film(tmp_path / name, FLAT, to("2020", transfer, "2020_ncl", span, pixels), *codec)
    assert off(shown(path)) <= 3
    assert off(next(iter(as_stored(path)))) <= 3


def test_hdr_of_an_odd_width_has_the_same_colours(tmp_path: Path) -> None:
    change = to("2020", "smpte2084", "2020_ncl", "tv", "yuv444p10le")
    path = film(tmp_path / "c.webm", FLAT[:, :-1], change, *VP9, "-pix_fmt", "yuv420p10le")
    assert off(shown(path)) <= 3


def test_what_is_brighter_than_white_keeps_its_steps(tmp_path: Path) -> None:
    ramp = np.linspace(120, 255, 136).astype(np.uint8)[None, :, None].repeat(64, 0).repeat(3, 2)
    change = to("2020", "smpte2084", "2020_ncl", "tv", "yuv420p10le").replace("203", "1000")
    seen = shown(film(tmp_path / "c.mov", ramp, change, *hevc()))[32, :, 1].astype(int)
    assert (np.diff(seen) >= -1).all()
    assert len(set(seen[ramp[32, :, 1] < 200])) > 30  # to more than twice the white of SDR
    assert seen.max() == 255


@pytest.mark.parametrize(
    "light",
    [
        "max-cll=203,100",
        "master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(2030000,1)",
    ],
)
def test_a_film_that_says_how_bright_it_gets_keeps_its_white(tmp_path: Path, light: str) -> None:
    white = np.full((64, 96, 3), 255, np.uint8)
    change = to("2020", "smpte2084", "2020_ncl", "tv", "yuv420p10le")
    assert shown(film(tmp_path / "a.mov", white, change, *hevc(":" + light))).min() >= 250
    assert shown(film(tmp_path / "b.mov", white, change, *hevc())).max() < 240


@pytest.mark.parametrize(
    ("primaries", "transfer", "matrix"),
    [("2020", "2020_10", "2020_ncl"), ("smpte432", "709", "709"),
     ("smpte432", "iec61966-2-1", "709")],
)  # fmt: skip
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le"])
def test_primaries_of_sdr_are_followed(
    tmp_path: Path, primaries: str, transfer: str, matrix: str, pixels: str
) -> None:
    source = "709" if transfer != "iec61966-2-1" else transfer
    change = f"setparams=color_trc={source.replace('709', 'bt709')},"
    change += to(primaries, transfer, matrix, "tv", pixels)
    slack = 4 if pixels.endswith("10le") else 12  # a level of BT.2020 is several of dark BT.709
    assert off(shown(film(tmp_path / "c.mp4", FLAT, change, *H264))) <= slack


def test_hdr_without_a_matrix_has_that_of_bt2020(tmp_path: Path) -> None:
    change = to("2020", "smpte2084", "2020_ncl", "tv", "yuv420p10le")
    change += ",setparams=colorspace=unknown"
    assert off(shown(film(tmp_path / "c.mov", FLAT, change, *hevc()))) <= 3


# ---------------------------------------------------------------- photos


def curve(gamma: float) -> bytes:
    return b"curv" + struct.pack(">IIHH", 0, 1, round(gamma * 256), 0)


def numbers(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in values)


def profile(space: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr") -> bytes:
    """An ICC profile of version 2: ICC.1:2001, section 6."""
    name = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(82)
    tags = {b"wtpt": numbers(*D50), b"cprt": b"text\0\0\0\0none\0\0\0\0", b"desc": name, **tags}
    at, table, body = 132 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    pcs = b"Lab " if space == b"CMYK" else b"XYZ "
    head = struct.pack(">I4xI", at + len(body), 0x02400000) + kind + space + pcs
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + numbers(*D50)[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def of_rgb(primaries: Any, gamma: float, kind: bytes = b"mntr") -> bytes:
    seen = colours.BRADFORD @ colours.xyz_of(primaries).sum(1)
    scale = np.diag(colours.BRADFORD @ np.array(D50) / seen)
    to_d50 = np.linalg.inv(colours.BRADFORD) @ scale @ colours.BRADFORD
    columns = (to_d50 @ colours.xyz_of(primaries)).T
    tags = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), (numbers(*c) for c in columns), strict=True))
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve(gamma))
    return profile(b"RGB ", tags, kind)


def of_print() -> bytes:
    """A press whose cyan ink is grey and whose other inks are paper: CMYK to L*a*b* (lut8)."""
    corners = [(255 - 200 * (i >> 3), 128, 128) for i in range(16)]
    ramp = bytes(range(256))
    matrix = b"".join(struct.pack(">i", v) for v in (65536, 0, 0, 0, 65536, 0, 0, 0, 65536))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + matrix + ramp * 4
    return profile(b"CMYK", {b"A2B0": table + b"".join(map(bytes, corners)) + ramp * 3}, b"prtr")


@pytest.mark.parametrize(
    ("primaries", "gamma"), [(P3, 2.2), (ADOBE, 2.2), (PROPHOTO, 1.8), (BT2020, 2.4)]
)
def test_an_rgb_profile_is_followed(tmp_path: Path, primaries: Any, gamma: float) -> None:
    picture, icc = Image.fromarray(coded(primaries, gamma)), of_rgb(primaries, gamma)
    clear = picture.copy()
    clear.putalpha(255)
    for name, image, options in (
        ("p.png", picture, {}),
        ("p.tif", picture, {}),
        ("p.webp", picture, {"lossless": True}),
        ("p.jpg", picture, {"quality": 100, "subsampling": 0}),
        ("clear.png", clear, {}),
        ("palette.png", picture.quantize(16), {}),
    ):
        image.save(tmp_path / name, icc_profile=icc, **options)
        assert off(clips.read_photo(tmp_path / name)) <= (4 if name == "p.jpg" else 2), name


def test_a_turned_photo_keeps_its_profile(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    picture = Image.fromarray(coded(ADOBE, 2.2)).transpose(Image.Transpose.ROTATE_90)
    picture.save(tmp_path / "p.png", icc_profile=of_rgb(ADOBE, 2.2), exif=tags)
    assert off(clips.read_photo(tmp_path / "p.png")) <= 2


def test_a_grey_profile_is_followed(tmp_path: Path) -> None:
    grey, icc = FLAT[..., 0], profile(b"GRAY", {b"kTRC": curve(1.4)})
    deep = colours.linear(grey / 255) ** (1 / 1.4)
    flat = Image.fromarray(np.rint(deep * 255).astype(np.uint8))
    Image.fromarray(np.rint(deep * 65535).astype(np.uint16)).save(
        tmp_path / "deep.png", icc_profile=icc
    )
    flat.save(tmp_path / "p.png", icc_profile=icc)
    flat.save(tmp_path / "p.jpg", icc_profile=icc, quality=100)
    Image.merge("LA", (flat, Image.new("L", flat.size, 255))).save(
        tmp_path / "clear.png", icc_profile=icc
    )
    for name in ("deep.png", "p.png", "p.jpg", "clear.png"):
        assert off(clips.read_photo(tmp_path / name), PATCHES[:, :1]) <= 2, name


def test_a_profile_of_print_is_followed(tmp_path: Path) -> None:
    inks = np.zeros((32, 64, 4), np.uint8)
    inks[:, 32:, 0] = 255
    inks[16:, :, 2] = 255  # yellow, which this press hasn't got
    Image.fromarray(inks, "CMYK").save(tmp_path / "p.tif", icc_profile=of_print())
    seen = clips.read_photo(tmp_path / "p.tif").astype(int)
    assert seen[:, :32].min() >= 254
    assert np.ptp(seen[:, 32:], (0, 1, 2)) <= 2
    assert seen[:, 32:].max() < 80


def test_lab_is_followed(tmp_path: Path) -> None:
    source, target = (ImageCms.createProfile(name) for name in ("sRGB", "LAB"))
    picture = ImageCms.profileToProfile(
        Image.fromarray(FLAT),
        source,
        target,
        outputMode="LAB",  # type: ignore[arg-type]
    )
    assert picture is not None
    picture.save(tmp_path / "p.tif")
    assert off(clips.read_photo(tmp_path / "p.tif")) <= 6


def test_what_is_in_srgb_stays_bit_for_bit(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for icc in (made, srgb_profile()):
        Image.fromarray(noise).save(tmp_path / "p.png", icc_profile=icc)
        assert (clips.read_photo(tmp_path / "p.png") == noise).all()
    assert srgb_profile() == srgb_profile()


GOOD = of_rgb(P3, 2.2)


@pytest.mark.parametrize(
    "icc",
    [
        b"x",
        GOOD[:200],
        bytes(400),
        GOOD[:128] + b"\xff" * 4 + GOOD[132:],
        of_rgb(P3, 2.2, b"link"),
        of_rgb(P3, 0),  # every colour is white
        profile(b"GRAY", {b"kTRC": curve(1.4)}),  # not for pictures in colour
        of_print(),
    ],
)
def test_a_profile_that_cannot_be_used_is_left_out(tmp_path: Path, icc: bytes) -> None:
    Image.fromarray(FLAT).save(tmp_path / "p.png", icc_profile=icc)
    assert (clips.read_photo(tmp_path / "p.png") == FLAT).all()


def chromaticities(primaries: Any) -> bytes:
    red, green, blue, white = primaries
    points = [*white, *red, *green, *blue]
    return struct.pack(">8I", *(round(v * 100_000) for v in points))


def gamma(value: float) -> bytes:
    return struct.pack(">I", round(value * 100_000))


def pq_patches() -> np.ndarray:
    light = colours.linear(FLAT / 255) @ np.linalg.inv(colours.to_bt709(BT2020)).T
    return np.rint(colours.pq_inverse(light.clip(0) * 203) * 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("picture", "chunks", "slack"),
    [
        (lambda: FLAT, {"gAMA": gamma(0.45455)}, 0),
        (lambda: FLAT, {"gAMA": gamma(0.45455), "cHRM": chromaticities(colours.PRIMARIES[1])}, 0),
        (lambda: FLAT, {"gAMA": gamma(1), "sRGB": b"\0"}, 0),  # sRGB goes first
        (lambda: FLAT, {"gAMA": gamma(0)}, 0),  # nonsense
        (lambda: FLAT, {"gAMA": gamma(0.45455), "cHRM": bytes(32)}, 0),
        (lambda: FLAT, {"gAMA": gamma(0.45455), "cHRM": gamma(0.3) * 8}, 0),
        (lambda: FLAT, {"cICP": bytes([1, 13, 0, 1])}, 0),
        (lambda: coded(colours.PRIMARIES[1], 1), {"gAMA": gamma(1)}, 8),  # 8 bits of light
        (lambda: coded(ADOBE, 2.2), {"gAMA": gamma(1 / 2.2), "cHRM": chromaticities(ADOBE)}, 2),
        (pq_patches, {"cICP": bytes([9, 16, 0, 1]), "gAMA": gamma(1)}, 4),
    ],
)
def test_chunks_of_png_are_followed(
    tmp_path: Path, picture: Callable[[], np.ndarray], chunks: dict[str, bytes], slack: int
) -> None:
    info = PngInfo()
    for name, data in chunks.items():
        info.add(name.encode(), data)
    Image.fromarray(picture()).save(tmp_path / "p.png", pnginfo=info)
    assert off(clips.read_photo(tmp_path / "p.png")) <= slack


def test_an_animated_png_has_its_colours_followed(tmp_path: Path) -> None:
    info, path = PngInfo(), tmp_path / "c.png"
    info.add(b"cICP", bytes([9, 16, 0, 1]))
    first = Image.fromarray(pq_patches())
    second = Image.fromarray(pq_patches()[::-1].copy() // 2)
    first.save(path, save_all=True, append_images=[second], pnginfo=info)
    assert off(shown(path)) <= 4


def test_a_folder_of_frames_and_training_photos_have_their_profiles_followed(
    tmp_path: Path,
) -> None:
    for i in range(2):
        Image.fromarray(coded(P3, 2.2)).save(tmp_path / f"{i}.png", icc_profile=GOOD)
    for frame in clips.open_clip(tmp_path).frames():
        assert off(frame) <= 2
    assert off(next(iter(as_stored(tmp_path / "0.png")))) <= 2
