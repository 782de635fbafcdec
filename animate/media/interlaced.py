"""Deinterlace: turn frames of two fields, each of its own time, into pictures of one time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

Timed = tuple[Any, Fraction, Fraction]  # a decoded frame, its start and its end


def deinterlaced(frames: Iterable[Timed], order: str | None = None) -> Iterator[Timed]:
    """The frames at their times; those that say they are interlaced as their first field's picture.

    Others stay as they are, unless an `order` is given: then all are fields in that order, whatever
    they say. From the first interlaced one on, each waits for the next.
    """
    fields: Fields | None = None
    for frame, start, end in frames:
        kind = Kind.of(frame)
        if fields is not None and fields.kind != kind:
            yield from fields.rest()
            fields = None
        if fields is None and not (order or frame.interlaced_frame):
            yield frame, start, end
            continue
        fields = fields or Fields(kind, order)
        yield from fields.pushed(frame, start, end)
    if fields is not None:
        yield from fields.rest()


class Kind(NamedTuple):
    """Size, pixel format, matrix and range of the frames that a filter is built for."""

    width: int
    height: int
    pixels: str
    matrix: int
    span: int

    @classmethod
    def of(cls, frame: Any) -> Kind:
        span, matrix = int(frame.color_range), int(frame.colorspace)
        return cls(frame.width, frame.height, frame.format.name, matrix, span)


class Fields:
    """ffmpeg's bwdif for frames of one kind: a frame out for each frame in, in order."""

    def __init__(self, kind: Kind, order: str | None):
        from av.filter import Graph

        self.kind, self.order = kind, order
        self.waiting: deque[Timed] = deque()
        self.graph = Graph()  # kept: its filters live no longer than it does
        self.into = self.graph.add(
            "buffer",
            f"video_size={kind.width}x{kind.height}:pix_fmt={kind.pixels}:time_base=1/1000:"
            f"colorspace={kind.matrix}:range={kind.span}",
        )
        which = f"parity={order}:deint=all" if order else "parity=auto:deint=interlaced"
        filters = self.graph.add("bwdif", f"mode=send_frame:{which}")
        self.out = self.graph.add("buffersink")
        self.into.link_to(filters)
        filters.link_to(self.out)
        self.graph.configure()

    def pushed(self, frame: Any, start: Fraction, end: Fraction) -> Iterator[Timed]:
        """Feed one frame; returns the pictures that are ready."""
        self.waiting.append((frame, start, end))
        self.into.push(frame)
        yield from self._ready()

    def rest(self) -> Iterator[Timed]:
        """The pictures that are left at the end."""
        self.into.push(None)
        yield from self._ready()

    def _ready(self) -> Iterator[Timed]:
        while self.waiting:
            try:
                whole: Any = self.out.pull()
            except (BlockingIOError, EOFError):
                return
            frame, start, end = self.waiting.popleft()
            yield (whole if self.order or frame.interlaced_frame else frame), start, end
