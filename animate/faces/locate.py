"""Where the face is: in a photo, and in each frame of a clip."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Protocol

import numpy as np

from animate.errors import AnimateError
from animate.faces.crop import Box
from animate.faces.detect import Detector, Face
from animate.faces.track import Sighting, choose, follow, from_left

LOOK = 1280  # pixels that are enough to tell up from down
CLEARER = 0.015  # of the detector's score
BESIDE = 0.75  # of it: what a face beside a clearer one needs; leaves and folds get up to 0.7
SMALLEST = 16  # pixels; a face box below it says nothing about a face
NOTHING = (
    "no face found (a painting's or a cartoon's may not look like one): give it as "
    "faces.box=[x,y,width,height], or use faces=centre if the picture is cropped around it"
)


class Locator(Protocol):
    """A way of finding the face to animate, or the one that drives."""

    def locate(self, photo: np.ndarray) -> Box:
        """The face of photo (H, W, 3) uint8. Raises AnimateError when there is none."""
        ...

    def track(self, frames: Iterable[np.ndarray], rate: Fraction) -> Iterator[Sighting]:
        """Each frame with its face, in order, one at a time."""
        ...


class Still:
    """What needs no looking: a square that is the same in every frame."""

    def locate(self, photo: np.ndarray) -> Box:
        raise NotImplementedError

    def track(self, frames: Iterable[np.ndarray], rate: Fraction) -> Iterator[Sighting]:
        for frame in frames:
            yield Sighting(frame, self.locate(frame))


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

    def __init__(self, detector: Detector, which: str | int = "largest"):
        choose([], which)  # refuses what is no choice
        self.detector, self.which = detector, which

    def faces(self, photo: np.ndarray) -> list[Face]:
        """Every face of a photo, from left to right. Raises AnimateError when there is none."""
        found = from_left(self.detector(photo))
        if self._lies(photo, max((face.score for face in found), default=0.0)):
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
        return self.chosen(self.faces(photo)).square

    def _lies(self, photo: np.ndarray, score: float) -> bool:
        """Whether a face is clearer with the photo turned; upright ones are clearest upright."""
        step = max(1, max(photo.shape[:2]) // LOOK)
        small = photo[::step, ::step]
        turned = (np.ascontiguousarray(np.rot90(small, turns)) for turns in (1, 2, 3))
        return any(face.score > score + CLEARER for view in turned for face in self.detector(view))

    def track(self, frames: Iterable[np.ndarray], rate: Fraction) -> Iterator[Sighting]:
        return follow(self.detector, frames, rate, self.which)


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
