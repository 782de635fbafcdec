"""The square around a face, and cutting it out of a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Box:
    """A square in pixels: left edge, top edge and side; pixel (0, 0) covers [0, 1) x [0, 1)."""

    left: float
    top: float
    side: float


@dataclass(frozen=True)
class Framing:
    """The square around a face that a motion model takes, in heights of the detector's box.

    The defaults suit models trained on faces cropped like VoxCeleb's: medians over the training
    clips.
    """

    scale: float = 1.57  # the square's side
    raised: float = 0.05  # how far the square's middle lies above that of the box


FRAMING = Framing()


def cut(frame: np.ndarray, box: Box, size: int) -> np.ndarray:
    """The box of frame (H, W, 3), resized to (size, size, 3) with antialiasing; both uint8.

    Where the box leaves the frame, the frame's edge pixels are repeated.
    """
    from PIL import Image

    height, width = frame.shape[:2]
    (first, last), (left, right) = _covered(box.left, box.side, size, width)
    (upper, lower), (top, bottom) = _covered(box.top, box.side, size, height)
    picture = Image.fromarray(np.ascontiguousarray(frame)).resize(
        (last - first, lower - upper), Image.Resampling.BICUBIC, box=(left, top, right, bottom)
    )
    beside = (upper, size - lower), (first, size - last), (0, 0)
    return np.pad(np.asarray(picture), beside, mode="edge")


def _covered(
    start: float, side: float, size: int, length: int
) -> tuple[tuple[int, int], tuple[float, float]]:
    """The pixels, of `size` over [start, start + side), that lie in [0, length), and their span.

    There is at least one pixel: a box beyond an edge shows that edge.
    """
    step = side / size
    first = min(max(0, math.ceil(-start / step - 1e-6)), size - 1)
    last = max(min(size, math.floor((length - start) / step + 1e-6)), first + 1)
    near = min(max(0.0, start + first * step), length - min(step, 1.0))
    return (first, last), (near, min(max(start + last * step, near + min(step, 1.0)), length))
