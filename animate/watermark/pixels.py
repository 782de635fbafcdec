"""Put the mark into frames and find it again: keyed spread spectrum in the cosine domain, mostly in chroma.

The picture's centre square is thought of as a grid of 128 x 128 in Y, Cb, Cr (BT.601, full range) and taken to
the cosine domain. Each coefficient of a band has a keyed random sign and belongs to the pilot (known) or to one
of the 352 code bits. Embedding adds the same small field to every frame, scaled by what the eye forgives.

Detection averages the frames, and from there every step up to the numbers a_k looks only at the picture, never
at the key: flatten, whiten, weigh. Then S = sum(s_k a_k) / |a|. A picture that was not marked under a key is
independent of that key's signs s_k, so by Hoeffding's inequality P(S >= t) <= exp(-t^2 / 2), whatever the
picture is: a proof, not a fit. Over N hypotheses the union bound gives p <= N exp(-t^2 / 2). Two statistics
share the risk, half each, and each is tried on the picture and on its mirror image, in every known version:

* the pilot's: N = 2 (halves) x 2 (mirror) x versions;
* the best code word's, over all code coefficients: the decoder can only return one of 2^88 code words, so
  N = 2^88 x 2 x 2 x versions. It needs S > 12.6 or so, which any payload that can be read exceeds.

Neither looks at the check code, which only decides whether a payload is reported.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from animate.errors import AnimateError
from animate.watermark import payload as bits
from animate.watermark.payload import TOOLKIT_KEY, Payload

VERSIONS = (1,)
GRID = 128
DEFAULT = 2.37  # grey levels, root mean square over R, G, B: 40.6 dB
FLOOR = 2.0  # 42.1 dB; weaker marks do not survive publishing for sure
CEILING = 8.0
THRESHOLD = 1e-6  # false positives per file, over all hypotheses
PILOT = 62  # coefficients of the pilot beside every 352 of the code: 15 % of the energy

FORWARD = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
BACKWARD = np.linalg.inv(FORWARD)  # ITU-R BT.601, full range


@dataclass(frozen=True)
class Mark:
    """What to embed. `strength` is the change of a picture in grey levels (root mean square over R, G, B)."""

    payload: Payload
    key: bytes = TOOLKIT_KEY
    strength: float = DEFAULT

    def __post_init__(self) -> None:
        if not FLOOR <= self.strength <= CEILING:
            raise AnimateError(f"watermark strength {self.strength}: use {FLOOR} to {CEILING} (default {DEFAULT}); "
                               "the mark can't be switched off")
        if not self.payload.authentic(self.key):
            raise AnimateError("the watermark's payload was made with another key: use Payload.of(claim, key)")


@dataclass(frozen=True)
class Detection:
    """What was found under one key; p_value = min(1, hypotheses * exp(-statistic^2 / 2)) for statistic > 0."""

    marked: bool  # p_value <= 1e-6
    p_value: float  # a proven upper bound, all hypotheses counted
    payload: Payload | None  # only where marked and its check code fits
    authentic: bool  # the payload's HMAC is the key's
    statistic: float
    hypotheses: int
    version: int | None


# ---------------------------------------------------------------- carriers


@dataclass(frozen=True)
class Carriers:
    """Where and with which sign each coefficient speaks. K coefficients, flat indices into (3, 128, 128)."""

    index: np.ndarray  # (K,) sorted by radius within its channel
    slot: np.ndarray  # (K,) 0..351 a code bit, 352 the pilot
    sign: np.ndarray  # (K,) +-1, keyed
    mirror: np.ndarray  # (K,) +-1: what a left-right flip does to the coefficient


RADIUS = np.hypot(*np.mgrid[:GRID, :GRID])  # half cycles across the square


def amplitudes() -> np.ndarray:
    """(3, 128, 128) relative embedding amplitude: chroma at 4 to 16 pixels' wavelength of 256, a little luma."""
    chroma = np.where((RADIUS >= 20) & (RADIUS < 52), 1.0, 0.0)
    luma = np.where((RADIUS >= 48) & (RADIUS < 120), 0.15, 0.0)
    return np.stack([luma, chroma, chroma])


def survival() -> np.ndarray:
    """(3, 128, 128) share of the amplitude that a usual H.264 or JPEG file keeps, for weighing only."""
    chroma = 1 / (1 + (RADIUS / 36) ** 3)
    return np.stack([1 / (1 + (RADIUS / 56) ** 3), chroma, chroma])


