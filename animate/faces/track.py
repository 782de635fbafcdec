"""Follow one face through a clip with a square that stays still while the head does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from animate.errors import AnimateError
from animate.faces.crop import FRAMING, Box, Framing
from animate.faces.detect import Detector, Face
from animate.faces.scenes import Scenes

NEAR = 3.0  # heights of the face: the side of the view in which it is expected again
VIEW = 160  # pixels: that view is looked at no finer, which costs half of what 256 do
PATIENCE = Fraction(1)  # seconds after which another face may take a lost one's place
ROOM = 0.10  # of the square's side: how far the face may stray before the square follows
STRETCH = 0.15  # how much larger or smaller it may get, as a logarithm


@dataclass
class TrackedFrame:
    """A frame and its face's square; not `found`: the square is where the face was last."""

    frame: np.ndarray
    box: Box
    found: bool = True
    scene_start: bool = False  # the first frame with a face after a cut or a fade
    face: Face | None = None  # as detected in this frame


def choose(faces: Sequence[Face], which: str | int) -> Face | None:
    """The largest face, or the `which`-th from the left, counted from 1; None where it isn't there.

    Raises AnimateError when `which` is neither.
    """
    if which == "largest":
        return max(faces, key=lambda face: face.height * face.score, default=None)
    if isinstance(which, bool) or not isinstance(which, int) or which < 1:
        raise AnimateError(f"face {which}: use largest, or a number from 1, counted from the left")
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
    """The chosen face of frames, `rate` of them a second, one at a time; none is kept.

    It is looked for near its last place first, which is fast and keeps to the same person; when it
    was lost for long, or the scene has changed, whichever face `which` chooses takes its place.
    """
    face: Face | None = None
    box: Box | None = None
    lost, steady, scenes = 0, Steady(rate), Scenes(rate)
    for frame in frames:
        scene_start = scenes.cut(frame)
        known = None if scene_start or lost > PATIENCE * rate else face
        found = _look(detector, frame, known, which)
        if scenes.faded(frame, found):
            scene_start, known = True, None
            found = choose(detector(frame), which) or found
        if found is None:
            lost += 1
        else:
            if known is None:
                steady = Steady(rate)
            lost, face, box = 0, found, steady(found.square(framing))
        yield TrackedFrame(
            frame, box or _middle(frame), found is not None, scene_start and bool(found), found
        )


def _look(
    detector: Detector, frame: np.ndarray, known: Face | None, which: str | int
) -> Face | None:
    """The face in a frame: the one near the last, else one like it; without a last, the chosen."""
    if known is None:
        return choose(detector(frame), which)
    return _nearest(_within(detector, frame, known), known, 0.6) or _nearest(
        detector(frame), known, 1.5
    )


class Steady:
    """A square that ignores small movement and follows large movement smoothly.

    The face may stray by ROOM and STRETCH before the square starts to follow: a fixed square is
    what motion models are trained on, it leaves the head's own movement in the motion, and it makes
    a still head's square perfectly still. What follows passes a one-euro filter (Casiez et al.
    2012).
    """

    def __init__(self, rate: Fraction) -> None:
        from OneEuroFilter import OneEuroFilter

        self.filters = [OneEuroFilter(float(rate), 1.5, beta) for beta in (4.0, 4.0, 2.0)]
        self.unit = 1.0  # pixels; the first square's side: filters work on sides, not on pixels
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
    """What of an offset leaves the room around zero."""
    return math.copysign(max(0.0, abs(offset) - room), offset)


def _within(detector: Detector, frame: np.ndarray, face: Face) -> list[Face]:
    """The faces in the view around where a face was, in pixels of the whole frame."""
    half, (x, y) = NEAR / 2 * max(face.height, 16), face.centre
    top, left = max(0, int(y - half)), max(0, int(x - half))
    view = frame[top : max(top, int(y + half)), left : max(left, int(x + half))]
    if min(view.shape[:2]) < 16:
        return []
    step = max(1.0, max(view.shape[:2]) / VIEW)
    found = detector(_shrink(view, step))
    offset = np.array([left, top])
    return [
        replace(
            f,
            left=f.left * step + left,
            top=f.top * step + top,
            width=f.width * step,
            height=f.height * step,
            marks=f.marks * step + offset,
        )
        for f in found
    ]


def _shrink(view: np.ndarray, step: float) -> np.ndarray:
    import cv2

    if step == 1:
        return view
    size = round(view.shape[1] / step), round(view.shape[0] / step)
    return cv2.resize(view, size, interpolation=cv2.INTER_AREA)


def _nearest(faces: Sequence[Face], face: Face, reach: float) -> Face | None:
    """The face closest to another, within `reach` of its height and of half to twice its size."""

    def away(other: Face) -> float:
        return math.dist(other.centre, face.centre) / face.height

    near = [f for f in faces if away(f) < reach and 0.5 < f.height / face.height < 2]
    return min(near, key=away, default=None)


def _middle(frame: np.ndarray) -> Box:
    side = min(frame.shape[:2])
    return Box((frame.shape[1] - side) / 2, (frame.shape[0] - side) / 2, side)
