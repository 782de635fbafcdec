"""What publish writes is marked, tagged, on time and whole, or it isn't there at all."""

from __future__ import annotations

import os
import subprocess
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from conftest import draw_frames

from animate import publish
from animate.errors import AnimateError
from animate.media import clips
from animate.publish import containers
from animate.verification.verify import verify
from animate.watermark import Claim, Mark, Payload

NTSC = Fraction(30000, 1001)
CLAIM = Claim(
    generator="animate test", model="none", model_sha256="0" * 64, photo_sha256="1" * 64,
    clip_sha256="2" * 64, created="2026-01-02T03:04:05Z", consent='"mine"; 50 % = a\\b, é, 日本\n',
)  # fmt: skip
MARK = Mark(Payload.of(CLAIM))
VIDEOS, STILLS = list(containers.VIDEOS), list(containers.STILLS)


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    return draw_frames(12, 160)


@pytest.fixture(scope="module")
def second() -> list[np.ndarray]:
    return draw_frames(30, 128)


def write(out: Path, frames: object, **changes: object) -> publish.Published:
    """`publish` with this file's mark and claim, without a visible label."""
    rate = None if out.suffix in STILLS else NTSC
    options = {"mark": MARK, "claim": CLAIM, "rate": rate, "label": None, **changes}
    return publish.publish(out, frames, **options)  # type: ignore[arg-type]


def refused(
    out: Path, frames: object, words: str, kind: type[Exception] = AnimateError, **changes: object
) -> str:
    """The one line with which `publish` refuses, having left the folder as it was."""
    before = sorted((p.name, p.stat().st_size) for p in out.parent.glob("*"))
    with pytest.raises(kind, match=words) as caught:
        write(out, frames, **changes)
    assert sorted((p.name, p.stat().st_size) for p in out.parent.glob("*")) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def driver(path: Path, *codec: str, beep_at: float, sound: float, late: float, early: bool) -> Path:
    """One second of video and `sound` seconds of sound, silent until `beep_at`.

    The sound starts `late` seconds after the video, or before it where `early`.
    """
    picture = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=30:duration=1"]
    tone = f"aevalsrc=if(gte(t\\,{beep_at})\\,0.5*sin(2500*t)\\,0):s=48000:d={sound}"
    heard = ["-f", "lavfi", "-i", tone]
    wait = ["-itsoffset", str(late)]
    inputs = [*wait, *picture, *heard] if early else [*picture, *wait, *heard]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *inputs, *codec, str(path)]
    subprocess.run(command, check=True)
    return path


def closeness(shown: np.ndarray, meant: np.ndarray) -> float:
    """PSNR in dB of a frame shrunk to half, where subsampled chroma doesn't count."""
    change = shown.astype(float) - meant
    change = (change[::2, ::2] + change[1::2, ::2] + change[::2, 1::2] + change[1::2, 1::2]) / 4
    return 10 * np.log10(255**2 / np.mean(change**2))


# ---------------------------------------------------------------- what is written


@pytest.mark.parametrize("suffix", VIDEOS)
def test_a_video_is_marked_tagged_and_on_time(
    tmp_path: Path, frames: list[np.ndarray], suffix: str
) -> None:
    out = tmp_path / f"it's (1) 100%{suffix}"
    result = write(out, iter(frames))
    beside = [] if containers.embeds(out) else [out.name + ".c2pa"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [out.name, *beside]
    assert (result.path, result.frames, result.report.path) == (out, 12, out)
    report = verify(out)
    assert (report.verdict, report.claim, report.agrees) == ("marked", CLAIM, True)
    assert report.detection.payload == MARK.payload
    clip = clips.open_clip(out)
    shown = list(clip.frames())
    assert (clip.rate, len(shown)) == (NTSC, 12)
    for a, b in zip(shown, frames, strict=True):
        assert closeness(a, b) > 33
        assert np.abs(a.mean((0, 1)) - b.mean((0, 1))).max() < 2  # no shift of colour


@pytest.mark.parametrize("suffix", STILLS)
def test_a_still_is_marked_and_tagged(
    tmp_path: Path, frames: list[np.ndarray], suffix: str
) -> None:
    result = write(tmp_path / f"still{suffix}", frames[:1])
    report = verify(result.path)
    assert (report.verdict, report.claim, report.agrees) == ("marked", CLAIM, True)
    assert closeness(clips.read_photo(result.path), frames[0]) > 36


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(25), Fraction(60000, 1001)])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_the_rate_stays_a_fraction(
    tmp_path: Path, frames: list[np.ndarray], suffix: str, rate: Fraction
) -> None:
    clip = clips.open_clip(write(tmp_path / f"v{suffix}", frames, rate=rate).path)
    assert clip.rate == rate
    assert len(list(clip.frames())) == len(frames)


