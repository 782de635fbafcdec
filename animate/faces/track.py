"""Track one face through a clip, in a square that ignores small movement."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from animate.errors import AnimateError
from animate.faces.crop import FRAMING, Box, Framing
from animate.faces.detect import Detector, Face, shrunk
from animate.faces.scenes import Scenes

NEAR = 3.0  # face heights: side of the view around the last face, which is searched first
VIEW = 160  # pixels: that view is shrunk to this side; 256 would take twice as long
PATIENCE = Fraction(1)  # seconds without the face, after which another one may replace it
ROOM = 0.10  # sides of the square: how far the face may move before the square follows
STRETCH = 0.15  # how far the logarithm of its size may change before the square follows


@dataclass
class TrackedFrame:
    """A frame and its face's square; if no face is `found`, the last square, or the middle."""

    frame: np.ndarray
    box: Box
    found: bool = True
    scene_start: bool = False  # the first frame with a face after a cut or a transition
    face: Face | None = None  # as detected in this frame
    passage: int = 0  # how many frames before belong to a transition that ends with this one

    def without_frame(self) -> TrackedFrame:
        """A copy without the frame's pixels, small enough to keep."""
        return replace(self, frame=np.zeros((0, 0, 3), np.uint8))


def choose(faces: Sequence[Face], which: str | int) -> Face | None:
    """The "largest" face, or number `which` from the left, from 1; None if there is no such face.

    Raises AnimateError for any other `which`.
    """
    if which == "largest":
        return max(faces, key=lambda face: face.height * face.score, default=None)
    if isinstance(which, bool) or not isinstance(which, int) or which < 1:
        raise AnimateError(
            f"face {which} can't be chosen: use largest, or a number from 1, counted from the left"
        )
    return from_left(faces)[which - 1] if which <= len(faces) else None


def from_left(faces: Sequence[Face]) -> list[Face]:
    return sorted(faces, key=lambda face: face.centre[0])


def follow(
    detector: Detector,
    frames: Iterable[np.ndarray],
    rate: Fraction,
    which: str | int = "largest",
    framing: Framing = FRAMING,
) -> Iterator[TrackedFrame]:
    """Track the chosen face through frames, `rate` a second, one at a time; keeps no frame.

    The search starts near the last place, which is fast and stays with the same person. After
    PATIENCE without the face, or after a cut or another transition, `which` chooses again.
    """
    face: Face | None = None
    box: Box | None = None
    lost, scenes = 0, Scenes(rate)
    steady = left = Steady(rate)  # the other one is of the scene before
    for frame in frames:
        scene_start = scenes.cut(frame)
        known = None if scene_start or lost > PATIENCE * rate else face
        found = _look(detector, frame, known, which)
        passage = scenes.passed(frame, found)
        if passage.another:
            scene_start, known = True, None
            found = choose(detector(frame), which) or found
        goes_on = passage.frames > 0 and not passage.another
        if found is None:
            lost += 1
        else:
            if known is None:
                left, steady = steady, left if goes_on else Steady(rate)
            lost, face, box = 0, found, steady(found.square(framing))
        yield TrackedFrame(
            frame,
            box or _middle(frame),
            found is not None,
            scene_start and not goes_on and found is not None,
            found,
            passage.frames,
        )


def _look(
    detector: Detector, frame: np.ndarray, known: Face | None, which: str | int
) -> Face | None:
    """The face in a frame nearest to the `known` one of the last; without one, the chosen face."""
    if known is None:
        return choose(detector(frame), which)
    return _nearest(_within(detector, frame, known), known, 0.6) or _nearest(
        detector(frame), known, 1.5
    )


class Steady:
    """A square that ignores small movement and follows large movement smoothly.

    It follows only what exceeds ROOM and STRETCH, through one-euro filters (Casiez et al. 2012).
    Motion models are trained on fixed squares; such a square leaves the head's own movement in the
    motion, and is perfectly still for a still head.
    """

    def __init__(self, rate: Fraction) -> None:
        from OneEuroFilter import OneEuroFilter

        self.filters = [OneEuroFilter(float(rate), 1.5, beta) for beta in (4.0, 4.0, 2.0)]
        self.unit = 1.0  # the first square's side in pixels, the filters' unit of length
        self.state: tuple[float, float, float] | None = None  # centre, log side

    def __call__(self, box: Box) -> Box:
        x, y, size = box.left + box.side / 2, box.top + box.side / 2, math.log(box.side)
        if self.state is None:
            self.unit = box.side
        else:
            was_x, was_y, was_size = self.state
            room = ROOM * math.exp(was_size)
            x = was_x + _beyond(x - was_x, room)
            y = was_y + _beyond(y - was_y, room)
            size = was_size + _beyond(size - was_size, STRETCH)
        x, y, size = (
            smooth(value / unit) * unit
            for smooth, value, unit in zip(
                self.filters, (x, y, size), (self.unit, self.unit, 1.0), strict=True
            )
        )
        self.state = x, y, size
        side = math.exp(size)
        return Box(x - side / 2, y - side / 2, side)


def _beyond(offset: float, room: float) -> float:
    """The part of an offset that exceeds `room` on either side of zero."""
    return math.copysign(max(0.0, abs(offset) - room), offset)


def _within(detector: Detector, frame: np.ndarray, face: Face) -> list[Face]:
    """The faces in the view around an earlier face, in pixels of the whole frame."""
    half, (x, y) = NEAR / 2 * max(face.height, 16), face.centre
    top, left = max(0, int(y - half)), max(0, int(x - half))
    view = frame[top : max(top, int(y + half)), left : max(left, int(x + half))]
    if min(view.shape[:2]) < 16:
        return []
    step = max(1.0, max(view.shape[:2]) / VIEW)
    return [face.enlarged(step, left, top) for face in detector(shrunk(view, step))]


def _nearest(faces: Sequence[Face], face: Face, reach: float) -> Face | None:
    """The face closest to another: within `reach` heights of it, and half to twice as high."""

    def away(other: Face) -> float:
        return math.dist(other.centre, face.centre) / face.height

    near = [f for f in faces if away(f) < reach and 0.5 < f.height / face.height < 2]
    return min(near, key=away, default=None)


def _middle(frame: np.ndarray) -> Box:
    side = min(frame.shape[:2])
    return Box((frame.shape[1] - side) / 2, (frame.shape[0] - side) / 2, side)
