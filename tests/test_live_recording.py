"""Recordings of a live session are verified, in step with their sound, or leave nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_live import FACES, show

from animate.errors import AnimateError
from animate.inference.live import LiveSession
from animate.media.clips import open_clip
from animate.media.reader import Reader
from animate.media.sound import Microphone
from animate.publish import publisher

# ---------------------------------------------------------------- recording


@pytest.mark.parametrize("tries", [1, 2])
def test_a_recording_is_verified_and_its_sound_in_step(
    begin: Callable[..., LiveSession], tmp_path: Path, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if its mark was too weak at first: a microphone can't be heard again."""
    read_back, drafts = publisher._read_back, []

    def read(draft: Path, *given: Any) -> Any:
        drafts.append(draft)
        if len(drafts) < tries:
            raise publisher.MarkLostError("its mark is not found")
        return read_back(draft, *given)

    monkeypatch.setattr(publisher, "_read_back", read)
    session, out, rate = begin(2), tmp_path / "out.mp4", 16_000
    show(session, FACES[0])
    session.record(out, rate)
    assert session.recording is not None
    start = session.recording.start
    for number in range(40):  # at 0.8 s another photo appears, with a tone
        if number == 20:
            session.choose(2)
        tone = np.sin(np.arange(rate // 25) / 4) * (0.5 if number >= 20 else 0)
        session.hear(np.round(tone * 32767).astype(np.int16), start + number / 25)
        show(session, FACES[number % 12], start + number / 25)
    assert session.status().recording is not None
    done = session.stop()
    assert done.report.verdict == "marked"
    assert done.report.claim is not None
    assert done.report.claim.clip_sha256 == "recorded live"
    assert (done.frames, len(drafts)) == (40, tries)
    pictures = list(open_clip(out).frames())
    change = [np.abs(a.astype(int) - b).mean() for a, b in pairwise(pictures)]
    seen = (int(np.argmax(change)) + 1) / 25
    assert seen == pytest.approx(0.8)
    loud = _loudness(out, rate)
    heard = float(np.argmax(loud > 0.2) / rate)
    assert abs(heard - seen) < 0.045
    assert session.status().recording is None
    assert show(session, FACES[0]).state == "live"  # the session goes on


def _loudness(path: Path, rate: int) -> np.ndarray:
    with Reader.open(path) as reader:
        parts = [frame.to_ndarray().mean(0) for frame in reader.container.decode(reader.sound)]
    return np.abs(np.concatenate(parts))


def test_a_recording_that_is_not_stopped_leaves_nothing(
    begin: Callable[..., LiveSession], tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    session = begin()
    session.record(folder / "out.mp4")
    for face in FACES[:3]:
        show(session, face)
    with pytest.raises(AnimateError, match="already"):
        session.record(folder / "other.mp4")
    session.close()
    assert not list(folder.iterdir())


def test_a_recording_that_fails_is_told_and_the_session_goes_on(
    begin: Callable[..., LiveSession], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise AnimateError("the disk is full")

    monkeypatch.setattr("animate.publish.video._Ffmpeg.send", full)
    session = begin()
    session.record(tmp_path / "out.mp4")
    assert session.recording is not None
    result = session.recording.result
    session.push(FACES[0])
    session.push(FACES[1], time.monotonic() + 1)
    while session.recording is not None and not result.done():
        time.sleep(0.01)
    with pytest.raises(AnimateError, match="the disk is full"):
        session.next(20)
    assert not list(tmp_path.iterdir())
    assert show(session, FACES[2]).state == "live"


def test_recording_refuses_what_can_not_be(
    begin: Callable[..., LiveSession], tmp_path: Path
) -> None:
    session = begin()
    for out in ("out.png", "nowhere/out.mp4"):
        with pytest.raises(AnimateError):
            session.record(tmp_path / out)
    with pytest.raises(AnimateError, match="nothing is being recorded"):
        session.stop()
    session.record(tmp_path / "out.mp4")
    with pytest.raises(AnimateError, match="nothing was recorded"):
        session.stop()
    assert not (tmp_path / "out.mp4").exists()


class _Kept:
    """Stands for a stream: keeps the samples that are encoded."""

    def encode(self, frame: Any) -> list[np.ndarray]:
        return [frame.to_ndarray()[0]]


def test_gaps_of_a_microphone_are_gaps_and_a_drifting_clock_is_none() -> None:
    microphone = Microphone(8000)
    piece = np.full(800, 0.5, np.float32)
    microphone.hear(piece, -0.05)  # its first half lies before the start
    microphone.hear(np.stack([piece, piece], 1), 0.06)  # late by 10 ms
    microphone.hear(piece, 1.0)
    microphone.hear(piece, 0.2)  # what was heard already
    microphone.close()
    heard = [(float(start), len(samples)) for samples, start in microphone.packets(_Kept())]
    assert heard == [(0.0, 400), (0.05, 800), (1.0, 800)]


def test_silence_takes_the_place_of_a_microphone_that_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("animate.media.sound.PATIENCE", 0.05)
    microphone = Microphone(8000)
    samples, start = next(microphone.packets(_Kept()))
    assert start == 0
    assert not np.asarray(samples).any()
    with pytest.raises(AnimateError, match="8000 to"):
        Microphone(10)


def test_workers_use_one_thread_each(begin: Callable[..., LiveSession]) -> None:
    found: list[int] = []
    session = begin(threads=2)
    track = session.head.predictor.pose

    def counted(crop: np.ndarray) -> Any:
        found.append(torch.get_num_threads())
        return track(crop)

    object.__setattr__(session.head.predictor, "pose", counted)
    try:
        show(session, FACES[0])
    finally:
        object.__delattr__(session.head.predictor, "pose")
    assert found == [1]
