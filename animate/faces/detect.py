"""A detected face with its five marks, and a detector that caches its results."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from animate.faces.crop import FRAMING, Box, Framing


@dataclass(frozen=True)
class Face:
    """A face in pixels of its picture; marks are right eye, left eye, nose, mouth corners.

    Right and left are the person's own. `score` is the detector's, in [0, 1].
    """

    left: float
    top: float
    width: float
    height: float
    score: float
    marks: np.ndarray  # (5, 2): x, y

    @property
    def centre(self) -> tuple[float, float]:
        return self.left + self.width / 2, self.top + self.height / 2

    @property
    def turn(self) -> float:
        """How far the head is turned: the nose's offset from the middle of eyes and mouth.

        Measured along the line of the eyes, in distances between them; 0 from the front, positive
        to the viewer's right.
        """
        right, left, nose, *mouth = self.marks
        across = left - right
        middle = (right + left + mouth[0] + mouth[1]) / 4
        return float((nose - middle) @ across / max(across @ across, 1e-6))

    def enlarged(self, step: float, left: float = 0, top: float = 0) -> Face:
        """The same face in the whole picture, after it was found in a part that begins at (left,
        top) and was shrunk to 1 / step."""
        return replace(
            self,
            left=self.left * step + left,
            top=self.top * step + top,
            width=self.width * step,
            height=self.height * step,
            marks=self.marks * step + np.array([left, top]),
        )

    def square(self, framing: Framing = FRAMING) -> Box:
        """The square around the face in a motion model's framing."""
        side, (x, y) = framing.scale * self.height, self.centre
        return Box(x - side / 2, y - side / 2 - framing.raised * self.height, side)


Detector = Callable[[np.ndarray], list[Face]]  # a picture (H, W, 3) uint8 -> its faces, best first


class Remembered:
    """A detector that caches its results by picture hash, for a clip that is read twice.

    It keeps the faces of the last `count` pictures, but not the pictures.
    """

    def __init__(self, detector: Detector, count: int = 4096) -> None:
        self.detector, self.count = detector, count
        self.found: dict[tuple[tuple[int, ...], bytes], list[Face]] = {}

    def __call__(self, picture: np.ndarray) -> list[Face]:
        key = picture.shape, hashlib.sha1(picture.tobytes()).digest()
        if key not in self.found:
            if len(self.found) == self.count:
                del self.found[next(iter(self.found))]  # the oldest
            self.found[key] = self.detector(picture)
        return list(self.found[key])


class Shrunk:
    """A detector that shrinks larger pictures to `side` pixels first, for cameras: it finds only
    faces that are near, several times as fast."""

    def __init__(self, detector: Detector, side: int) -> None:
        self.detector, self.side = detector, side

    def __call__(self, picture: np.ndarray) -> list[Face]:
        step = max(1.0, max(picture.shape[:2]) / self.side)
        return [face.enlarged(step) for face in self.detector(shrunk(picture, step))]


def shrunk(picture: np.ndarray, step: float) -> np.ndarray:
    """A picture at 1 / step of its size."""
    import cv2

    if step == 1:
        return picture
    size = round(picture.shape[1] / step), round(picture.shape[0] / step)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
