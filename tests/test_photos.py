"""Photos are read upright, in sRGB and over white; what is no photo gets one line."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animate.errors import AnimateError
from animate.media import clips

# ---------------------------------------------------------------- photos


def test_a_photo_is_turned_upright(tmp_path: Path) -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:20, :20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the top is at the right
    Image.fromarray(picture).save(tmp_path / "p.jpg", exif=exif, quality=95)
    read = clips.read_photo(tmp_path / "p.jpg")
    assert read.shape == (60, 40, 3)
    assert read[:16, -16:].min() > 240
    assert read[30:].max() < 15


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    picture = np.full((32, 32, 4), 100, np.uint8)
    picture[:16, :, 3], picture[16:, :, 3] = 0, 255
    for name in ("p.png", "p.webp"):
        Image.fromarray(picture).save(
            tmp_path / name, **({"lossless": True} if "webp" in name else {})
        )
        read = clips.read_photo(tmp_path / name)
        assert (read[:16] == 255).all()
        assert (read[16:] == 100).all()
    palette = Image.fromarray(picture[..., :3]).quantize(2)
    palette.save(tmp_path / "palette.png", transparency=int(np.asarray(palette)[0, 0]))
    assert (clips.read_photo(tmp_path / "palette.png") == 255).all()


def test_sixteen_bits_grey_palette_and_print_colours(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)[None].repeat(32, 0)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    deep = clips.read_photo(tmp_path / "deep.png")
    assert np.abs(deep[..., 0].astype(float) - ramp / 257).max() <= 0.51
    colour = Image.new("RGB", (32, 24), (200, 60, 20))
    for mode, name in (("P", "p.png"), ("CMYK", "p.jpg"), ("RGB", "p.bmp"), ("RGB", "p.webp")):
        (colour.quantize() if mode == "P" else colour.convert(mode)).save(tmp_path / name)
        assert clips.read_photo(tmp_path / name).shape == (24, 32, 3)
        assert np.abs(clips.read_photo(tmp_path / name) - np.array([200, 60, 20])).max() < 12
    colour.convert("1").save(tmp_path / "bits.png")
    assert clips.read_photo(tmp_path / "bits.png").flags.c_contiguous


def png_header(width: int, height: int) -> bytes:
    """A PNG that only claims a size."""

    def part(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + part(b"IDAT", zlib.compress(b"\0" * 64)) + part(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.jpg", b"", "is empty"),
        ("text.png", b"this is no picture at all\n" * 20, "no photo"),
        ("huge.png", png_header(20_000, 20_000), "too large"),
        ("long.png", png_header(13_000, 100), "too large"),
        ("wide.png", png_header(11_000, 10_000), "too large"),
        ("tiny.png", png_header(8, 8), "8x8"),
        ("cut.png", png_header(64, 64), "damaged or cut off"),
    ],
)
def test_what_is_no_photo_gets_one_line(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AnimateError, match=words) as caught:
        clips.read_photo(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cut_jpeg_and_what_isnt_there(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "p.jpg")
    (tmp_path / "p.jpg").write_bytes((tmp_path / "p.jpg").read_bytes()[:2000])
    with pytest.raises(AnimateError, match="cut off"):
        clips.read_photo(tmp_path / "p.jpg")
    with pytest.raises(AnimateError, match="there is no"):
        clips.read_photo(tmp_path / "none.jpg")
    with pytest.raises(AnimateError, match="folder"):
        clips.read_photo(tmp_path)
