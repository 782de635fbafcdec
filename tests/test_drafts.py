"""A file that can't be published leaves nothing behind, and says why in one line."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, draw_frames
from test_publish import CLAIM, VIDEOS, refused, write

from animate import publish
from animate.errors import AnimateError, VerificationError
from animate.media import clips
from animate.options import Label
from animate.publish import containers, drafts, publisher, video
from animate.publish.spool import Spool
from animate.watermark import Mark, Payload


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    return draw_frames(12, 160)


# ---------------------------------------------------------------- nothing is left behind


LARGER = r"mark is not found .* use a larger picture \(64 pixels or more a side\)"


@pytest.mark.parametrize(
    ("suffix", "ways"),
    [
        (".mp4", ", a longer clip or .gif"),
        (".webm", ", a longer clip or .gif"),
        (".gif", " or a longer clip"),
        (".jpg", " or .png"),
        (".png", ""),
    ],
)
def test_nothing_stays_when_the_mark_is_lost_and_what_holds_it_is_named(
    tmp_path: Path,
    frames: list[np.ndarray],
    suffix: str,
    ways: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publisher, "Embedder", lambda *_: lambda frame: frame)
    monkeypatch.setattr(publisher, "ATTEMPTS", publisher.ATTEMPTS[:1])
    some = frames[:1] if suffix in (".png", ".jpg") else frames[:2]
    refused(tmp_path / f"v{suffix}", some, f"{LARGER}{ways}$", VerificationError)


@pytest.mark.parametrize(("suffix", "height", "width"), [(".gif", 72, 48), (".mp4", 64, 64)])
def test_small_short_clips_of_a_face_are_published(
    tmp_path: Path, suffix: str, height: int, width: int
) -> None:
    some = [frame[::2, ::2][:height, -width:] for frame in draw_frames(5, 144)]
    assert write(tmp_path / f"v{suffix}", some).report.agrees


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
