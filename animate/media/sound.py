"""Read the sound of clips: as coded, or decoded to PCM if the output container lacks its codec."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

from animate.errors import AnimateError
from animate.media.clips import Sound
from animate.media.photos import existing
from animate.media.reader import Reader

PCM = "pcm_f32le"  # format of decoded sound
# Largest gap in seconds that is taken as rounding of time stamps (some containers store ms).
SLACK = Fraction(1, 100)
TRIES = 50  # packets; sound counts as undecodable if none of them can be decoded


def unheard(sound: Sound | None) -> str | None:
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
    sound: Path | Sound,
) -> Iterator[tuple[Any, Iterator[tuple[Any, Fraction]]] | None]:
    """The coded sound of a clip: its PyAV stream and (packet, start in seconds); None: no sound.

    Starts count from the first video frame, or from the start of a `Sound`; earlier packets are
    dropped. Raises AnimateError for an unknown codec.
    """
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
