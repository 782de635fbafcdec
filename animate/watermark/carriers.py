"""The carriers of the mark: which cosine coefficients speak for which bit, and with which sign.

The centre square of a picture is thought of as a grid of 128 x 128 in Y, Cb, Cr (ITU-R BT.601, full
range), whatever its size, and taken to the cosine domain. All of this belongs to a version of the
mark and never changes within it, so that a reader needs no settings.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import cache

import numpy as np

from animate.watermark.payload import CODE_BITS

VERSIONS = (1,)
GRID = 128
PILOT = 62  # coefficients of the pilot beside every 352 of the code: 15 % of the energy

FORWARD = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)
BACKWARD = np.linalg.inv(FORWARD)


@dataclass(frozen=True)
class Layout:
    """Which coefficient speaks for which bit. K coefficients, flat indices into (3, 128, 128)."""

    index: np.ndarray  # (K,)
    slot: np.ndarray  # (K,) 0..351 a code bit, 352 the pilot
    mirror: np.ndarray  # (K,) +-1: what a left-right flip does to the coefficient


RADIUS = np.hypot(*np.mgrid[:GRID, :GRID])  # half cycles across the square


def band() -> np.ndarray:
    """(3, 128, 128) where the mark may be and how strong in each channel: mostly chroma.

    Chroma in waves of 6 to 32 pixels of 256, luma finer: coarser waves drown in the picture.
    """
    chroma = np.where((RADIUS >= 16) & (RADIUS < 84), 1.0, 0.0)
    luma = np.where((RADIUS >= 48) & (RADIUS < 120), 0.15, 0.0)
    return np.stack([luma, chroma, chroma])


def survival() -> np.ndarray:
    """(3, 128, 128) about what share of an amplitude H.264 keeps at usual rates."""
    chroma = 1 / (1 + (RADIUS / 42) ** 4)
    return np.stack([1 / (1 + (RADIUS / 56) ** 3), chroma, chroma])


@cache
def layout(version: int = 1) -> Layout:
    """The layout of a version, the same for everybody.

    Drawn, like the signs, from SHAKE-256 and not from a random generator, whose stream a library
    may change: a mark has to be readable for good.
    """
    order = np.argsort(np.tile(RADIUS.reshape(-1), 3), kind="stable")
    index = order[band().reshape(-1)[order] > 0]
    block = CODE_BITS + PILOT  # coefficients of like radius, shared out at random
    index = index[: len(index) // block * block]
    draw = hashlib.shake_256(f"animate mark {version} layout".encode()).digest(4 * len(index))
    rank = np.argsort(np.frombuffer(draw, "<u4").reshape(-1, block), axis=1, kind="stable")
    slot = np.minimum(rank.reshape(-1), CODE_BITS)
    return Layout(index, slot, 1.0 - 2.0 * (index % GRID % 2))


def signs(key: bytes, version: int = 1) -> np.ndarray:
    """(K,) the +-1 of a key: HMAC-SHA256 seeds SHAKE-256."""
    count = len(layout(version).index)
    seed = hmac.new(key, f"animate mark {version} signs".encode(), hashlib.sha256).digest()
    draw = hashlib.shake_256(seed).digest(-(-count // 8))
    return 1.0 - 2.0 * np.unpackbits(np.frombuffer(draw, np.uint8))[:count]


def cosines(size: int) -> np.ndarray:
    """(128, size): the grid's cosines at `size` pixel centres; 0 past what they can hold."""
    rank = np.arange(GRID)[:, None]
    basis = np.cos(np.pi * rank * (2 * np.arange(size) + 1) / (2 * size)) * np.sqrt(2 / GRID)
    basis[0] /= np.sqrt(2)
    basis[size:] = 0
    return basis


def means(size: int, cells: int) -> np.ndarray:
    """(cells, size): averages of `size` pixels over equal cells; interpolates if fewer."""
    if size < cells:
        place = np.clip((np.arange(cells) + 0.5) * size / cells - 0.5, 0, size - 1)
        return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(size)))
    edge = np.arange(cells + 1) * (size / cells)
    pixel = np.arange(size)
    share = np.minimum(edge[1:, None], pixel + 1) - np.maximum(edge[:-1, None], pixel)
    return np.clip(share, 0, None) * (cells / size)


def centre(height: int, width: int) -> tuple[slice, slice]:
    """The centre square of a picture."""
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return slice(top, top + side), slice(left, left + side)
