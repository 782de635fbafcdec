"""The colours that AVIF and HEIC name by number are those of their primary picture, as in a PNG."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from test_colours import FLAT, GOOD, P3, coded, film, off, pq_patches, to

from animate.media import clips, colours
from animate.media.coding_points import coded_in, premultiplied


def avif(path: Path, picture: np.ndarray, primaries: int, transfer: int, **more: Any) -> Path:
    """A picture whose `colr` box of type nclx names its primaries and transfer."""
    Image.fromarray(picture).save(path, quality=100, subsampling="4:4:4", **more)
    data = path.read_bytes()
    at = data.index(b"colrnclx") + 8
    path.write_bytes(data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :])
    return path


@pytest.mark.parametrize(
    ("primaries", "transfer", "span", "most"),
    [
        ("2020", "smpte2084", "pc", 3),
        ("2020", "arib-std-b67", "pc", 3),
        ("smpte432", "iec61966-2-1", "pc", 1),
        ("smpte432", "iec61966-2-1", "tv", 1),
    ],
)
@pytest.mark.parametrize("width", [FLAT.shape[1], FLAT.shape[1] - 1])
def test_an_avif_is_converted_with_all_its_bits(
    tmp_path: Path, primaries: str, transfer: str, span: str, most: int, width: int
) -> None:
    """Of 8 bits, as Pillow reads them, patches are tinted by up to 5 levels."""
    change = "setparams=color_trc=iec61966-2-1,trim=end_frame=1,"
    change += to(primaries, transfer, "2020_ncl", span, "yuv444p10le")
    codec = ("-c:v", "libaom-av1", "-still-picture", "1", "-crf", "4", "-cpu-used", "8",
             "-pix_fmt", "yuv420p10le")  # fmt: skip
    path = film(tmp_path / "p.avif", FLAT[:, :width], change, *codec)
    assert off(clips.read_photo(path)) <= most


@pytest.mark.parametrize("pixels", ["yuv444p", "yuv420p10le"])
def test_an_avif_of_limited_range_keeps_its_blue(tmp_path: Path, pixels: str) -> None:
    """Pillow's decoder makes it up to 11 levels darker."""
    blue = np.full((64, 64, 3), (30, 17, 214), np.uint8)
    change = f"trim=end_frame=1,scale=out_color_matrix=bt709:out_range=tv,format={pixels}"
    codec = ("-c:v", "libaom-av1", "-still-picture", "1", "-crf", "1", "-cpu-used", "8")
    seen = clips.read_photo(film(tmp_path / "p.avif", blue, change, *codec))
    assert np.abs(seen.astype(int) - blue).max() <= 2


TURNED = Image.Exif()
TURNED[274] = 6  # Orientation


@pytest.mark.parametrize("more", [{}, {"icc_profile": GOOD}, {"exif": TURNED.tobytes()}])
def test_an_avif_of_limited_range_shows_what_one_of_full_range_does(
    tmp_path: Path, more: dict[str, bytes]
) -> None:
    picture = np.dstack([FLAT, np.full(FLAT.shape[:2], 255, np.uint8)])
    picture[:20, ..., 3] = 0
    for span in ("limited", "full"):
        path = tmp_path / f"{span}.avif"
        how = {"quality": 100, "subsampling": "4:4:4", "range": span}
        Image.fromarray(picture).save(path, **how, **more)
    limited, full = (clips.read_photo(tmp_path / f"{s}.avif") for s in ("limited", "full"))
    assert np.abs(limited.astype(int) - full).max() <= 7


