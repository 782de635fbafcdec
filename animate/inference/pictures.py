"""Arrange, resize and annotate pictures, uint8 (H, W, 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def side_by_side(panels: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures of one height in a row, with a white line of 4 pixels between them."""
    line = np.full((panels[0].shape[0], 4, 3), 255, np.uint8)
    parts = [piece for panel in panels for piece in (panel, line)][:-1]
    return np.concatenate(parts, 1)


def tiled(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Pictures of one size in rows of `columns`; the last row is filled up with white."""
    white = np.full_like(tiles[0], 255)
    filled = [*tiles, *[white] * (-len(tiles) % columns)]
    rows = [np.concatenate(filled[i : i + columns], 1) for i in range(0, len(filled), columns)]
    return np.concatenate(rows, 0)


def shrunk(photo: np.ndarray, side: int | None) -> np.ndarray:
    """Shrink a photo to at most `side` pixels on its longer side; None keeps its size."""
    import cv2

    if side is None or max(photo.shape[:2]) <= side:
        return photo
    height, width = (max(1, round(n * side / max(photo.shape[:2]))) for n in photo.shape[:2])
    return cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)


def fitted(picture: np.ndarray, side: int) -> np.ndarray:
    """Resize a square picture to `side` pixels."""
    import cv2

    if picture.shape[0] == side:
        return picture
    how = cv2.INTER_AREA if picture.shape[0] > side else cv2.INTER_CUBIC
    return cv2.resize(picture, (side, side), interpolation=how)
