"""Locate the face in a photo and in each frame of a clip."""

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
from animate.system.settings import shown

LOOK = 1280  # pixels of the longer side that suffice to tell which way is up
# Scores below are the detector's, in [0, 1].
CLEARER = 0.015  # bonus of the unturned view of a face over its turned ones
# Least score of a person's face, though blurred or partly covered; animals get less. Faces less
# than SMALL pixels high, at the detector's resolution, get less, too.
PERSON, SMALL_PERSON, SMALL = 0.84, 0.75, 64
BESIDE = 0.75  # least score of a face beside a better one; leaves and folds get less
UPRIGHT = 0.925  # only upright faces score more
# `turns` looks at up to TRIES frames, each APART-th, until ENOUGH faces have voted.
TRIES, APART, ENOUGH = 8, 10, 5
NOTHING = (
    "no face found (animals, paintings and cartoons may not be recognised): give its place as "
    "faces.box=[x,y,width,height], or use faces=centre if the picture is cropped around it"
)


class Locator(Protocol):
    """Finds the face to animate, or the driver's face."""

    def locate(self, photo: np.ndarray) -> Box:
        """The square of the face in a photo (H, W, 3) uint8. Raises AnimateError without one."""
        ...

    def track(self, frames: Iterable[np.ndarray], rate: Fraction) -> Iterator[TrackedFrame]:
        """The frames with their face, in order, one at a time."""
        ...


class Still:
    """A locator without a detector: the same square in every frame."""

    def locate(self, photo: np.ndarray) -> Box:
        raise NotImplementedError

    def track(self, frames: Iterable[np.ndarray], rate: Fraction) -> Iterator[TrackedFrame]:
        for frame in frames:
            yield TrackedFrame(frame, self.locate(frame))


class Centre(Still):
    """The largest square in the middle, for pictures that are already cropped around the face."""

    def locate(self, photo: np.ndarray) -> Box:
        height, width = photo.shape[:2]
        side = min(height, width)
        return Box((width - side) // 2, (height - side) // 2, side)


class Given(Still):
    """A rectangle (x, y, width, height) in pixels, widened to the square around it."""

    def __init__(self, box: Sequence[float], setting: str = "faces.box"):
        self.box, self.setting = tuple(box), setting

    def locate(self, photo: np.ndarray) -> Box:
        x, y, width, height = self.box
        if x < 0 or y < 0 or x + width > photo.shape[1] or y + height > photo.shape[0]:
            size = f"{photo.shape[1]}x{photo.shape[0]}"
            raise AnimateError(
                f"{self.setting}={shown(self.box)} is not inside the {size} picture: give x, y, "
                "width and height of a face in it, in pixels"
            )
        side = max(width, height)
        return Box(x + (width - side) / 2, y + (height - side) / 2, side)


class Detected:
    """A locator with a detector: the face that `which` chooses, tracked through a clip."""

    def __init__(
        self, detector: Detector, which: str | int = "largest", framing: Framing = FRAMING
    ):
        choose([], which)  # raises for an invalid choice
        self.detector, self.which, self.framing = detector, which, framing

    def faces(self, photo: np.ndarray) -> list[Face]:
        """Every face of a photo, from left to right. Raises AnimateError without one."""
        found = from_left(self.detector(photo))
        if _chosen(self._votes(photo, found)):
            raise AnimateError("the photo is on its side or upside down: turn it upright first")
        if not found:
            raise AnimateError(NOTHING)
        best = max(found, key=lambda face: face.score)
        return [face for face in found if face is best or face.score >= BESIDE]

    def chosen(self, found: Sequence[Face]) -> Face:
        """The face of `found` that `which` names. Raises AnimateError if it isn't among them."""
        face = choose(found, self.which)
        if face is None:
            number = "one face" if len(found) == 1 else f"{len(found)} faces"
            raise AnimateError(
                f"the photo shows {number}, faces.which is {self.which}: use largest, or a number "
                f"up to {len(found)}, counted from the left"
            )
        return face

    def locate(self, photo: np.ndarray) -> Box:
        return self.chosen(self.faces(photo)).square(self.framing)

    def _votes(self, photo: np.ndarray, found: Sequence[Face]) -> list[int]:
        """How many faces score best after 0, 1, 2 and 3 quarter turns of the photo to the left.

        An upright face scores best. `found` are the faces of the unturned photo. Faces with less
        than a person's score don't vote.
        """
        step = max(1, max(photo.shape[:2]) // LOOK)
        thumb = photo[::step, ::step]
        size = thumb.shape[1] * step, thumb.shape[0] * step
        views: list[tuple[int, Face]] = [(0, face) for face in found]
        for turns in (1, 2, 3):
            view = np.ascontiguousarray(np.rot90(thumb, turns))
            views += [(turns, _turned_back(f, turns, step, size)) for f in self.detector(view)]
        votes = [0] * 4
        for turns, face in _each_clearest(views):
            small = face.height < SMALL * max(1, max(photo.shape[:2]) / SIDE)
            if face.score >= (SMALL_PERSON if small else PERSON):
                votes[turns] += 1
        return votes

    def turns(self, frames: Iterable[np.ndarray]) -> int:
        """How many quarter turns to the left, 0 to 3, make a clip upright.

        The faces of a few frames vote. A face that scores above UPRIGHT decides at once.
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
    """How many quarter turns to the left make frames upright; 0 without a detector."""
    return locator.turns(frames) if isinstance(locator, Detected) else 0


def _chosen(votes: Sequence[int]) -> int:
    """The quarter turns with most votes; 0 unless turned faces outnumber upright ones, because
    somebody in a group may lean over."""
    best = max(range(4), key=lambda turns: votes[turns])
    return best if sum(votes[1:]) > votes[0] else 0


def _turned_back(face: Face, turns: int, step: int, size: tuple[int, int]) -> Face:
    """Map a face back from a turned view of each `step`-th pixel of a picture.

    `size` is the picture's (width, height). The box is mapped, the marks stay those of the view.
    """
    (x, y), (width, height) = face.centre, (face.width * step, face.height * step)
    x, y = x * step, y * step
    for left in range(turns, 0, -1):  # a quarter turn to the right each; `across` is its height
        across = size[0] if left % 2 else size[1]
        x, y, width, height = across - y, x, height, width
    return replace(face, left=x - width / 2, top=y - height / 2, width=width, height=height)


def _each_clearest(views: Sequence[tuple[int, Face]]) -> list[tuple[int, Face]]:
    """The best-scoring view of each face; the unturned one has a bonus of CLEARER."""
    left = sorted(views, key=lambda view: -(view[1].score + CLEARER * (view[0] == 0)))
    clearest = []
    while left:
        turns, face = left[0]
        clearest.append((turns, face))
        reach = max(face.width, face.height) / 2
        left = [view for view in left if math.dist(view[1].centre, face.centre) > reach]
    return clearest
