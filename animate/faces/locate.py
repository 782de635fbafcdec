"""Where the face is: in a photo, and in each frame of a clip."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from typing import Protocol

import numpy as np

from animate.errors import AnimateError
from animate.faces.crop import FRAMING, Box, Framing
from animate.faces.detect import Detector, Face
from animate.faces.track import TrackedFrame, choose, follow, from_left
from animate.faces.yunet import SIDE

LOOK = 1280  # pixels that are enough to tell up from down
CLEARER = 0.015  # of the detector's score
# Of it: what a person's face gets, though blurred or covered in part; upside down, dogs get 0.82.
# A small face, below SMALL pixels as it is looked at, gets less.
PERSON, SMALL_PERSON, SMALL = 0.84, 0.75, 64
BESIDE = 0.75  # of it: what a face beside a clearer one needs; leaves and folds get up to 0.7
UPRIGHT = 0.925  # of it: more than a face gets that lies (0.914 at most, of 334 portraits)
TRIES, APART, ENOUGH = 8, 10, 5  # frames that are looked at, one of how many; faces that decide
SMALLEST = 16  # pixels; a face box below it says nothing about a face
NOTHING = (
    "no face found (an animal's, a painting's or a cartoon's may not look like one): give it as "
    "faces.box=[x,y,width,height], or use faces=centre if the picture is cropped around it"
)


class Locator(Protocol):
    """A way of finding the face to animate, or the one that drives."""

    def locate(self, photo: np.ndarray) -> Box:
        """The face of photo (H, W, 3) uint8. Raises AnimateError when there is none."""
        ...

    def track(self, frames: Iterable[np.ndarray], rate: Fraction) -> Iterator[TrackedFrame]:
        """Each frame with its face, in order, one at a time."""
        ...


class Still:
    """What needs no looking: a square that is the same in every frame."""

    def locate(self, photo: np.ndarray) -> Box:
        raise NotImplementedError

    def track(self, frames: Iterable[np.ndarray], rate: Fraction) -> Iterator[TrackedFrame]:
        for frame in frames:
            yield TrackedFrame(frame, self.locate(frame))


class Centre(Still):
    """The largest square in the middle: for pictures that are already cropped around the face."""

    def locate(self, photo: np.ndarray) -> Box:
        height, width = photo.shape[:2]
        side = min(height, width)
        return Box((width - side) // 2, (height - side) // 2, side)


class Given(Still):
    """A rectangle (x, y, width, height) in pixels, widened to the square around it."""

    def __init__(self, box: Sequence[float]):
        self.box = rectangle(box)

    def locate(self, photo: np.ndarray) -> Box:
        x, y, width, height = self.box
        if x < 0 or y < 0 or x + width > photo.shape[1] or y + height > photo.shape[0]:
            raise AnimateError(
                f"face box {_show(self.box)} is not inside the {photo.shape[1]}x{photo.shape[0]} "
                "picture: give x, y, width, height of a face in it, in pixels"
            )
        side = max(width, height)
        return Box(x + (width - side) / 2, y + (height - side) / 2, side)


class Detected:
    """What a detector finds: the face that `which` chooses, followed through a clip."""

    def __init__(
        self, detector: Detector, which: str | int = "largest", framing: Framing = FRAMING
    ):
        choose([], which)  # refuses what is no choice
        self.detector, self.which, self.framing = detector, which, framing

    def faces(self, photo: np.ndarray) -> list[Face]:
        """Every face of a photo, from left to right. Raises AnimateError when there is none."""
        found = from_left(self.detector(photo))
        if _chosen(self._votes(photo, found)):
            raise AnimateError("it lies on its side or upside down: turn it upright first")
        if not found:
            raise AnimateError(NOTHING)
        best = max(found, key=lambda face: face.score)
        return [face for face in found if face is best or face.score >= BESIDE]

    def chosen(self, found: Sequence[Face]) -> Face:
        """The chosen face of those found. Raises AnimateError when it isn't among them."""
        face = choose(found, self.which)
        if face is None:
            seen = "one face" if len(found) == 1 else f"{len(found)} faces"
            raise AnimateError(
                f"it shows {seen}, faces.which is {self.which}: use largest, or the number of one, "
                "counted from the left"
            )
        return face

    def locate(self, photo: np.ndarray) -> Box:
        return self.chosen(self.faces(photo)).square(self.framing)

    def _votes(self, photo: np.ndarray, found: Sequence[Face]) -> list[int]:
        """How many faces are clearest with a photo turned left 0 to 3 times; `found` is as it is.

        Upright faces are clearest upright. What is no clear person's face has no vote.
        """
        step = max(1, max(photo.shape[:2]) // LOOK)
        small = photo[::step, ::step]
        size = small.shape[1] * step, small.shape[0] * step
        seen: list[tuple[int, Face]] = [(0, face) for face in found]
        for turns in (1, 2, 3):
            view = np.ascontiguousarray(np.rot90(small, turns))
            seen += [(turns, _turned_back(f, turns, step, size)) for f in self.detector(view)]
        votes = [0] * 4
        for turns, face in _each_clearest(seen):
            small_one = face.height < SMALL * max(1, max(photo.shape[:2]) / SIDE)
            if face.score >= (SMALL_PERSON if small_one else PERSON):
                votes[turns] += 1
        return votes

    def turns(self, frames: Iterable[np.ndarray]) -> int:
        """How many quarter turns to the left make a clip upright, 0 to 3, as most faces of a few
        frames say.

        One look is enough for a face as clear as none is that lies.
        """
        total = [0] * 4
        for frame in islice(frames, 0, TRIES * APART, APART):
            found = self.detector(frame)
            if not any(total) and any(face.score > UPRIGHT for face in found):
                return 0
            total = [sum(pair) for pair in zip(total, self._votes(frame, found), strict=True)]
            if sum(total) >= ENOUGH:
                break
        return _chosen(total)

    def track(self, frames: Iterable[np.ndarray], rate: Fraction) -> Iterator[TrackedFrame]:
        return follow(self.detector, frames, rate, self.which, self.framing)


def quarter_turns(locator: Locator, frames: Iterable[np.ndarray]) -> int:
    """How many quarter turns to the left make frames upright; 0 where no faces are looked for."""
    return locator.turns(frames) if isinstance(locator, Detected) else 0


def _chosen(votes: Sequence[int]) -> int:
    """What most faces say; 0 where as many are upright: one of a group may lean on another."""
    best = max(range(4), key=lambda turns: votes[turns])
    return best if sum(votes[1:]) > votes[0] else 0


def _turned_back(face: Face, turns: int, step: int, size: tuple[int, int]) -> Face:
    """A face seen in every `step`-th pixel of a picture of this size (width, height), turned.

    Its box and centre are the picture's own; its marks stay those of the view.
    """
    (x, y), (width, height) = face.centre, (face.width * step, face.height * step)
    x, y = x * step, y * step
    for left in range(turns, 0, -1):  # quarter turns to the right, of views this high
        across = size[0] if left % 2 else size[1]
        x, y, width, height = across - y, x, height, width
    return replace(face, left=x - width / 2, top=y - height / 2, width=width, height=height)


def _each_clearest(seen: Sequence[tuple[int, Face]]) -> list[tuple[int, Face]]:
    """The clearest view of each face; of one that is hardly clearer turned, the upright one."""
    left = sorted(seen, key=lambda view: -(view[1].score + CLEARER * (view[0] == 0)))
    clearest = []
    while left:
        turns, face = left[0]
        clearest.append((turns, face))
        reach = max(face.width, face.height) / 2
        left = [view for view in left if math.dist(view[1].centre, face.centre) > reach]
    return clearest


def rectangle(box: Sequence[float]) -> tuple[float, float, float, float]:
    """The four finite numbers of a box, or an AnimateError that says what a box is."""
    numbers = [v for v in box if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if len(box) != 4 or len(numbers) != 4 or not all(math.isfinite(v) for v in numbers):
        raise AnimateError(f"face box {_show(box)} is not [x, y, width, height] in pixels")
    if min(numbers[2:]) < SMALLEST:
        raise AnimateError(f"face box {_show(box)} is too small: {SMALLEST} pixels a side or more")
    x, y, width, height = numbers
    return x, y, width, height


def _show(box: Sequence[float]) -> str:
    return "[" + ", ".join(str(v) for v in box) + "]"
