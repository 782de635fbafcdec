"""What a file is, is told by what is in it: every name, the same answer."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from awkward_photos import ffmpeg, plain
from conftest import draw_frames, write_clip
from PIL import Image, features

from animate.errors import AnimateError
from animate.inference.compose import is_video
from animate.inference.driver import open_driver
from animate.media import delays, files, formats
from animate.media.clips import open_clip
from animate.media.photos import read_photo
from animate.options import Options
from animate.verification.verify import frames_of

DURATIONS = [100, 300, 200, 400, 100]  # milliseconds


def pictures() -> list[Image.Image]:
    """Five frames that differ everywhere, lossless in each format."""
    return [Image.new("RGB", (64, 48), (50 * i, 250 - 50 * i, 20)) for i in range(5)]


def moving(path: Path, kind: str, durations: list[int] = DURATIONS, **more: object) -> Path:
    first, *others = pictures()
    options = {"WEBP": {"lossless": True}, "PNG": {}, "GIF": {}}[kind]
    first.save(
        path, kind, save_all=True, append_images=others, duration=durations, **options, **more
    )
    return path


CLIPS: dict[str, Callable[[Path], Path]] = {
    "3gp": lambda f: ffmpeg(f / "c.3gp", "-i", str(plain(f)), "-c:v", "h263", "-s", "176x144"),
    "mts": lambda f: ffmpeg(f / "c.mts", "-i", str(plain(f)), "-f", "mpegts"),
    "m2ts": lambda f: ffmpeg(
        f / "c.m2ts", "-i", str(plain(f)), "-f", "mpegts", "-mpegts_m2ts_mode", "1"
    ),
    "wmv": lambda f: ffmpeg(f / "c.wmv", "-i", str(plain(f))),
    "flv": lambda f: ffmpeg(f / "c.flv", "-i", str(plain(f))),
    "mpg": lambda f: ffmpeg(f / "c.mpg", "-i", str(plain(f))),
    "ogv": lambda f: ffmpeg(f / "c.ogv", "-i", str(plain(f)), "-c:v", "libtheora"),
    "mov": lambda f: ffmpeg(f / "c.mov", "-i", str(plain(f))),
    "webm": lambda f: ffmpeg(f / "c.webm", "-i", str(plain(f))),
    "avi": lambda f: ffmpeg(f / "c.avi", "-i", str(plain(f))),
    "gif": lambda f: moving(f / "c.gif", "GIF"),
    "webp": lambda f: moving(f / "c.webp", "WEBP"),
    "apng": lambda f: moving(f / "c.apng", "PNG"),
}


@pytest.mark.parametrize("name", ["x.mp4", "x.jpg", "x.npz", "x.txt", "x"])
@pytest.mark.parametrize("kind", [k for k in CLIPS if k != "ogv"])
def test_a_clip_is_one_under_any_name(kind: str, name: str, tmp_path: Path) -> None:
    path = CLIPS[kind](tmp_path).rename(tmp_path / name)
    assert files.kind_of(path) == files.CLIP
    assert files.is_media(path)
    assert is_video([path])
    driver = open_driver(path, Options().changed(faces="centre"))
    assert not driver.still
    frames, _ = frames_of(path)
    assert sum(1 for _ in frames) > 1


@pytest.mark.parametrize("name", ["x.mp4", "x.npz", "x.gif", "x"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_picture_is_one_under_any_name(kind: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    pictures()[0].save(path, kind)
    assert files.kind_of(path) == files.PICTURE
    assert not is_video([path])
    assert open_driver(path, Options().changed(faces="centre")).still
    assert len(list(frames_of(path)[0])) == 1


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "GIF"])
def test_frames_last_as_long_as_the_file_says(kind: str, tmp_path: Path) -> None:
    path = moving(tmp_path / "a", kind)
    assert list(delays.delays(path)) == [Fraction(ms, 1000) for ms in DURATIONS]
    clip = open_clip(path)
    seen = [frame[0, 0].tolist() for frame in clip.frames()]
    at = [round(float(i / clip.rate) * 1000) for i in range(len(seen))]
    ends = np.cumsum(DURATIONS)
    if kind == "GIF":  # its colours are a palette's, its times those of ffmpeg
        return
    assert clip.rate == 10
    assert clip.length == len(seen) == sum(DURATIONS) // 100
    for time, colour in zip(at, seen, strict=True):
        due = pictures()[int(np.searchsorted(ends, time, "right"))]
        assert colour == list(due.getpixel((0, 0)))


@pytest.mark.parametrize("durations", [[33, 33, 34, 33, 34], [42, 42, 41, 42, 42]])
def test_milliseconds_blur_a_usual_rate(durations: list[int], tmp_path: Path) -> None:
    rate = open_clip(moving(tmp_path / "a.webp", "WEBP", durations)).rate
    assert min(abs(rate - usual) for usual in (30, Fraction(24_000, 1001))) < Fraction(1, 20)


@pytest.mark.parametrize("dispose", [0, 1, 2])
def test_frames_are_composited_as_the_file_says(dispose: int, tmp_path: Path) -> None:
    still = Image.new("RGBA", (40, 40), (200, 0, 0, 255))
    spot = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    spot.paste((0, 0, 255, 255), (10, 10, 20, 20))
    path = tmp_path / "a.png"
    still.save(path, save_all=True, append_images=[spot, spot], disposal=dispose, blend=1)
    frames = list(open_clip(path).frames())
    assert frames[0][0, 0].tolist() == [200, 0, 0]
    assert frames[1][15, 15].tolist() == [0, 0, 255]
    assert frames[1][0, 0].tolist() == ([255] * 3 if dispose else [200, 0, 0])


def test_a_still_apart_from_the_animation_is_no_frame(tmp_path: Path) -> None:
    path = moving(tmp_path / "a.png", "PNG", DURATIONS[:4], default_image=True)
    seen = [frame[0, 0].tolist() for frame in open_clip(path).frames()]
    assert list(pictures()[0].getpixel((0, 0))) not in seen
    assert seen[0] == list(pictures()[1].getpixel((0, 0)))


def test_an_animation_cut_off_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 255, (4, 64, 64, 3), np.uint8)
    first, *others = [Image.fromarray(n) for n in noise]
    first.save(path, save_all=True, append_images=others, duration=100)
    path.write_bytes(path.read_bytes()[:-9000])
    with pytest.raises(AnimateError, match="cut off or damaged"):
        list(open_clip(path).frames())
    assert 2 <= len(list(open_clip(path, truncated="accept").frames())) < 4


def test_texts_and_sound_are_no_media(tmp_path: Path) -> None:
    texts = {
        "module.ts": "export const a = 1;\n",
        "notes": "BMW, free of charge: The free and the wide.",
        "a.txt": "The free text",
        "b.csv": "photo,clip\n",
        "c.html": "<!DOCTYPE html><html></html>",
        "d.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
        "e.pdf": "%PDF-1.7\n",
        "f.npz": "PK\3\4",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    ffmpeg(tmp_path / "s.m4a", "-f", "lavfi", "-i", "sine=duration=1")
    ffmpeg(tmp_path / "s.ogg", "-f", "lavfi", "-i", "sine=duration=1")
    assert not [path.name for path in tmp_path.iterdir() if files.is_media(path)]


def test_what_is_damaged_counts_by_its_name(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.jpg", "c.heic"):
        (tmp_path / name).write_bytes(b"\1\2\3" * 50)
    (tmp_path / "d.png").touch()
    assert all(files.is_media(path) for path in tmp_path.iterdir())


def tiff(*tags: tuple[int, int]) -> bytes:
    """A little TIFF's first directory of short numbers."""
    rows = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + rows + bytes(4)


