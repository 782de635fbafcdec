"""Where the face is: in a photo, and in each frame of a clip."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from animate.errors import AnimateError
from animate.faces.crop import Box

SMALLEST = 16  # pixels; a face box below it says nothing about a face


class Locator(Protocol):
    """A way of finding the face to animate, or the one that drives."""

    def locate(self, photo: np.ndarray) -> Box:
        """The face of photo (H, W, 3) uint8. Raises AnimateError when there is none."""
        ...

    def track(self, frames: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, Box]]:
        """Each frame with its face, in order; may look a bounded number of frames ahead."""
        ...


class Centre:
    """The largest square in the middle: for pictures that are already cropped around the face."""

    def locate(self, photo: np.ndarray) -> Box:
        height, width = photo.shape[:2]
        side = min(height, width)
        return Box((width - side) // 2, (height - side) // 2, side)

    def track(self, frames: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, Box]]:
        for frame in frames:
            yield frame, self.locate(frame)


class Given:
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

    def track(self, frames: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, Box]]:
        for frame in frames:
            yield frame, self.locate(frame)


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