def p3_patches() -> np.ndarray:
    light = colours.linear(FLAT / 255) @ np.linalg.inv(colours.to_bt709(P3)).T
    return np.rint(colours.srgb(light.clip(0)) * 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("picture", "primaries", "transfer"),
    [
        (lambda: FLAT, 1, 13),
        (lambda: FLAT, 2, 2),
        (lambda: FLAT, 99, 99),
        (p3_patches, 12, 13),
        (pq_patches, 9, 16),
    ],
)
def test_the_colours_that_an_avif_names_are_those_of_a_png(
    tmp_path: Path, picture: Callable[[], np.ndarray], primaries: int, transfer: int
) -> None:
    path = avif(tmp_path / "p.avif", picture(), primaries, transfer)
    info = PngInfo()
    info.add(b"cICP", bytes([primaries, transfer, 0, 1]))
    with Image.open(path) as coded_picture:
        coded_picture.save(tmp_path / "p.png", pnginfo=info)
    assert (clips.read_photo(path) == clips.read_photo(tmp_path / "p.png")).all()
    assert off(clips.read_photo(path)) <= 16  # rounded to YCbCr's 8 bits before


def test_a_profile_goes_before_the_colours_that_an_avif_names(tmp_path: Path) -> None:
    path = avif(tmp_path / "p.avif", coded(P3, 2.2), 9, 16, icc_profile=GOOD)
    assert off(clips.read_photo(path)) <= 4


def box(kind: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">I", 8 + len(data)) + kind + data


def heic(wide: bool, *properties: bytes, of_primary: list[int]) -> bytes:
    """A file of two pictures; the second is the primary one, the first has property 1 alone."""
    item = (lambda n: struct.pack(">I", n)) if wide else (lambda n: struct.pack(">H", n))
    index = (lambda n: struct.pack(">H", n | 0x8000)) if wide else (lambda n: bytes([n | 0x80]))
    head = bytes([wide, 0, 0, wide])
    rows = [item(1) + b"\x01" + index(1)]
    rows += [item(2) + bytes([len(of_primary)]) + b"".join(index(n) for n in of_primary)]
    names = head + struct.pack(">I", 2) + b"".join(rows)
    inside = [
        box(b"pitm", bytes([wide, 0, 0, 0]) + item(2)),
        box(b"iprp", box(b"ipco", *properties), box(b"ipma", names)),
    ]
    start = box(b"ftyp", b"heic\0\0\0\0mif1heic") + box(b"free", bytes(40))
    return start + box(b"meta", bytes(4), *inside)


@pytest.mark.parametrize("kind", [b"prem", b"auxl"])
def test_colours_multiplied_by_alpha_are_known(tmp_path: Path, kind: bytes) -> None:
    told = box(b"iref", bytes(4), box(kind, struct.pack(">HHH", 1, 1, 2)))
    (tmp_path / "p.avif").write_bytes(box(b"ftyp", b"avif") + box(b"meta", bytes(4), told))
    assert premultiplied(tmp_path / "p.avif") == (kind == b"prem")


def nclx(primaries: int, transfer: int) -> bytes:
    return box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, 1, 128))


ICC = box(b"colr", b"prof", bytes(9))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(
    ("properties", "of_primary", "wanted"),
    [
        ([nclx(9, 16), nclx(12, 13)], [2], (12, 13)),
        ([nclx(9, 16), box(b"ispe", bytes(12))], [2], None),
        ([nclx(9, 16), nclx(12, 13), ICC], [2, 3], None),
        ([nclx(9, 16), box(b"colr", b"nclx")], [2], None),
        ([nclx(9, 16)], [0, 99], None),
    ],
)
def test_colours_are_those_of_the_primary_picture(
    tmp_path: Path,
    wide: bool,
    properties: list[bytes],
    of_primary: list[int],
    wanted: tuple[int, int] | None,
) -> None:
    data = heic(wide, *properties, of_primary=of_primary)
    (tmp_path / "p.heic").write_bytes(data)
    assert coded_in(tmp_path / "p.heic") == wanted
    for end in range(24, len(data)):  # cut off, it says less and nothing breaks
        (tmp_path / "p.heic").write_bytes(data[:end])
        assert coded_in(tmp_path / "p.heic") in (None, wanted, (12, 13))
