"""How much of a change a picture hides: masking by texture and colour, visible difference."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from animate.watermark.carriers import FORWARD
from animate.watermark.spectrum import blurred

CLOSE = 6.0  # pixels: sigma of the blur with which an eye sees a picture at an arm's length
SEEN = 99  # percentile over the picture of the difference that counts
COLOURFUL = 15.0  # chroma C* from which on, in a twentieth of it, a picture counts as coloured

LINEAR_TO_LAB = np.array(  # linear sRGB to XYZ relative to D65 (IEC 61966-2-1)
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
) / np.array([[0.9505], [1.0], [1.089]])
WHITER = 7  # power in the correction of CIEDE2000 for nearly neutral colours


def lab(cells: np.ndarray) -> np.ndarray:
    """(h, w, 3) CIELAB of sRGB cells (h, w, 3), grey levels."""
    s = np.clip(cells, 0, 255) / 255
    linear = np.where(s > 0.04045, ((s + 0.055) / 1.055) ** 2.4, s / 12.92)
    xyz = linear @ LINEAR_TO_LAB.T
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def stretch(chroma: np.ndarray) -> np.ndarray:
    """Factor of a* in CIEDE2000: up to 1.5 for nearly neutral colours."""
    high = chroma**WHITER
    return 1.5 - 0.5 * np.sqrt(high / (high + 25.0**WHITER))


def difference(plain: np.ndarray, marked: np.ndarray, sigma: float) -> float:
    """99th percentile of CIEDE2000 between two pictures in cells (h, w, 3), blurred by sigma cells.

    Leaves out the terms that depend on the hue. Source: Sharma, Wu, Dalal, The CIEDE2000
    color-difference formula, Color Research and Application 30 (2005), eq. 2 to 22.
    """
    one, two = (lab(softened(cells, sigma)) for cells in (plain, marked))
    lightness, a, b = np.moveaxis((one + two) / 2, -1, 0)
    change = two - one
    wide = stretch(np.hypot(a, b))
    a, change_a = a * wide, change[..., 1] * wide
    chroma = np.hypot(a, b) + 1e-6
    along = (a * change_a + b * change[..., 2]) / chroma
    across = (a * change[..., 2] - b * change_a) / chroma
    middle = (lightness - 50) ** 2
    dark = change[..., 0] / (1 + 0.015 * middle / np.sqrt(20 + middle))
    parts = dark**2 + (along / (1 + 0.045 * chroma)) ** 2 + (across / (1 + 0.015 * chroma)) ** 2
    return float(np.percentile(np.sqrt(parts), SEEN)) + 1e-6


def softened(cells: np.ndarray, sigma: float) -> np.ndarray:
    """Cells (h, w, 3) after a Gaussian blur, by repeated binomials."""
    for axis in (0, 1):
        cells = np.moveaxis(cells, axis, 0)
        for _ in range(round(2 * sigma**2)):
            around = np.concatenate([cells[:1], cells, cells[-1:]])
            cells = (around[:-2] + 2 * cells + around[2:]) / 4
        cells = np.moveaxis(cells, 0, axis)
    return cells


def colourfulness(cells: np.ndarray) -> float:
    """0 for a picture without colours (cells, h, w, 3) to 1 for a coloured one."""
    chroma = np.hypot(*np.moveaxis(lab(softened(cells, 3))[..., 1:], -1, 0))
    return min(float(np.percentile(chroma, 95)) / COLOURFUL, 1.0)


def colour_masking(cells: np.ndarray) -> np.ndarray:
    """(h, w) how much change of colour a picture (h, w, 3) hides: least where it is neutral."""
    chroma = np.hypot(*np.moveaxis(lab(cells)[..., 1:], -1, 0))
    hidden = (1 + 0.03 * chroma) / stretch(chroma)  # between S_C and S_H
    return blurred(hidden.astype(np.float32), 1)


def visual_masking(cells: np.ndarray) -> np.ndarray:
    """(h, w) how much change a picture (h, w, 3) hides: little where it is flat and bright."""
    luma = cells @ FORWARD[0].astype(np.float32)
    mean = blurred(luma, 2)
    busy = np.sqrt(blurred((luma - mean) ** 2, 2))  # a slope counts as flat
    around = sliding_window_view(np.pad(busy, 2, mode="edge"), (5, 5))
    busy = around.min((2, 3))  # so does a flat area beside an edge
    busy /= busy + 3
    bright = np.clip((mean - 60) / 90, 0, 1)
    return blurred((0.5 + 0.8 * busy) * (1 - 0.6 * bright * (1 - busy)), 1)
