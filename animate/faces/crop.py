"""A square around a face, and how to cut it out of a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Box:
    """A square in pixels: left and top edge, and side; pixel (0, 0) covers [0, 1) x [0, 1)."""

    left: float
    top: float
    side: float


def cut(frame: np.ndarray, box: Box, size: int) -> np.ndarray:
    """The box of frame (H, W, 3), resized to (size, size, 3) with antialiasing; both uint8.

    Where the box leaves the frame, the frame's edge pixels go on.
    """
    from PIL import Image

    height, width = frame.shape[:2]
    left, top, right, bottom = box.left, box.top, box.left + box.side, box.top + box.side
    before = [max(0, int(np.ceil(-edge))) for edge in (top, left)]
    after = [max(0, int(np.ceil(over))) for over in (bottom - height, right - width)]
    if any(before + after):
        frame = np.pad(frame, [*zip(before, after, strict=True), (0, 0)], mode="edge")
    left, top = left + before[1], top + before[0]
    picture = Image.fromarray(np.ascontiguousarray(frame)).resize(
        (size, size), Image.Resampling.BICUBIC, box=(left, top, left + box.side, top + box.side)
    )
    return np.asarray(picture)
