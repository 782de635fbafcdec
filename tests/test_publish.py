"""What publish writes is marked, tagged, on time and whole, or it isn't there at all."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import pytest
from conftest import ROOT, draw_frames

from animate import publish
from animate.errors import AnimateError, VerificationError
from animate.media import clips
from animate.options import Label
from animate.publish import containers, drafts, publisher, video
from animate.publish.spool import Spool
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


# ---------------------------------------------------------------- sound


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


# ---------------------------------------------------------------- nothing is left behind


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".png"])
def test_nothing_stays_when_the_mark_is_lost(
    tmp_path: Path, frames: list[np.ndarray], suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "Embedder", lambda *_: lambda frame: frame)
    monkeypatch.setattr(publisher, "ATTEMPTS", publisher.ATTEMPTS[:1])
    some = frames[:1] if suffix == ".png" else frames
    refused(tmp_path / f"v{suffix}", some, "mark is not found", VerificationError)


@pytest.mark.parametrize("suffix", [*VIDEOS, ".png"])
def test_a_mark_that_is_lost_is_made_louder(
    tmp_path: Path, frames: list[np.ndarray], suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = publisher.Embedder, []

    def weak_at_first(mark: Mark, height: int, width: int) -> Any:
        asked.append(mark.louder)
        return real(mark, height, width) if len(asked) > 1 else lambda frame: frame

    monkeypatch.setattr(publisher, "Embedder", weak_at_first)
    label = Label(seconds=None)
    some = frames[:1] if suffix == ".png" else frames
    done = write(tmp_path / f"v{suffix}", some, label=label)
    assert asked == [attempt.louder for attempt in publish.ATTEMPTS[:2]]
    assert (done.frames, done.attempt) == (len(some), publish.ATTEMPTS[1])
    assert done.report.agrees
    assert done.report.signature.record is not None
    assert done.report.signature.record.label == asdict(label)
    left = {path.name for path in tmp_path.iterdir()}
    assert left <= {f"v{suffix}", f"v{suffix}.c2pa"}


def blocks(side: int, count: int, strongest: bool = False) -> np.ndarray:
    """Squares of random colours, `count` a side; the `strongest` are the corners of RGB's cube."""
    colours = np.random.default_rng(1).integers(0, 256, (count, count, 3), np.uint8)
    colours = (colours > 127).astype(np.uint8) * 255 if strongest else colours
    return colours.repeat(side // count, 0).repeat(side // count, 1)


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".png"])
def test_blocks_of_random_colours_are_published(tmp_path: Path, suffix: str) -> None:
    some = [blocks(128, 16)] * (1 if suffix == ".png" else 3)
    done = write(tmp_path / f"v{suffix}", some, label=None)
    assert done.report.agrees
    assert done.attempt.louder <= 5
    assert done.attempt.louder > 1 or suffix == ".png"
    assert done.attempt.contrast == 1


def test_colours_that_drown_every_mark_lose_contrast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_, last = publisher.ATTEMPTS
    monkeypatch.setattr(publisher, "ATTEMPTS", (first, last._replace(louder=1.3)))
    picture = blocks(96, 24, strongest=True)
    done = write(tmp_path / "v.png", [picture], label=Label(seconds=None))
    assert done.report.agrees
    assert done.attempt.contrast == last.contrast
    assert clips.read_photo(done.path)[:48].std() < 0.3 * picture[:48].std()


def test_a_file_is_made_again_of_its_frames_where_they_pack_well(tmp_path: Path) -> None:
    drawn = [blocks(64, count) for count in (4, 8, 16)]
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    with Spool(tmp_path / "v.mp4") as spool:
        assert all(a is b for a, b in zip(spool.keep(drawn), drawn, strict=True))
        for _ in range(2):
            assert all((a == b).all() for a, b in zip(spool.frames(), drawn, strict=True))
    with Spool(tmp_path / "v.mp4") as spool:
        assert len(list(spool.keep([*drawn, noise, *drawn]))) == 7
        assert not spool.is_whole
        assert spool.file.seek(0, 2) == 0
    assert not list(tmp_path.iterdir())