def test_a_gif_too_fast_for_viewers_keeps_its_duration(
    tmp_path: Path, frames: list[np.ndarray]
) -> None:
    clip = clips.open_clip(write(tmp_path / "v.gif", frames * 2, rate=Fraction(60)).path)
    assert abs(len(list(clip.frames())) / clip.rate - Fraction(24, 60)) <= 1 / clip.rate


def test_odd_sides_are_repeated_to_even_ones(tmp_path: Path, frames: list[np.ndarray]) -> None:
    odd = [frame[:159, :157] for frame in frames]
    clip = clips.open_clip(write(tmp_path / "v.mp4", odd).path)
    assert (clip.width, clip.height) == (158, 160)
    assert closeness(next(clip.frames())[:158, :156], odd[0][:158, :156]) > 33
    gif = clips.open_clip(write(tmp_path / "v.gif", odd).path)
    assert (gif.width, gif.height) == (157, 159)


def test_the_same_frames_make_the_same_pictures(tmp_path: Path, frames: list[np.ndarray]) -> None:
    """Not the same bytes: every signed manifest has a name and a signature of its own."""
    for suffix in (".mp4", ".mkv"):
        one, two = (write(tmp_path / f"{n}{suffix}", frames).path for n in "ab")
        pairs = zip(clips.open_clip(one).frames(), clips.open_clip(two).frames(), strict=True)
        assert all((a == b).all() for a, b in pairs)


# ---------------------------------------------------------------- what is refused


def test_nothing_is_replaced_unasked(tmp_path: Path, frames: list[np.ndarray]) -> None:
    out = tmp_path / "v.png"
    out.write_text("precious")
    refused(out, frames[:1], "--force")
    assert out.read_text() == "precious"
    assert write(out, frames[:1], force=True).report.verdict == "marked"

    def late() -> Iterator[np.ndarray]:
        yield frames[0]
        (tmp_path / "late.png").write_text("precious")

    with pytest.raises(AnimateError, match="exists"):
        write(tmp_path / "late.png", late())
    assert (tmp_path / "late.png").read_text() == "precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["late.png", "v.png"]


def test_an_input_is_never_replaced(tmp_path: Path, frames: list[np.ndarray]) -> None:
    clip = driver(tmp_path / "d.mp4", "-c:a", "aac", beep_at=0, sound=1, late=0, early=False)
    refused(clip, frames, "input of this run", sound=clip, force=True)
    os.symlink(clip, tmp_path / "link.mp4")
    refused(tmp_path / "link.mp4", frames, "input of this run", sound=clip, force=True)
    claim = Claim(**{**vars(CLAIM), "photo_sha256": clips.sha256(clip)})
    refused(clip, frames, "input of this run", force=True, claim=claim)


def test_bad_arguments_get_one_line_each(tmp_path: Path, frames: list[np.ndarray]) -> None:
    video, still = tmp_path / "v.mp4", tmp_path / "v.png"
    refused(tmp_path / "v.xyz", frames, "use .mp4")
    refused(tmp_path / "v", frames, "use .mp4")
    refused(tmp_path / "v.png", frames, "use .mp4", rate=NTSC)
    refused(tmp_path / "v.mp4", frames, "use .png", rate=None)
    (tmp_path / "folder.mp4").mkdir()
    refused(tmp_path / "folder.mp4", frames, "is a folder")
    with pytest.raises(AnimateError, match="make it first"):
        write(tmp_path / "none" / "v.mp4", frames)
    refused(video, [], "no frames")
    refused(video, frames[:1], "one frame")
    refused(still, [], "exactly one")
    refused(still, frames, "exactly one")
    refused(video, [frames[0], frames[0][:100]], "one size")
    refused(video, [frame / 255 for frame in frames], "uint8")
    refused(video, [frame[..., 0] for frame in frames], "uint8")
    refused(video, [frame[:8, :8] for frame in frames], "too small")
    refused(video, frames, "rate", rate=Fraction(0))
    refused(video, frames, "there is no", sound=tmp_path / "none.mp4")
    refused(
        video, frames, "shorten consent", claim=Claim(**{**vars(CLAIM), "consent": "x" * 20000})
    )
    refused(video, frames, "another claim", claim=Claim(**{**vars(CLAIM), "consent": "x"}))


def test_memory_does_not_grow_with_the_video(tmp_path: Path, frames: list[np.ndarray]) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        many = (frames[i % 12].copy() for i in range(count))
        write(tmp_path / "v.mp4", many, rate=Fraction(1), force=True)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(10)
    # 64 seconds are remembered one by one, longer clips in longer spans
    assert peak(140) < peak(70) + 5 * frames[0].nbytes
