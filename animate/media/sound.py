"""Read the sound of clips: as coded, or decoded to PCM if the output container lacks its codec."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from animate.errors import AnimateError
from animate.media.clips import Sound
from animate.media.photos import existing
from animate.media.reader import Reader

PCM = "pcm_f32le"  # format of decoded sound
# Largest gap in seconds that is taken as rounding of time stamps (some containers store ms).
SLACK = Fraction(1, 100)
TRIES = 50  # packets; sound counts as undecodable if none of them can be decoded
# Of a microphone, in seconds: how far its pieces may come from where the last one ended (its clock
# isn't the frames'), how long its sound is waited for, and the most that waits to be written.
JITTER, PATIENCE, MOST = 0.1, 1.0, 30.0


class Microphone:
    """Sound that is recorded while it is written: `hear` in one thread, `packets` in another."""

    def __init__(self, rate: int) -> None:
        if not 8_000 <= rate <= 192_000:
            raise AnimateError(f"a microphone of {rate} samples a second: use 8000 to 192000")
        self.rate = rate
        self.changed = threading.Condition()
        self.waiting: deque[tuple[np.ndarray, int]] = deque()  # samples, number of the first
        self.end = 0  # number of the sample after the last one
        self.ended = False

    def hear(self, samples: np.ndarray, start: float) -> None:
        """Add a piece, float32 in [-1, 1] or int16, (n,) or (n, channels); it began `start` seconds
        after the first frame. What lies before that, or before the last piece's end, is dropped."""
        mono = np.asarray(samples, np.float32) / (32768 if samples.dtype == np.int16 else 1)
        mono = mono.mean(1) if mono.ndim == 2 else mono
        with self.changed:
            first = round(start * self.rate)
            if self.end and abs(first - self.end) < JITTER * self.rate:
                first = self.end
            mono, first = mono[max(0, self.end - first) :], max(first, self.end)
            full = self.waiting and first - self.waiting[0][1] > MOST * self.rate
            if len(mono) and not full:
                self.waiting.append((mono, first))
                self.end = first + len(mono)
                self.changed.notify_all()

    def close(self) -> None:
        """No more pieces come."""
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def packets(self, into: Any) -> Iterator[tuple[Any, Fraction]]:
        """(packet of the PCM stream `into`, start in seconds), as `decoded`; waits for pieces, and
        takes the place of those that don't come for PATIENCE with silence."""
        import av

        while (piece := self._next()) is not None:
            samples, first = piece
            frame = av.AudioFrame.from_ndarray(samples[None], "flt", "mono")
            frame.sample_rate = self.rate
            for packet in into.encode(frame):
                yield packet, Fraction(first, self.rate)

    def _next(self) -> tuple[np.ndarray, int] | None:
        with self.changed:
            self.changed.wait_for(lambda: self.waiting or self.ended, PATIENCE)
            if self.waiting:
                return self.waiting.popleft()
            if self.ended:
                return None
            silence = np.zeros(round(PATIENCE / 2 * self.rate), np.float32), self.end
            self.end += len(silence[0])
            return silence


def undecodable_codec(sound: Sound | None) -> str | None:
    """The codec's name if the sound can't be decoded; None if it can, or if there is no sound."""
    import av

    if sound is None:
        return None
    with Reader.open(sound.path) as reader:
        stream, tried = reader.sound, 0
        if stream is None:
            return None
        if stream.codec_context is None:
            return "of an unknown codec"
        for packet in reader.container.demux(stream):
            tried += bool(packet.size)
            try:
                if packet.decode():
                    return None
            except av.FFmpegError:
                pass
            if tried == TRIES:
                break
        return str(stream.codec_context.name) if tried else None


@contextmanager
def open_sound(
    sound: Path | Sound | Microphone,
) -> Iterator[tuple[Any, Iterator[tuple[Any, Fraction]]] | Microphone | None]:
    """The coded sound of a clip: its PyAV stream and (packet, start in seconds); None: no sound.
    A microphone is its own.

    Starts count from the first video frame, or from the start of a `Sound`; earlier packets are
    dropped. Raises AnimateError for an unknown codec.
    """
    if isinstance(sound, Microphone):
        yield sound
        return
    path = existing(Path(sound))
    start = sound.start if isinstance(sound, Sound) else Fraction(0)
    if path.is_dir():
        yield None
        return
    with Reader.open(path) as reader:
        next(reader.frames(), None)
        origin = (reader.origin or Fraction(0)) + start
    with Reader.open(path) as reader:
        stream = reader.sound
        if stream is not None and stream.codec_context is None:
            raise AnimateError(f"the sound of {path} is of an unknown codec: leave it out")
        yield None if stream is None else (stream, _packets(reader, origin))


def _packets(reader: Reader, origin: Fraction) -> Iterator[tuple[Any, Fraction]]:
    import av

    packets = reader.container.demux(reader.sound)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError):
            return  # a cut-off file; reading its video reports that
        if packet.size and packet.pts is not None and not packet.is_corrupt:
            start = packet.pts * packet.time_base - origin
            if start >= 0:
                yield packet, start


def decoded(
    stream: Any, packets: Iterator[tuple[Any, Fraction]], into: Any
) -> Iterator[tuple[Any, Fraction]]:
    """Transcode packets of `stream` to those of `into`, a PCM stream; skips undecodable packets."""
    import av
    from av.audio.resampler import AudioResampler

    resamplers: dict[tuple[str, str, int], AudioResampler] = {}
    origin = Fraction(0)  # seconds: time stamp of the first frame
    at, least = Fraction(0), Fraction(-1)  # seconds: start of the next piece, and its minimum

    def frames() -> Iterator[Any]:
        nonlocal origin
        for packet, start in packets:
            origin = packet.pts * packet.time_base - start
            with suppress(av.FFmpegError):
                yield from packet.decode()
        with suppress(av.FFmpegError):
            yield from stream.codec_context.decode(None)

    for frame in frames():
        if frame.pts is not None:
            stamp = frame.pts * frame.time_base - origin
            at = at if abs(stamp - at) < SLACK else max(stamp, least)
        kind = frame.format.name, frame.layout.name, frame.sample_rate
        if kind not in resamplers:
            resamplers[kind] = AudioResampler("flt", into.layout, into.rate)
        for piece in resamplers[kind].resample(frame):
            piece.pts = None
            for packet in into.encode(piece):
                yield packet, at
            least = at + Fraction(1, into.rate)
            at += Fraction(piece.samples, into.rate)
