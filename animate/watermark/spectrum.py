"""Compute the numbers that the mark is read from, without any key.

All that the reader does to a picture before it compares signs is in this module. The proof in
detection.py relies on one fact: the result depends on the picture alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from animate.watermark.carriers import (
    FORWARD,
    GRID,
    HALF,
    LATEST,
    RADIUS,
    MarkVersion,
    band,
    survival,
)

CLIP = 3.0  # limit for edges, as a multiple of the root mean square
FLATTEN = 0.65  # power of the local energy that divides each cell; 1/2 would equalise all cells


@dataclass(frozen=True)
class Place:
    """How the mark lies in a picture: its scale, angle, shift, mirroring and quarter turns."""

    cells: float = float(GRID)  # cells along the picture's short side; 128 as published
    angle: float = 0.0  # degrees by which the picture was rotated since publication
    down: float = 0.0  # cells of shift since then, modulo 128
    across: float = 0.0
    mirrored: bool = False
    quarters: int = 0  # clockwise quarter turns since then; undone before all of the above

    @property
    def orientation(self) -> str:
        """Mirroring and quarter turns since publication in words; "" if there were none."""
        words = ["mirrored"] if self.mirrored else []
        words += [f"turned by {90 * self.quarters} degrees clockwise"] if self.quarters else []
        return " and ".join(words)


def set_upright(planes: np.ndarray, quarters: int) -> np.ndarray:
    """Undo clockwise quarter turns of planes (..., h, w)."""
    if not quarters:
        return planes
    return np.ascontiguousarray(np.rot90(planes, quarters, axes=(-2, -1)))


def flattened(picture: np.ndarray) -> np.ndarray:
    """(3, h, w) Y, Cb, Cr of an RGB picture (h, w, 3), high-passed and locally normalised.

    Subtracts the mean over an eighth of the short side, damps busy areas, clips edges.
    """
    planes = np.ascontiguousarray(np.moveaxis(picture @ FORWARD.T.astype(np.float32), -1, 0))
    short = min(planes.shape[1:])
    wide, near = max(1, short // 16), max(1, short // 20)
    out = planes - blurred(planes, wide)
    gain = (blurred(out**2, near) + 1) ** -FLATTEN
    gain /= gain.mean(axis=(1, 2), keepdims=True)
    out *= gain
    limit = CLIP * np.sqrt(np.mean(out**2, axis=(1, 2), keepdims=True)) + 1e-9
    return np.clip(out, -limit, limit)


def blurred(x: np.ndarray, reach: int) -> np.ndarray:
    """Mean over a square window of 2 reach + 1 on the last two axes, cut off at the borders."""
    for axis in (-2, -1):
        size = x.shape[axis]
        near = min(reach, size - 1)
        sums = np.cumsum(x, axis=axis, dtype=np.float64)
        sums = np.concatenate([np.zeros_like(sums.take([0], axis)), sums], axis=axis)
        high = np.minimum(np.arange(size) + near + 1, size)
        low = np.maximum(np.arange(size) - near, 0)
        shape = [1] * x.ndim
        shape[axis] = size
        x = (sums.take(high, axis) - sums.take(low, axis)) / (high - low).reshape(shape)
    return x.astype(np.float32)


def cell_means(size: int, cell: float) -> np.ndarray:
    """(n, size) matrix that averages pixels over cells of `cell` pixels, centred, n even.

    Interpolates if a cell is smaller than a pixel. Leaves out what lies beyond the border.
    """
    n = 2 * int(np.ceil(size / cell / 2 - 1e-9))
    edge = size / 2 + (np.arange(n + 1) - n / 2) * cell
    pixel = np.arange(size)
    if cell < 1:
        place = np.clip((edge[1:] + edge[:-1]) / 2 - 0.5, 0, size - 1)
        return np.maximum(0, 1 - np.abs(place[:, None] - pixel)).astype(np.float32)
    share = np.minimum(edge[1:, None], pixel + 1) - np.maximum(edge[:-1, None], pixel)
    share = np.clip(share, 0, None)
    return (share / share.sum(1, keepdims=True)).astype(np.float32)


def reduced(picture: np.ndarray, short: int) -> np.ndarray:
    """(h, w, 3) float32 cells of a picture (H, W, 3), `short` of them along the short side."""
    height, width = picture.shape[:2]
    cell = min(height, width) / short
    rows, columns = cell_means(height, cell), cell_means(width, cell)
    half = np.tensordot(rows, picture.astype(np.float32), 1)  # (h, W, 3)
    return np.einsum("xw,hwc->hxc", columns, half, optimize=True)


def folded(planes: np.ndarray, grid: int = GRID) -> np.ndarray:
    """(C, grid, grid) sum over all periods of (C, h, w), h and w even, the centre at (0, 0)."""
    channels, height, width = planes.shape
    tall, long = -(-height // (2 * grid)), -(-width // (2 * grid))
    canvas = np.zeros((channels, 2 * tall * grid, 2 * long * grid), np.float32)
    top, left = tall * grid - height // 2, long * grid - width // 2
    canvas[:, top : top + height, left : left + width] = planes
    return canvas.reshape(channels, 2 * tall, grid, 2 * long, grid).sum((1, 3))


def upright(flat: np.ndarray) -> np.ndarray:
    """(3, 128, 65) transform of a flattened picture (3, h, w) in its published geometry."""
    return np.fft.rfft2(folded(flat), norm="ortho") * half_cell(GRID)


def weighed(spectrum: np.ndarray, version: MarkVersion = LATEST) -> np.ndarray:
    """(2, 3, 128, 65) the numbers a in two weighings: for compressed marks, and for all others.

    The first is the matched filter for a mark of amplitudes `shape` after a codec. The second
    whitens: it divides each coefficient by the root of the power around it.
    """
    power = nearby_power(spectrum)
    return np.stack([weigh(spectrum, power, 0, version), weigh(spectrum, power, 1, version)])


def weigh(
    spectrum: np.ndarray, power: np.ndarray, weighing: int, version: MarkVersion = LATEST
) -> np.ndarray:
    """(3, 128, 65) the numbers a of one weighing, 0 or 1; `power` comes from `nearby_power`."""
    if weighing == 0:
        return spectrum / power * shape(power, version) * survival(version)
    return spectrum / np.sqrt(power) * band(version)


def nearby_power(spectrum: np.ndarray) -> np.ndarray:
    """(3, 128, 65) mean power of the coefficients around each, plus 1."""
    square = np.abs(spectrum) ** 2
    square[..., 0] = square[..., 1]
    around = np.fft.fftshift(square, axes=1)
    power = np.fft.ifftshift(blurred(around, 6), axes=1)
    return power + 1


def shape(power: np.ndarray, version: MarkVersion = LATEST, finer: float = 1.0) -> np.ndarray:
    """(3, 128, 65) amplitudes of the mark: smaller where the picture has power or codecs cut."""
    return band(version) * survival(version, finer) / coarseness_cost(version) / np.sqrt(power)


@cache
def coarseness_cost(version: MarkVersion) -> np.ndarray:
    """(128, 65) what energy costs at each radius: more if an eye sees patches.

    The eye's blur is a Gaussian whose sigma is 1/40 of the short side, as in `looks.difference`.
    """
    seen = np.exp(-2 * (np.pi * RADIUS / 40) ** 2)
    return 1 + version.patch_cost * seen**2


def turned(flat: np.ndarray, cells: float, angle: float, grid: int = GRID) -> np.ndarray:
    """(C, grid, grid) a flattened picture (C, h, w) resampled at `angle` degrees and folded.

    The short side gets `cells` cells, 128 to a period; a period gets `grid` samples.
    """
    import cv2

    height, width = flat.shape[1:]
    step = min(height, width) / cells * (GRID / grid)  # pixels per sample
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    tall = (abs(height * cos) + abs(width * sin)) / step
    long = (abs(height * sin) + abs(width * cos)) / step
    rows, columns = (2 * math.ceil(n / 2) for n in (tall, long))
    y, x = (0.5 - rows / 2) * step, (0.5 - columns / 2) * step  # of the first sample
    place = np.array([
        [cos * step, -sin * step, x * cos - y * sin + width / 2 - 0.5],
        [sin * step, cos * step, y * cos + x * sin + height / 2 - 0.5],
    ])  # fmt: skip
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP  # to 1/32 of a pixel; 0 outside
    return folded(
        np.stack([cv2.warpAffine(p, place, (columns, rows), flags=how) for p in flat]), grid
    )


@cache
def half_cell(grid: int) -> np.ndarray:
    """(grid, grid / 2 + 1) phases for the half cell from the picture's centre to cell (0, 0)."""
    down = np.fft.fftfreq(grid, 1 / grid)[:, None] + np.arange(grid // 2 + 1)[None]
    return np.exp(-1j * np.pi * down / grid)


def unshifted(spectrum: np.ndarray, place: Place) -> np.ndarray:
    """Undo a place's shift, then its mirroring, in a spectrum (..., 128, 65)."""
    down = np.exp(2j * np.pi / GRID * place.down * np.fft.fftfreq(GRID, 1 / GRID))[:, None]
    across = np.exp(2j * np.pi / GRID * place.across * np.arange(HALF))
    spectrum = spectrum * (down * across)
    return mirrored(spectrum) if place.mirrored else spectrum


def mirrored(spectrum: np.ndarray) -> np.ndarray:
    """The transform of the mirrored picture: x to -x."""
    return np.conj(np.roll(spectrum[..., ::-1, :], 1, axis=-2))
