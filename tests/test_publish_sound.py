"""The sound of a result is in step, copied where it can be, and cuts nothing."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import draw_frames
from test_publish import driver, write

from animate.media import clips


@pytest.fixture(scope="module")
def second() -> list[np.ndarray]:
    return draw_frames(30, 128)


# ---------------------------------------------------------------- sound


def listen(path: Path) -> tuple[float, float, str]:
    """When the beep of a file starts and its sound ends, in seconds of its video; the codec."""
    with av.open(str(path)) as file:
        zero = next(file.decode(video=0)).time
    onset, end = None, 0.0
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        for frame in file.decode(stream):
            wave = np.abs(frame.to_ndarray().astype(float))
            wave = wave / (1 if frame.format.name.startswith("flt") else 2**15)
            loud = np.flatnonzero(wave.max(0) > 0.1)
            if onset is None and len(loud):
                onset = frame.time - zero + loud[0] / frame.sample_rate
            end = frame.time - zero + frame.samples / frame.sample_rate
        name = stream.codec_context.codec.canonical_name
    assert onset is not None
    return onset, end, name


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize(
    ("codec", "late", "early"),
    [("aac", 0.0, False), ("aac", 0.25, False), ("aac", 0.25, True), ("libopus", 0.25, True)],
)
def test_sound_stays_in_step(
    tmp_path: Path, second: list[np.ndarray], suffix: str, codec: str, late: float, early: bool
) -> None:
    clip = driver(tmp_path / "d.mkv", "-c:v", "libx264", "-c:a", codec,
                  beep_at=0.5, sound=2, late=late, early=early)  # fmt: skip
    meant, *_ = listen(clip)
    assert abs(meant - (0.5 + (-late if early else late))) < 0.03
    out = write(tmp_path / f"v{suffix}", second, rate=Fraction(30), sound=clip).path
    onset, end, written = listen(out)
    assert abs(onset - meant) < 1 / 30
    assert 1 - 1 / 30 < end < 1 + 1 / 30  # cut where the video ends
    assert len(list(clips.open_clip(out).frames())) == 30
    if suffix == ".webm" or (suffix == ".mkv" and codec == "libopus"):
        assert written == "opus"
    else:
        assert written == "aac"


def test_sound_is_copied_where_the_container_takes_it(
    tmp_path: Path, second: list[np.ndarray]
) -> None:
    clip = driver(tmp_path / "d.mp4", "-c:a", "aac", beep_at=0.2, sound=1, late=0, early=False)
    out = write(tmp_path / "v.mp4", second, rate=Fraction(30), sound=clip).path

    def coded(path: Path) -> list[bytes]:
        with av.open(str(path)) as file:
            return [bytes(p) for p in file.demux(audio=0) if p.size]

    source, copied = coded(clip), coded(out)
    assert len(copied) > 40
    assert any(source[i : i + len(copied)] == copied for i in range(4))


def test_sound_that_is_short_or_missing_does_not_cut_the_video(
    tmp_path: Path, second: list[np.ndarray]
) -> None:
    short = driver(tmp_path / "s.mp4", "-c:a", "aac", beep_at=0.1, sound=0.4, late=0, early=False)
    mute = driver(tmp_path / "m.mp4", "-an", beep_at=0.1, sound=0.4, late=0, early=False)
    for name, sound in (("a", short), ("b", mute)):
        clip = clips.open_clip(write(tmp_path / f"{name}.mp4", second, sound=sound).path)
        assert len(list(clip.frames())) == 30
        assert clip.sound == (name == "a")
    gif = clips.open_clip(write(tmp_path / "v.gif", second[:10], sound=short).path)
    assert not gif.sound
