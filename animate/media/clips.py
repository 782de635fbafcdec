"""Read clips: lazily, upright, in the right colours, with exact timing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from math import floor
from pathlib import Path
from typing import Any

import numpy as np

from animate.errors import AnimateError
from animate.media import delays, files, formats
from animate.media.files import existing
from animate.media.frame_colours import FrameColours
from animate.media.interlaced import Timed, deinterlaced
from animate.media.moving import Moving
from animate.media.photos import check_size, read_photo
from animate.media.strange import what

# Only containers: no play lists, scripts or devices, which could name other files and hosts.
CONTAINERS = "mov,matroska,avi,gif,mpeg,mpegts,mpegvideo,flv,asf,ogg"
UNREAD = "not a clip that can be read, or its end is missing"
VAGUE = ("mpeg", "mpegts", "mpegvideo")  # whose bytes ffmpeg trusts less than another name
LONGEST_GAP = 3600  # seconds between two frames
FOLDER_RATE = Fraction(25)


@dataclass(frozen=True)
class Clip:
    """A driving video or a folder of frames; made by `open_clip`, read by `frames`."""

    path: Path
    width: int  # as displayed: rotated, with square pixels
    height: int
    rate: Fraction  # frames a second of what `frames` yields
    length: int | None  # how many frames that will be, as the file declares; None if it doesn't
    sound: bool
    truncated: str = "error"
    first: int = 0  # the span that `frames` yields, counted in frames at `rate`
    stop: int | None = None  # the first one that it doesn't
    turns: int = 0  # quarter turns to the left that `frames` makes, after width and height

    def span(self, start: float = 0, end: float | None = None) -> Clip:
        """The part from `start` to `end` seconds, to the nearest frame; None is the clip's end.

        Raises AnimateError when nothing is left.
        """
        first = self.first + round(Fraction(start) * self.rate)
        stop = self.stop if end is None else self.first + round(Fraction(end) * self.rate)
        length = self.length
        if length is not None:
            last = self.first + length
            stop = stop if stop is None else min(stop, last)
            length = (last if stop is None else stop) - first
        if first < self.first or (stop is not None and first >= stop) or length == 0:
            until = "its end" if end is None else f"{end} s"
            raise AnimateError(f"{self.path} has no frame from {start} s to {until}: use its times")
        if length is not None and length < 0:
            raise AnimateError(f"{self.path} ends before {start} s: use an earlier clip.start")
        return replace(self, first=first, stop=stop, length=length)

    def turned(self, turns: int) -> Clip:
        """The clip with its frames turned to the left so many times."""
        return replace(self, turns=(self.turns + turns) % 4)

    @property
    def heard(self) -> Sound | None:
        """The sound of the span."""
        return Sound(self.path, self.first / self.rate) if self.sound else None

    def frames(self) -> Iterator[np.ndarray]:
        """Decode from the start: uint8 (height, width, 3) RGB at the constant `rate`.

        A clip of variable frame rate is resampled by its time stamps: a frame that lasts is yielded
        again (the same array: don't write into it), one too many is left out. One frame is held at
        a time. Raises AnimateError naming the frame where the clip is cut off or damaged, after the
        frames before it; with truncated="accept" goes on with what can be decoded.
        """
        pictures = _pictures(self) if self.path.is_dir() else _video(self)
        if not self.turns:
            return pictures
        return (np.ascontiguousarray(np.rot90(picture, self.turns)) for picture in pictures)


@dataclass(frozen=True)
class Sound:
    """The sound of a clip from a time on; where a path is wanted, the path of the clip."""

    path: Path
    start: Fraction = Fraction(0)  # seconds after the clip's first frame

    def __fspath__(self) -> str:
        return str(self.path)


def open_clip(path: Path, *, truncated: str = "error", rate: Fraction | None = None) -> Clip:
    """Look at a clip: a video, a picture that moves, or a folder of pictures in name order.

    `rate` is for folders alone (25 where not given). Raises AnimateError for what isn't a clip of
    at least two frames.
    """
    path = existing(path)
    if truncated not in ("error", "accept"):
        raise AnimateError(f"clip.truncated is {truncated!r}: use error or accept")
    if path.is_dir():
        return _open_folder(path, truncated, FOLDER_RATE if rate is None else Fraction(rate))
    if rate is not None:
        raise AnimateError(f"{path} has a frame rate of its own: leave the rate out")
    with reading(path) as reader:
        first = list(islice(reader.frames(), 2))
        if len(first) < 2:
            raise AnimateError(f"{path} is a clip of one frame or of none: use a longer one")
        height, width, _ = reader.picture(first[0][0]).shape
        pace = reader.pace()
        seconds = reader.declared()
        length = max(2, floor(seconds * pace + Fraction(1, 2))) if seconds else None
        return Clip(path, width, height, pace, length, reader.sound is not None, truncated)


def _video(clip: Clip) -> Iterator[np.ndarray]:
    half, held, ends = Fraction(1, 2), None, 0
    count, stop = 0, clip.stop  # count: of frames of the whole clip
    with reading(clip.path) as reader:

        def shown(frame: Any, until: int) -> Iterator[np.ndarray]:
            """A frame at every tick from `count` to `until` that lies in the span."""
            until = until if stop is None else min(until, stop)
            if until > max(count, clip.first):
                picture = reader.picture(frame)
                for _ in range(max(count, clip.first), until):
                    yield picture

        for frame, start, end in reader.frames():
            due = floor(start * clip.rate + half)
            if due - count > LONGEST_GAP * clip.rate:
                raise AnimateError(
                    f"{clip.path} has no frame for {int(start - count / clip.rate)} s after frame "
                    f"{count}: convert it to a constant frame rate first"
                )
            if held is not None and due > count:
                yield from shown(held, due)
                count = due
                if stop is not None and count >= stop:
                    return
            held, ends = frame, floor(end * clip.rate + half)
        if held is not None:
            ends = max(ends, count + 1)
            yield from shown(held, ends)
            count = ends
        if reader.broken() and clip.truncated == "error":
            of = f" of about {clip.length}" if clip.length else ""
            raise AnimateError(
                f"{clip.path} is cut off or damaged at frame {count}{of}: use a whole file, or "
                "clip.truncated=accept to go on with what can be read"
            )
    if held is None:
        raise AnimateError(f"{clip.path} has no frame that can be decoded: use a whole file")
    if count <= clip.first:
        raise AnimateError(f"{clip.path} ends before frame {clip.first}: use an earlier clip.start")


def reading(path: Path) -> AbstractContextManager[Reader | Moving]:
    """One pass over a clip, with what suits its format."""
    pictures = formats.format_of(path).name in ("webp", "png") and delays.moves(path)
    return Moving.open(path) if pictures else Reader.open(path)


class Reader:
    """One pass over the video of an open file; `sound` is its sound's stream."""

    def __init__(self, path: Path, container: Any):
        self.path, self.container = path, container
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
        self.stream.thread_type = "AUTO"
        self.colours = FrameColours()
        self.origin: Fraction | None = None  # seconds, the time stamp of the first frame
        self.damaged = False
        self.decoded = 0
        self.reached = {"video": Fraction(0), "any": Fraction(0)}  # seconds, absolute

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Reader]:
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
            yield cls(path, container)

    def frames(self) -> Iterator[Timed]:
        """(frame, start, end) in seconds since the first one; without what can't be decoded.

        Interlaced frames come out whole.
        """
        return deinterlaced(self._decoded())

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
        return Fraction(count - 1) / span if count > 1 and span > 0 else FOLDER_RATE

    def declared(self) -> Fraction | None:
        """How many seconds of video the file says it has."""
        stream = self.stream
        if self.container.format.name == "avi" and stream.frames and stream.average_rate:
            return stream.frames / stream.average_rate  # its duration is mended to what is there
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


