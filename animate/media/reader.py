"""Decode the video of a file: one pass, frames with exact times, in the right colours, upright."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from animate.errors import AnimateError
from animate.media import formats
from animate.media.combs import unsaid_order
from animate.media.frame_colours import FrameColours
from animate.media.interlaced import Timed, deinterlaced
from animate.media.photos import check_size
from animate.media.strange import what

# Only containers: no play lists, scripts or devices, which could name other files and hosts.
CONTAINERS = "mov,matroska,avi,gif,mpeg,mpegts,mpegvideo,flv,asf,ogg"
UNREAD = "not a clip that can be read, or its end is missing"
VAGUE = ("mpeg", "mpegts", "mpegvideo")  # whose bytes ffmpeg trusts less than another name
UNKNOWN_RATE = Fraction(25)  # frames a second of a file with no times at all


class Reader:
    """One pass over the video of an open file; `sound` is its sound's stream."""

    def __init__(self, path: Path, container: Any, order: str | None = None):
        """`order`: that of the fields of a clip that doesn't say it is interlaced."""
        self.path, self.container, self.order = path, container, order
        self.sound = container.streams.best("audio")
        if self.sound is not None and self.sound.codec_context is None:  # nobody knows its codec
            known = (other for other in container.streams.audio if other.codec_context is not None)
            self.sound = next(known, self.sound)
        self.stream = container.streams.best("video")
        if self.stream is None or self.stream.disposition & self.stream.disposition.attached_pic:
            raise AnimateError(f"{path} has sound but no video: use a clip with a picture")
        if self.stream.codec_context is None:
            raise AnimateError(f"{path} has video of an unknown codec: convert it to MP4 first")
        check_size(path, self.stream.width, self.stream.height)
        cover = self.stream.disposition.attached_pic
        shown = [track for track in container.streams.video if not track.disposition & cover]
        self.further = len(shown) - 1  # video tracks that are not read
        self.stream.thread_type = "AUTO"
        self.colours = FrameColours()
        self.origin: Fraction | None = None  # seconds, the time stamp of the first frame
        self.damaged = False
        self.decoded = 0
        self.reached = {"video": Fraction(0), "any": Fraction(0)}  # seconds, absolute

    @classmethod
    @contextmanager
    def open(cls, path: Path, order: str | None = None) -> Iterator[Reader]:
        import av

        try:
            name = formats.format_of(path).name
            container = av.open(
                f"file:{path.absolute()}",
                format=name if name in VAGUE else None,
                options={"format_whitelist": CONTAINERS},
            )
        except (av.FFmpegError, ValueError) as error:
            words = what(path)
            why = f"{words}, no clip that can be read" if words else UNREAD
            raise AnimateError(
                f"{path} is {why}: use a whole MP4, MOV, WebM, MKV, AVI or GIF, or a folder of "
                "pictures"
            ) from error
        with container:
            yield cls(path, container, order)

    def frames(self) -> Iterator[Timed]:
        """(frame, start, end) in seconds since the first one; without what can't be decoded.

        Interlaced frames come out whole.
        """
        return deinterlaced(self._decoded(), self.order)

    def unsaid_order(self, start: Fraction) -> str | None:
        """The order of fields of frames from `start` on that don't say they are interlaced."""
        return unsaid_order(frame for frame, at, _ in self._decoded() if at >= start)

    def _decoded(self) -> Iterator[Timed]:
        import av

        start = end = Fraction(0)
        usual = 1 / self.pace()
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self.damaged = self.damaged or self.decoded > 0  # before it: joined mid-stream
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self.damaged = True
                    continue
                if frame.pts is not None:
                    start = frame.pts * self.stream.time_base
                    self.origin = start if self.origin is None else self.origin
                    start -= self.origin
                else:
                    start = end
                    self.origin = self.origin or Fraction(0)
                end = start + (frame.duration * self.stream.time_base if frame.duration else usual)
                self.decoded += 1
                yield frame, start, end

    def _packets(self) -> Iterator[Any]:
        import av

        packets = self.container.demux()
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError):
                self.damaged = True
                return
            if packet.pts is not None:
                end = (packet.pts + (packet.duration or 0)) * packet.time_base
                self.reached["any"] = max(self.reached["any"], end)
            if packet.stream is not self.stream:
                continue
            if packet.is_corrupt:
                self.damaged = True
                continue
            if packet.pts is not None:
                self.reached["video"] = max(self.reached["video"], end)
            yield packet

    def pace(self) -> Fraction:
        """The constant rate that suits the clip: its own, or near the average of a variable one."""
        guess, average = self.stream.guessed_rate, self.stream.average_rate
        if not guess or (guess > 60 and not (average and guess <= average * Fraction(5, 4))):
            guess = average or self._counted_rate()
        usual = [Fraction(1000 * n, d) for n in (24, 25, 30, 50, 60) for d in (1000, 1001)]
        near = min(usual, key=lambda rate: abs(rate - guess))
        # stamps in milliseconds or hundredths blur a constant rate; a variable one is a choice
        vague = guess != self.stream.guessed_rate or self.container.format.name == "gif"
        if abs(near - guess) < guess * Fraction(1, 100 if vague else 2000):
            return near
        return min(guess, Fraction(240)).limit_denominator(1001) or Fraction(1, 1001)

    def _counted_rate(self) -> Fraction:
        """Frames a second from a pass over the time stamps of a file that declares none."""
        count, first, last = 0, None, Fraction(0)
        with Reader.open(self.path) as other:
            for packet in other._packets():
                if packet.pts is not None:
                    time = packet.pts * packet.time_base
                    first = time if first is None else first
                    count, last = count + 1, max(last, time)
        span = last - (first or 0)
        return Fraction(count - 1) / span if count > 1 and span > 0 else UNKNOWN_RATE

    def declared(self) -> Fraction | None:
        """How many seconds of video the file says it has."""
        stream = self.stream
        if self.container.format.name == "avi" and stream.frames and stream.average_rate:
            return stream.frames / stream.average_rate  # its duration is set to what is there
        if stream.duration:
            return stream.duration * stream.time_base
        parts = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
        if parts:
            hours, minutes, seconds = (Fraction(part) for part in parts.groups())
            return 3600 * hours + 60 * minutes + seconds
        return Fraction(self.container.duration, 1_000_000) if self.container.duration else None

    def broken(self) -> bool:
        """After a pass: whether it met damage, or less than the file says it has."""
        kind = self.container.format.name
        if self.damaged or kind.startswith("mov"):
            return self.damaged or self._beyond_the_end()
        if kind == "gif":
            return not _ends_with_trailer(self.path)
        declared, slack = self.declared(), 3 / self.pace()
        if declared is None or not (kind == "avi" or kind.startswith("matroska")):
            return False
        if kind == "avi" and self.decoded + 3 >= self.stream.frames:  # which counts dropped ones
            return False
        if kind == "avi" or "DURATION" in self.stream.metadata:
            return self.reached["video"] + slack < declared
        return self.reached["any"] + slack + Fraction(1, 2) < declared  # sound may last longer

    def _beyond_the_end(self) -> bool:
        """Whether the index of an MP4 or MOV names bytes that the file hasn't got."""
        entries = self.stream.index_entries
        if not len(entries):
            return False
        last = entries[len(entries) - 1]
        return last.pos + last.size > self.path.stat().st_size

    def picture(self, frame: Any) -> np.ndarray:
        """uint8 (H, W, 3) RGB of a decoded frame, as it is meant to be shown."""
        aspect = self.stream.sample_aspect_ratio or 1
        width, height = frame.width, frame.height
        if aspect > 1:
            width = round(width * aspect)
        elif 0 < aspect < 1:
            height = round(height / aspect)
        check_size(self.path, width, height)
        shown = self.colours.rgb(frame, width, height)
        return np.ascontiguousarray(_upright(shown, frame), np.uint8)


def _upright(picture: np.ndarray, frame: Any) -> np.ndarray:
    """Turn and mirror as the display matrix says: x' = a x + c y, y' = b x + d y."""
    from av.sidedata.sidedata import Type

    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return picture
    a, b, _, c, d, *_ = np.frombuffer(data, np.int32).tolist()
    if abs(a) + abs(d) < abs(b) + abs(c):
        picture, a, d = picture.transpose(1, 0, 2), c, b
    return picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _ends_with_trailer(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-min(1024, path.stat().st_size), 2)
        return file.read().rstrip(b"\0\r\n").endswith(b";")
