"""Interlaced clips: no combs, no frame more or less, and progressive ones are left alone."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_colours import FLAT, PRORES, film, off, shown, to

from animate.data.folders import as_stored
from animate.inference.stats import DriverStats
from animate.media import clips
from animate.media.combs import unsaid_order
from animate.media.interlaced import deinterlaced
from animate.media.reader import Reader

COUNT, HEIGHT, WIDTH, STEP = 8, 96, 160, 6


def bar(at: float) -> np.ndarray:
    """A bright bar that stands upright on grey, its left edge at `at`."""
    x = np.arange(WIDTH)
    inside = np.clip(np.minimum(x - at, at + 40 - x) / 4 + 0.5, 0, 1)
    grey = np.rint(60 + 150 * inside).astype(np.uint8)
    return grey[None, :, None].repeat(HEIGHT, 0).repeat(3, 2)


def woven(first: int, count: int = COUNT) -> list[np.ndarray]:
    """A bar that walks, each frame of two fields of their own times; `first` is the earlier one."""
    frames = []
    for index in range(count):
        frame = bar(STEP * (2 * index + 1)).copy()
        frame[first::2] = bar(STEP * 2 * index)[first::2]
        frames.append(frame)
    return frames


def encoded(path: Path, frames: list[np.ndarray], flags: str, *codec: str) -> Path:
    import imageio_ffmpeg

    write = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt"]
    write += ["rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", "25", "-i", "-"]
    write += ["-vf", flags, "-pix_fmt", "yuv420p", *codec, str(path)]
    subprocess.run(write, input=b"".join(f.tobytes() for f in frames), check=True)
    return path


def combs(frame: np.ndarray) -> float:
    """How much lines differ from those above and below."""
    grey = frame[8:-8, :, 1].astype(int)
    return float(np.abs(2 * grey[1:-1] - grey[:-2] - grey[2:]).max())


MPEG2 = ("-c:v", "mpeg2video", "-q:v", "1", "-flags", "+ilme+ildct")
AVC = ("-c:v", "libx264", "-crf", "1", "-flags", "+ilme+ildct")


@pytest.mark.parametrize(("first", "flags"), [(0, "setfield=tff"), (1, "setfield=bff")])
@pytest.mark.parametrize(
    ("name", "codec"), [("c.mpg", MPEG2), ("c.mts", AVC), ("c.mkv", MPEG2), ("c.mp4", AVC)]
)
def test_a_walking_bar_has_no_combs_and_every_frame_is_at_its_time(
    tmp_path: Path, first: int, flags: str, name: str, codec: tuple[str, ...]
) -> None:
    path = encoded(tmp_path / name, woven(first), flags, *codec)
    clip = clips.open_clip(path)
    frames = list(clip.frames())
    assert (len(frames), clip.rate) == (COUNT, 25)
    assert combs(woven(first)[3]) > 100
    for index, frame in enumerate(frames[1:-1], 1):
        assert combs(frame) < 40
        edge = np.flatnonzero(frame[HEIGHT // 2, :, 1] > 135)[0]
        assert edge == pytest.approx(STEP * 2 * index, abs=2)  # where it is in the first field
    stored = list(as_stored(path))
    assert len(stored) == COUNT
    assert max(map(combs, stored[1:-1])) < 40
    if name.endswith(".mpg"):  # which declares too short a length
        return
    part = clip.span(0.08, 0.2).frames()
    assert all((a == b).all() for a, b in zip(part, frames[2:5], strict=True))


def test_progressive_frames_are_left_alone(tmp_path: Path) -> None:
    path = encoded(tmp_path / "c.mkv", woven(0), "setfield=prog", "-c:v", "ffv1")
    with Reader.open(path) as reader:
        for frame, start, end in reader.frames():
            assert (start * 25).denominator == 1
            assert end > start
            assert combs(reader.picture(frame)) > 100


def test_combs_are_found_and_taken_out_of_a_clip_that_does_not_say_it_is_interlaced(
    tmp_path: Path,
) -> None:
    still = [bar(0)] * 5
    frames = [*still, *woven(1, 16)]
    clip = clips.open_clip(encoded(tmp_path / "c.mkv", frames, "null", "-c:v", "ffv1"))
    whole = clip.without_combs()
    assert (clip.order, whole.order) == (None, "bff")
    assert max(map(combs, list(whole.frames())[6:-1])) < 40
    assert DriverStats.of(whole).words() == [
        "the clip is interlaced, which it doesn't say, and was deinterlaced"
    ]
    assert DriverStats.of(clip).words() == []


def without_fields(kind: str) -> list[np.ndarray]:
    """Frames that have no order of fields: a bar, stripes, noise, both orders by turns."""
    if kind == "noise":
        noise = np.random.default_rng(0)
        return [noise.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(30)]
    if kind == "mixed":
        return [f for pair in zip(woven(0, 15), woven(1, 15), strict=True) for f in pair]
    speed = {"walks": 4, "stands": 0, "stripes": 4}[kind]
    frames = [bar(speed * index) for index in range(30)]
    if kind == "stripes":
        frames = [np.where(np.arange(HEIGHT)[:, None, None] % 2, f, 255 - f) for f in frames]
    return frames


@pytest.mark.parametrize("kind", ["walks", "stands", "stripes", "noise", "mixed"])
def test_combs_are_not_seen_where_there_are_none(kind: str) -> None:
    assert unsaid_order(flagged(picture, "prog") for picture in without_fields(kind)) is None


def flagged(picture: np.ndarray, field: str) -> Any:
    """A decoded frame that says `field` of itself: prog, tff or bff."""
    from av import VideoFrame
    from av.filter import Graph

    frame, graph = VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p"), Graph()
    graph.link_nodes(
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
        ),
        graph.add("setfield", field),
        graph.add("buffersink"),
    ).configure()
    graph.push(frame)
    return graph.pull()


def test_what_is_interlaced_in_part_keeps_order_times_and_its_progressive_frames() -> None:
    fields = ("prog", "prog", "tff", "tff", "prog", "tff", "prog", "prog")
    frames = [flagged(p, field) for p, field in zip(woven(0), fields, strict=True)]
    large = flagged(np.zeros((64, 64, 3), np.uint8), "tff")
    timed = [(f, Fraction(i, 25), Fraction(i + 1, 25)) for i, f in enumerate([*frames, large])]
    seen = list(deinterlaced(timed))
    assert [item[1:] for item in seen] == [item[1:] for item in timed]
    for field, given, (whole, _, _) in zip(fields, frames, seen, strict=False):
        assert (whole is given) == (field == "prog")
        assert combs(whole.to_ndarray(format="rgb24")) < 40 or field == "prog"
    assert (seen[-1][0].width, seen[-1][0].height) == (64, 64)


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_interlaced_hdr_keeps_its_colours(tmp_path: Path, transfer: str) -> None:
    change = to("2020", transfer, "2020_ncl", "tv", "yuva444p10le") + ",setfield=tff"
    path = film(tmp_path / "c.mov", FLAT, change, *PRORES, "-flags", "+ildct")
    with Reader.open(path) as reader:
        assert next(iter(reader._decoded()))[0].interlaced_frame
    assert off(shown(path)) <= 3