# ---------------------------------------------------------------- folders of frames


def _names(folder: Path) -> list[Path]:
    """The pictures in a folder, 2 before 10."""
    return sorted(
        files.files_in(folder),
        key=lambda path: [
            (int(part), "") if part.isdecimal() else (-1, part)
            for part in re.split(r"(\d+)", path.name)
        ],
    )


def _open_folder(path: Path, truncated: str, rate: Fraction) -> Clip:
    names = _names(path)
    if len(names) < 2:
        raise AnimateError(
            f"the folder {path} holds {len(names)} pictures: use one with a JPEG or PNG per frame"
        )
    if rate <= 0:
        raise AnimateError(f"a rate of {rate} frames a second: use more than 0")
    height, width, _ = read_photo(names[0]).shape
    return Clip(path, width, height, rate, len(names), False, truncated)


def _pictures(clip: Clip) -> Iterator[np.ndarray]:
    names = _names(clip.path)[: clip.stop]
    for index, name in list(enumerate(names))[clip.first :]:
        try:
            picture = read_photo(name)
        except AnimateError as error:
            if clip.truncated == "accept":
                continue
            raise AnimateError(f"frame {index}: {error}") from error
        if picture.shape != (clip.height, clip.width, 3):
            raise AnimateError(
                f"frame {index}: {name} is {picture.shape[1]}x{picture.shape[0]} pixels, the first "
                f"is {clip.width}x{clip.height}: use frames of one size"
            )
        yield picture


# ---------------------------------------------------------------- small tools


def sha256(path: Path) -> str:
    """SHA-256 in hex of a file; of a folder: of its pictures' names and SHA-256s, in order."""
    path = existing(path)
    digest = hashlib.sha256()
    if path.is_dir():
        for name in _names(path):
            digest.update(f"{name.name}\0{sha256(name)}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
