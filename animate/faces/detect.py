"""Every face in a picture, with five marks each: found by YuNet, which OpenCV runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from animate.faces.crop import FRAMING, Box, Framing


@dataclass(frozen=True)
class Face:
    """A face in pixels of its picture; marks are right eye, left eye, nose, corners of the mouth.

    Right and left are the person's own.
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
        """How far the head is turned: its nose's distance from the middle of eyes and mouth.

        In distances between the eyes, along them; 0 from the front, positive to the viewer's right.
        """
        right, left, nose, *mouth = self.marks
        across = left - right
        middle = (right + left + mouth[0] + mouth[1]) / 4
        return float((nose - middle) @ across / max(across @ across, 1e-6))

    def square(self, framing: Framing = FRAMING) -> Box:
        """The square that holds the face as a motion model wants it."""
        side, (x, y) = framing.scale * self.height, self.centre
        return Box(x - side / 2, y - side / 2 - framing.raised * self.height, side)


Detector = Callable[[np.ndarray], list[Face]]  # a picture (H, W, 3) uint8 -> its faces, best first


class Remembered:
    """A detector that knows again the last pictures it saw: for a clip that is read twice.

    It holds what was found in `count` of them, and no picture.
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
