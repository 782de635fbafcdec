"""Convert coded colours to sRGB: primaries, transfer functions and HDR tone mapping.

Primaries and transfer functions have the numbers of ITU-T H.273, tables 2 and 3, as in MP4,
Matroska, H.264, HEVC and PNG's cICP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

D65, C = (0.3127, 0.3290), (0.310, 0.316)  # x and y of the white points
XY = tuple[float, float]
# x and y of red, green, blue and white by number. Source: H.273, table 2.
PRIMARIES: dict[int, tuple[XY, XY, XY, XY]] = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65),  # BT.709, sRGB
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), C),  # NTSC of 1953
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65),  # BT.601, 625 lines
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),  # BT.601, 525 lines
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),  # SMPTE ST 240
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), C),  # film
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65),  # BT.2020, BT.2100
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),  # DCI P3
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65),  # Display P3
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65),  # EBU Tech 3213
}
UNKNOWN, BT709, BT2020 = 2, 1, 9  # numbers of primaries: H.273, table 2
BT601 = (5, 6, 7)  # primaries of 625 lines, of 525 lines and of SMPTE 240M
GAMMA28, LINEAR, SRGB, PQ, HLG = 5, 8, 13, 16, 18  # transfer functions: H.273, table 3
HDR = (PQ, HLG)
WHITE = 203.0  # cd/m2 of HDR reference white, shown as SDR white: BT.2408, section 2.2
BRIGHTEST = 1000.0  # cd/m2 if a video declares none: BT.2100's HLG display, and usual for PQ
# Bradford's cone response matrix, from XYZ, for chromatic adaptation.
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


@dataclass(frozen=True)
class Coding:
    """The colour coding of a picture: primaries and transfer function by their H.273 numbers."""

    primaries: int
    transfer: int
    brightest: float = BRIGHTEST  # peak luminance in cd/m2; used for PQ only

    @property
    def plain(self) -> bool:
        """Whether the values are used as sRGB without conversion, as players do.

        Players show sRGB and the transfer functions of SDR video (BT.709, BT.601, BT.2020, gamma
        2.2) alike. Most also show the primaries of BT.601's two systems as BT.709's; the difference
        is 6 grey levels at most.
        """
        return self.primaries in (BT709, *BT601) and self.transfer not in (GAMMA28, LINEAR, *HDR)


def coding(primaries: int, transfer: int, brightest: float = BRIGHTEST) -> Coding:
    """A coding; unknown primaries become BT.2020 for HDR, else BT.709."""
    if primaries not in PRIMARIES:
        primaries = BT2020 if transfer in HDR else BT709
    return Coding(primaries, transfer, brightest)


@lru_cache
def to_bt709(primaries: tuple[XY, XY, XY, XY]) -> np.ndarray:
    """The matrix (3, 3) from linear RGB of these primaries to BT.709, white to white (Bradford).

    Raises np.linalg.LinAlgError for degenerate primaries.
    """
    source, target = xyz_of(primaries), xyz_of(PRIMARIES[BT709])
    if primaries[3] != D65:
        ours, theirs = BRADFORD @ target.sum(1), BRADFORD @ source.sum(1)
        source = np.linalg.inv(BRADFORD) @ np.diag(ours / theirs) @ BRADFORD @ source
    return np.linalg.inv(target) @ source


def xyz_of(primaries: tuple[XY, XY, XY, XY]) -> np.ndarray:
    """The matrix (3, 3) from linear RGB to XYZ, white at Y = 1. Source: SMPTE RP 177."""
    x, y = np.array(primaries, float).T
    if not (y > 0).all():
        raise np.linalg.LinAlgError("a primary has no luminance")
    columns = np.stack([x / y, np.ones(4), (1 - x - y) / y])  # (XYZ, RGBW)
    scale = np.linalg.solve(columns[:, :3], columns[:, 3])
    return columns[:, :3] * scale


def shown(rgb: np.ndarray, coded: Coding, *, photo: bool = False) -> np.ndarray:
    """Convert coded R'G'B' (..., 3) in [0, 1] to sRGB in [0, 1], as players show it on SDR screens.

    SDR is converted to BT.709 primaries in linear light. HDR is converted to display light, then to
    BT.709 primaries, then tone-mapped to SDR white. Colours outside the gamut are clipped. The
    result has the transfer function of sRGB if `photo`, else that of SDR video.
    """
    matrix = to_bt709(PRIMARIES[coded.primaries])
    if coded.transfer in HDR:
        luma = xyz_of(PRIMARIES[coded.primaries])[1]
        nits = pq(rgb) if coded.transfer == PQ else hlg(rgb, luma)
        brightest = coded.brightest if coded.transfer == PQ else BRIGHTEST
        light = tone_mapped(np.maximum(nits @ matrix.T, 0), brightest) / WHITE
    elif coded.transfer == LINEAR:
        light = rgb @ matrix.T
    elif coded.transfer == GAMMA28:
        light = rgb**2.8 @ matrix.T
    elif coded.transfer == SRGB:
        return srgb(linear(rgb) @ matrix.T)
    else:
        return bt1886_inverse(bt1886(rgb) @ matrix.T)
    return srgb(light) if photo else bt1886_inverse(light)


def bt1886(video: np.ndarray) -> np.ndarray:
    """SDR video values to display light. Source: BT.1886, annex 1, with black at 0."""
    return video**2.4


def bt1886_inverse(light: np.ndarray) -> np.ndarray:
    """The inverse of `bt1886`; clips light to [0, 1]."""
    return light.clip(0, 1) ** (1 / 2.4)


def linear(coded: np.ndarray) -> np.ndarray:
    """sRGB values to linear light. Source: IEC 61966-2-1, section 5.2."""
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def srgb(light: np.ndarray) -> np.ndarray:
    """The inverse of `linear`; clips light to [0, 1]."""
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


# Constants of PQ. Source: SMPTE ST 2084; BT.2100, table 4.
M1, M2 = 2610 / 16384, 2523 / 4096 * 128
C1, C2, C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def pq(coded: np.ndarray) -> np.ndarray:
    """PQ values to light in cd/m2. Source: BT.2100, table 4, reference PQ EOTF."""
    power = coded ** (1 / M2)
    return 10_000 * (np.maximum(power - C1, 0) / (C2 - C3 * power)) ** (1 / M1)


def pq_inverse(nits: np.ndarray) -> np.ndarray:
    """Light in cd/m2 to PQ values. Source: BT.2100, table 4, reference PQ inverse EOTF."""
    power = (nits / 10_000) ** M1
    return ((C1 + C2 * power) / (1 + C3 * power)) ** M2


def hlg(coded: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """HLG values to light in cd/m2 on a display of 1,000 cd/m2.

    luma: (3,) weights of red, green and blue in the luminance. Source: BT.2100, table 5, HLG
    inverse OETF and reference OOTF with gamma 1.2.
    """
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - c) / a) + b) / 12)
    return BRIGHTEST * scene * (scene @ luma)[..., None] ** 0.2


def tone_mapped(nits: np.ndarray, brightest: float) -> np.ndarray:
    """Tone-map light (..., 3) in cd/m2 from a peak of `brightest` to SDR white, keeping the hue.

    Values below a knee are unchanged; above it a Hermite spline compresses them. The knee is the
    highest that keeps the spline monotone. Source: BT.2390-11, section 5.4.1, EETF with black at 0,
    applied to the largest of R, G and B.
    """
    if brightest <= WHITE:
        return np.minimum(nits, WHITE)
    top, white = pq_inverse(np.array([brightest, WHITE]))
    largest = nits.max(-1, keepdims=True)
    e = np.minimum(pq_inverse(largest) / top, 1)
    high = white / top
    knee = 1.5 * high - 0.5
    t = ((e - knee) / (1 - knee)).clip(0)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (3 * t**2 - 2 * t**3) * high
    )
    mapped = pq(np.where(e < knee, e, spline) * top)
    return np.where(e < knee, nits, nits * (mapped / np.maximum(largest, 1e-6)))


def table(of: Callable[[np.ndarray], np.ndarray], side: int) -> np.ndarray:
    """Sample `of` on an RGB grid: (side, side, side, 3), with red changing fastest."""
    steps = np.linspace(0, 1, side)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    return of(np.stack([red, green, blue], -1))
