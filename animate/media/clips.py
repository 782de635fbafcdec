"""Clips: videos, moving pictures and folders of frames, read lazily at a constant frame rate."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
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
from animate.media.moving import Moving
from animate.media.photos import read_photo
from animate.media.reader import Reader

LONGEST_GAP = 3600  # seconds between two frames
FOLDER_RATE = Fraction(25)  # frames a second


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
    order: str | None = None  # of the fields of a clip that is interlaced and doesn't say so

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

    def without_combs(self) -> Clip:
        """The clip, deinterlaced also where its file doesn't say that it is interlaced."""
        if self.path.is_dir():
            return self
        with reading(self.path) as reader:
            if isinstance(reader, Moving):
                return self
            return replace(self, order=reader.unsaid_order(self.first / self.rate))

    @property
    def span_sound(self) -> Sound | None:
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
        if len(first) < 2 and reader.broken():
            raise AnimateError(
                f"{path} is cut off or damaged: {len(first)} of its frames can be read; use a "
                "whole file"
            )
        if len(first) < 2:
            raise AnimateError(f"{path} is a clip of one frame or of none: use a longer one")
        height, width, _ = reader.picture(first[0][0]).shape
        pace = reader.pace()
        seconds = reader.declared()
        length = max(2, floor(seconds * pace + Fraction(1, 2))) if seconds else None
        return Clip(path, width, height, pace, length, reader.sound is not None, truncated)


def further(path: Path) -> int:
    """How many more video tracks a clip has than the one that is read; covers don't count."""
    with reading(path) as reader:
        return reader.further


def _video(clip: Clip) -> Iterator[np.ndarray]:
    half, held, ends = Fraction(1, 2), None, 0
    count, stop = 0, clip.stop  # count: of frames of the whole clip
    with reading(clip.path, clip.order) as reader:

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


def reading(path: Path, order: str | None = None) -> AbstractContextManager[Reader | Moving]:
    """Open a clip for one pass, with the reader for its format; `order`: see `Clip`."""
    pictures = formats.format_of(path).name in ("webp", "png") and delays.moves(path)
    return Moving.open(path) if pictures else Reader.open(path, order)


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