def test_nothing_stays_when_the_tags_are_lost(
    tmp_path: Path, frames: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = replace(containers.VIDEOS[".gif"], finish=lambda draft, texts: None)
    monkeypatch.setitem(containers.VIDEOS, ".gif", silent)
    refused(tmp_path / "v.gif", frames, "tags lost the claim")


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_small_videos_are_coded_well_enough_for_the_mark(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0)
    frames = [
        np.clip(frame + noise.normal(0, 2, frame.shape), 0, 255).astype(np.uint8)
        for frame in draw_frames(10, 96)
    ]
    for number in range(3):
        claim = replace(CLAIM, consent=f"{number}")
        write(tmp_path / f"{number}{suffix}", frames, claim=claim, mark=Mark(Payload.of(claim)))


def test_a_picture_too_small_to_keep_the_mark_is_not_published(tmp_path: Path) -> None:
    refused(tmp_path / "v.mp4", draw_frames(3, 32), "was not published")


@pytest.mark.parametrize("error", [RuntimeError("no face"), KeyboardInterrupt(), AnimateError("x")])
@pytest.mark.parametrize("name", ["v.mp4", "v.gif", "v.png"])
def test_nothing_stays_when_the_frames_fail(
    tmp_path: Path, frames: list[np.ndarray], error: BaseException, name: str
) -> None:
    def failing() -> Iterator[np.ndarray]:
        yield from frames if name != "v.png" else []
        raise error

    with pytest.raises(type(error)):
        write(tmp_path / name, failing())
    assert not list(tmp_path.iterdir())


ENDLESS = """
import sys, itertools
from pathlib import Path
from typing import Any
sys.path.insert(0, "tests")
from test_publish import write, draw_frames
frames = draw_frames(12, 160)
for name in sys.argv[2:]:
    write(Path(sys.argv[1]) / name, itertools.cycle(frames) if name == "v.mp4" else frames[:1])
"""


def child(*arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ENDLESS, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, text=True, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload]


def interrupted(folder: Path, number: int) -> list[str]:
    """What an endless run leaves in a folder when a signal meets it half-way."""
    process = child(
        folder, "v.mp4", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
    )
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if any(p.stat().st_size > 1000 for p in folder.iterdir()):
            break
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=30)
    return [p.name for p in folder.iterdir()]


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_interrupted_it_leaves_nothing(tmp_path: Path) -> None:
    assert interrupted(tmp_path, signal.SIGINT) == []


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_killed_it_leaves_only_a_hidden_draft_that_is_swept(
    tmp_path: Path, frames: list[np.ndarray]
) -> None:
    left = interrupted(tmp_path, signal.SIGKILL)
    assert len(left) == 1
    assert left[0].startswith(".v.mp4.")
    assert left[0].endswith(".part")
    other = tmp_path / f".v.mp4.{drafts.host()}-{os.getpid()}-00000000.part"
    other.touch()  # of a process that lives
    write(tmp_path / "w.png", frames[:1])
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([other.name, "w.png"])


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
@pytest.mark.parametrize("name", ["v.mp4", "v.png"])
def test_a_file_that_may_not_grow_is_one_line(
    tmp_path: Path, frames: list[np.ndarray], name: str
) -> None:
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, kept[1]))
    try:
        with pytest.raises(AnimateError, match="can't be written") as caught:
            write(tmp_path / name, frames * 4 if name == "v.mp4" else frames[:1])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
        signal.signal(signal.SIGXFSZ, handler)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EROFS, "use another folder"),
        (errno.EACCES, "use another folder"),
    ],
)
@pytest.mark.parametrize("name", ["v.mp4", "v.png"])
def test_what_the_disk_refuses_is_one_line(
    tmp_path: Path, frames: list[np.ndarray], number: int, words: str, name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    some = frames[:1] if name == "v.png" else frames
    for call in ("fsync", "open", "link"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, refuse)
            if call == "link":  # no hard links here: renamed all the same
                write(tmp_path / name, some)
            else:
                refused(tmp_path / name, some, words)


def test_a_dying_encoder_is_one_line(
    tmp_path: Path, frames: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = video._command

    def unknown(*arguments: object) -> list[str]:
        return ["libnothing" if word == "libx264" else word for word in real(*arguments)]  # type: ignore[arg-type]

    monkeypatch.setattr(video, "_command", unknown)
    assert "libnothing" in refused(tmp_path / "v.mp4", frames * 10, "ffmpeg stopped")
    monkeypatch.setattr(video, "_command", lambda *_: [sys.executable, "-c", "exit(3)"])
    refused(tmp_path / "v.mp4", frames * 10, "code 3")
    monkeypatch.setattr(video, "_command", lambda *_: [str(tmp_path / "no ffmpeg")])
    refused(tmp_path / "v.mp4", frames, "can't be started")


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