@lru_cache(maxsize=8)
def carriers(key: bytes, version: int = 1) -> Carriers:
    """The layout of a version, the same for everybody, and the signs of a key.

    Drawn from SHAKE-256 rather than from a random generator, whose stream a library may change.
    """
    band = amplitudes().reshape(-1)
    order = np.argsort(np.tile(RADIUS.reshape(-1), 3), kind="stable")
    index = order[band[order] > 0]
    index = index[: len(index) // (bits.CODE_BITS + PILOT) * (bits.CODE_BITS + PILOT)]
    draw = hashlib.shake_256(f"animate mark {version} layout".encode()).digest(4 * len(index))
    block = np.frombuffer(draw, "<u4").reshape(-1, bits.CODE_BITS + PILOT)
    slot = np.minimum(np.argsort(block, axis=1, kind="stable").reshape(-1), bits.CODE_BITS)
    draw = hashlib.shake_256(f"animate mark {version} signs".encode() + key).digest(-(-len(index) // 8))
    sign = 1.0 - 2.0 * np.unpackbits(np.frombuffer(draw, np.uint8))[: len(index)]
    return Carriers(index, slot, sign, 1.0 - 2.0 * (index % GRID % 2))


def _cosines(size: int) -> np.ndarray:
    """(128, size): the grid's 128 cosine functions at the centres of `size` pixels; none past what they can hold."""
    rank = np.arange(GRID)[:, None]
    basis = np.cos(np.pi * rank * (2 * np.arange(size) + 1) / (2 * size)) * np.sqrt(2 / GRID)
    basis[0] /= np.sqrt(2)
    basis[size:] = 0
    return basis


def _means(size: int, cells: int) -> np.ndarray:
    """(cells, size): averages of `size` pixels over equal cells, or between pixels where there are fewer."""
    if size < cells:
        place = np.clip((np.arange(cells) + 0.5) * size / cells - 0.5, 0, size - 1)
        return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(size)))
    edge = np.arange(cells + 1) * (size / cells)
    pixel = np.arange(size)
    share = np.minimum(edge[1:, None], pixel + 1) - np.maximum(edge[:-1, None], pixel)
    return np.clip(share, 0, None) * (cells / size)


def _square(height: int, width: int) -> tuple[slice, slice]:
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return slice(top, top + side), slice(left, left + side)


# ---------------------------------------------------------------- embedding


class Embedder:
    """Marks frames of one size, one at a time: `marked = embedder(frame)`, both uint8 (H, W, 3) RGB.

    The change of a frame never exceeds the mark's strength (root mean square over the centre square); it is
    weaker where the picture is flat and bright, where a mottle of colour would show first.
    """

    CELLS = 32

    def __init__(self, mark: Mark, height: int, width: int):
        if min(height, width) < 16:
            raise AnimateError(f"a picture of {width}x{height} is too small for a watermark: use 16x16 or more")
        self.shape, self.strength = (height, width, 3), mark.strength
        self.square = _square(height, width)
        side = min(height, width)
        c = carriers(mark.key, mark.payload.version)
        symbols = np.append(bits.encode(mark.payload), 1.0)[c.slot]
        spectrum = np.zeros(3 * GRID * GRID)
        spectrum[c.index] = amplitudes().reshape(-1)[c.index] * c.sign * symbols
        basis = _cosines(side)
        field = np.stack([basis.T @ s @ basis for s in spectrum.reshape(3, GRID, GRID)], axis=-1) @ BACKWARD.T
        self.field = (field / np.sqrt(np.mean(field**2))).astype(np.float32)  # (side, side, 3)
        self.power = np.mean(self.field**2, axis=-1)  # (side, side)
        self.step = max(1, side // 128)
        self.cell = _means(len(range(0, side, self.step)), self.CELLS).astype(np.float32)
        spread = np.arange(side, dtype=np.float32)[:, None] * (self.CELLS / side) + (0.5 * self.CELLS / side - 0.5)
        hat = np.maximum(0, 1 - np.abs(np.clip(spread, 0, self.CELLS - 1) - np.arange(self.CELLS)))
        self.spread = hat.astype(np.float32)  # (side, CELLS), linear between cell centres

    def mask(self, square: np.ndarray) -> np.ndarray:
        """(side, side) what the eye forgives: more where luma is busy or dark, less where it is flat and bright."""
        luma = square[:: self.step, :: self.step] @ FORWARD[0].astype(np.float32)
        mean = self.cell @ luma @ self.cell.T  # (CELLS, CELLS)
        busy = np.sqrt(np.maximum(self.cell @ luma**2 @ self.cell.T - mean**2, 0))
        busy /= busy + 4
        bright = np.clip((mean - 100) / 60, 0, 1)
        mask = (0.4 + busy) * (1 - 0.5 * bright * (1 - busy))
        return self.spread @ mask @ self.spread.T

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        if frame.shape != self.shape or frame.dtype != np.uint8:
            raise AnimateError(f"the watermark expects uint8 frames of {self.shape}, got {frame.dtype} {frame.shape}")
        out = frame.copy()
        square = out[self.square]
        mask = self.mask(square)
        rms = math.sqrt(float(np.mean(mask * mask * self.power)))
        mask *= min(math.sqrt(self.strength**2 - 1 / 12) / rms, 2 * self.strength)
        change = self.field * mask[..., None]
        change += square
        np.rint(change, out=change)
        np.clip(change, 0, 255, out=change)
        square[...] = change
        return out


# ---------------------------------------------------------------- detection


def detect(frames: Iterable[np.ndarray], key: bytes = TOOLKIT_KEY) -> Detection:
    """Look for a mark under `key` in frames of one size (uint8 (H, W, 3) RGB); a still is one frame.

    Constant memory: the frames are summed as they come.
    """
    return find(features(average(frames)), key)


def average(frames: Iterable[np.ndarray]) -> np.ndarray:
    """(side, side, 3) the mean of the frames' centre squares, RGB."""
    total, count = None, 0
    for frame in frames:
        square = frame[_square(*frame.shape[:2])]
        if total is None:
            total = square.astype(np.float64)
        elif total.shape != square.shape:
            raise AnimateError(f"frame {count} is {frame.shape[1]}x{frame.shape[0]}, unlike those before: "
                               "verify files of one frame size")
        else:
            total += square
        count += 1
    if total is None:
        raise AnimateError("no frame to look for a watermark in: use a picture or a clip with at least one frame")
    return total / count


def features(mean: np.ndarray) -> np.ndarray:
    """(3 * 128 * 128,) the key-independent numbers a of a mean picture: flattened, whitened, weighed."""
    cells = _means(mean.shape[0], GRID)
    basis = _cosines(GRID)
    out = []
    for channel, weight in zip(np.moveaxis(mean @ FORWARD.T, -1, 0), amplitudes() * survival(), strict=True):
        spectrum = basis @ (cells @ channel @ cells.T) @ basis.T
        high = basis.T @ (spectrum * (RADIUS >= 16)) @ basis
        gain = (_blur(high**2, 6) + 1.0) ** -0.75  # busy places count less
        flat = high * gain
        limit = 3 * np.sqrt(np.mean(flat**2)) + 1e-9
        spectrum = basis @ np.clip(flat, -limit, limit) @ basis.T
        out.append(spectrum * gain.mean() / (_blur(spectrum**2, 6) + 1e-12) * weight)
    return np.stack(out).reshape(-1)


def _blur(x: np.ndarray, reach: int) -> np.ndarray:
    """Mean over a window of 2 * reach + 1 on each axis, cut at the edges."""
    place = np.arange(GRID)
    window = (np.abs(place[:, None] - place) <= reach).astype(float)
    window /= window.sum(1, keepdims=True)
    return window @ x @ window.T


def find(a: np.ndarray, key: bytes = TOOLKIT_KEY) -> Detection:
    """The decision over all hypotheses, given the features of a picture."""
    best = Detection(False, 1.0, None, False, 0.0, 1, None)
    for version in VERSIONS:
        c = carriers(key, version)
        for side in (np.ones_like(c.mirror), c.mirror):
            speech = a[c.index] * c.sign * side
            for statistic, hypotheses, message in _statistics(speech, c.slot):
                p = _bound(statistic, hypotheses)
                if p < best.p_value or best.version is None:
                    said = bits.checked(message)
                    best = Detection(p <= THRESHOLD, p, said, said is not None and said.authentic(key),
                                     statistic, hypotheses, version)
    return best


def _statistics(speech: np.ndarray, slot: np.ndarray):
    pilot = speech[slot == bits.CODE_BITS]
    code = np.where(slot < bits.CODE_BITS, speech, 0)
    soft = np.bincount(slot, speech, bits.CODE_BITS + 1)[:-1]
    message = bits.decode(soft)
    tries = 2 * 2 * len(VERSIONS)
    yield pilot.sum() / (np.linalg.norm(pilot) + 1e-300), tries, message
    yield soft @ bits.code_signs(message) / (np.linalg.norm(code) + 1e-300), tries << bits.MESSAGE_BITS, message


def _bound(statistic: float, hypotheses: int) -> float:
    return min(1.0, math.exp(math.log(hypotheses) - max(statistic, 0.0) ** 2 / 2))