UNREAD = {
    "x.dng": tiff((254, 1), (50706, 1)),
    "x.nef": tiff((254, 1), (330, 100)),
    "x.cr2": b"II*\0\x10\0\0\0CR\2\0" + bytes(50),
    "x.cr3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(50),
    "x.jxl": b"\xff\x0a" + bytes(50),
    "y.jxl": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50),
    "x.psd": b"8BPS\0\1" + bytes(50),
    "x.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "x.pdf": b"%PDF-1.7\n" + bytes(50),
}


@pytest.mark.parametrize("name", UNREAD)
def test_what_is_not_read_is_called_by_its_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(UNREAD[name])
    words = re.escape(formats.format_of(path).words)
    with pytest.raises(AnimateError, match=f"is {words}, no photo that can be read: use JPEG"):
        read_photo(path)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_an_avif_is_read(tmp_path: Path) -> None:
    pictures()[2].save(tmp_path / "p.jpg", "AVIF", quality=100)
    assert np.abs(read_photo(tmp_path / "p.jpg").astype(int) - np.asarray(pictures()[2])).max() < 9


def test_a_heic_is_read_or_its_extra_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40))
    monkeypatch.setattr("animate.media.photos._heif", lambda: False)
    with pytest.raises(AnimateError, match=r"HEIC picture: .*animate\[heic\]"):
        read_photo(path)


def test_an_animation_beside_what_only_a_photo_goes_with_is_a_photo(tmp_path: Path) -> None:
    path = moving(tmp_path / "a.webp", "WEBP")
    assert is_video([path])
    assert not is_video([path], alone=False)
    assert is_video([write_clip(tmp_path / "c.mp4", draw_frames(3))], alone=False)
    assert read_photo(path)[0, 0].tolist() == list(pictures()[0].getpixel((0, 0)))
