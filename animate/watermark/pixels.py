"""Put the mark into frames and find it again: keyed spread spectrum, mostly in chroma.

Each cosine coefficient of a band (carriers.py) has a keyed random sign and belongs to the pilot,
which is known, or to one of the 352 code bits. Embedding adds the same small field to every frame,
scaled by what the eye forgives there.

Detection averages the frames; from there every step up to the numbers a_k looks only at the picture
and never at the key: flatten, whiten, weigh. Then S = sum(s_k a_k) / |a|. A picture that was not
marked under a key is independent of that key's signs s_k, so by Hoeffding's inequality
P(S >= t) <= exp(-t^2 / 2) whatever the picture is: a proof, not a fit. Over N hypotheses the union
bound gives p <= N exp(-t^2 / 2). Two statistics share the risk, half each, and each is tried on the
picture and on its mirror image, in every known version:

* the pilot's: N = 2 (statistics) x 2 (mirror) x versions x keys;
* the best code word's, over all code coefficients: the decoder can only return one of 2^88 code
  words, so N = 2^88 x 2 x 2 x versions x keys. It takes S > 12.4, which a readable payload exceeds.

Neither looks at the check code, which only decides whether a payload is reported. The proof takes
the signs for random (they are HMAC-SHA256 and SHAKE-256 of the key), and says nothing of a picture
whose maker knows the key: under the public toolkit key, a mark can be forged.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, islice, product

import numpy as np

from animate.errors import AnimateError
from animate.watermark import payload as bits
from animate.watermark.carriers import (
    BACKWARD,
    FORWARD,
    GRID,
    RADIUS,
    VERSIONS,
    band,
    centre,
    cosines,
    layout,
    means,
    signs,
    survival,
)
from animate.watermark.payload import TOOLKIT_KEY, Payload, key_id

DEFAULT = 2.37  # grey levels, root mean square over R, G, B: 40.6 dB
FLOOR = 2.0  # 42.1 dB; weaker marks do not survive publishing for sure
CEILING = 8.0
THRESHOLD = 1e-6  # false positives per file, over all hypotheses
SECOND = 1e-3  # false positives per second of a file that is marked
TINY = 1e-300  # keeps a picture without any detail from dividing by nothing


@dataclass(frozen=True)
class Mark:
    """What to embed: a payload, the key it was made with, and a strength.

    `strength` is the change of a picture in grey levels, root mean square over R, G, B, from FLOOR
    to CEILING. AnimateError for a strength outside, or a payload of another key or unknown version.
    """

    payload: Payload
    key: bytes = TOOLKIT_KEY
    strength: float = DEFAULT

    def __post_init__(self) -> None:
        number = isinstance(self.strength, (int, float))
        if not number or not FLOOR <= self.strength <= CEILING:
            raise AnimateError(
                f"watermark strength {self.strength}: use {FLOOR} to {CEILING} "
                f"(default {DEFAULT}); the mark can't be switched off"
            )
        if self.payload.version not in VERSIONS:
            raise AnimateError(
                f"watermark version {self.payload.version} is unknown: use one of {VERSIONS}"
            )
        if not self.payload.authentic(self.key):
            raise AnimateError(
                "the watermark's payload was made with another key: use Payload.of(claim, key)"
            )


@dataclass(frozen=True)
class Detection:
    """What was found under all the keys tried; p_value = bound(statistic, hypotheses)."""

    marked: bool  # p_value <= 1e-6
    p_value: float  # a proven upper bound, all hypotheses counted
    payload: Payload | None  # only where marked and its check code fits
    authentic: bool  # the payload's HMAC is the key's
    statistic: float
    hypotheses: int
    version: int | None
    key_id: int | None = None  # of the key that the mark answers to
    seconds: tuple[tuple[float, float], ...] = ()  # from, to: where the mark is, in order


# ---------------------------------------------------------------- embedding


class Embedder:
    """Marks frames of one size, one at a time: `embedder(frame)`, uint8 (H, W, 3) RGB in and out.

    Only the centre square changes, by no more than the mark's strength (root mean square); less
    where the picture is flat and bright, where a mottle of colour would show first. The first frame
    shapes the mark and all later ones get the same: one embedder for each file, frames in order.
    """

    CELLS = 32

    def __init__(self, mark: Mark, height: int, width: int):
        if min(height, width) < self.CELLS:
            raise AnimateError(
                f"a picture of {width}x{height} is too small for a mark: use {self.CELLS} a side"
            )
        self.mark, self.shape = mark, (height, width, 3)
        self.square = centre(height, width)
        self.field: np.ndarray | None = None  # (side, side, 3), root mean square 1
        side = min(height, width)
        self.step = max(1, side // 128)
        seen = len(range(0, side, self.step))
        self.edges = np.arange(self.CELLS) * seen // self.CELLS
        self.count = np.diff(np.append(self.edges, seen))
        place = np.clip((np.arange(side) + 0.5) * self.CELLS / side - 0.5, 0, self.CELLS - 1)
        self.low = np.minimum(place.astype(int), self.CELLS - 2)
        self.between = (place - self.low).astype(np.float32)

    def mask(self, square: np.ndarray) -> np.ndarray:
        """(side, side) what the eye forgives: more in busy places, less in flat bright ones."""
        red, green, blue = np.moveaxis(square[:: self.step, :: self.step].astype(np.float32), -1, 0)
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        mean = self._cells(luma)  # (CELLS, CELLS)
        busy = np.sqrt(np.maximum(self._cells(luma**2) - mean**2, 0))
        busy /= busy + 4
        bright = np.clip((mean - 100) / 60, 0, 1)
        mask = (0.6 + 0.7 * busy) * (1 - 0.45 * bright * (1 - busy))
        return self._spread(self._spread(mask.astype(np.float32)).T).T

    # A matrix product would be shorter; for so small ones BLAS wakes threads that cost more.
    def _cells(self, x: np.ndarray) -> np.ndarray:
        sums = np.add.reduceat(np.add.reduceat(x, self.edges, 0), self.edges, 1)
        return sums / np.outer(self.count, self.count)

    def _spread(self, cells: np.ndarray) -> np.ndarray:
        """(CELLS, n) to (side, n), linear between the cells' centres."""
        low, between = cells[self.low], self.between[:, None]
        return low + between * (cells[self.low + 1] - low)

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        if frame.shape != self.shape or frame.dtype != np.uint8:
            raise AnimateError(
                f"the watermark expects uint8 frames of {self.shape}, "
                f"got {frame.dtype} {frame.shape}: cut or resize them first"
            )
        out = frame.copy()
        square = out[self.square]
        if self.field is None:
            self.field = _field(self.mark, square)
            self.power = np.mean(self.field**2, axis=-1)  # (side, side)
        mask = self.mask(square)
        rms = math.sqrt(float(np.mean(mask * mask * self.power)))
        strength = self.mark.strength
        mask *= min(math.sqrt(strength**2 - 1 / 12) / rms, 2 * strength)  # 1/12 is for rounding
        change = self.field * mask[..., None]
        change += square
        np.rint(change, out=change)
        np.clip(change, 0, 255, out=change)
        square[...] = change
        return out


def _field(mark: Mark, square: np.ndarray) -> np.ndarray:
    """(side, side, 3) what a mark adds to a picture in R, G, B, at a root mean square of 1."""
    where = layout(mark.payload.version)
    symbols = np.append(bits.encode(mark.payload), 1.0)[where.slot]
    _, power = _spectrum(square.astype(float))
    spectrum = np.zeros(3 * GRID * GRID)
    spectrum[where.index] = _shape(power).reshape(-1)[where.index] * symbols
    spectrum[where.index] *= signs(mark.key, mark.payload.version)
    basis = cosines(square.shape[0])
    field = basis.T @ spectrum.reshape(3, GRID, GRID) @ basis  # (3, side, side)
    field = np.moveaxis(field, 0, -1) @ BACKWARD.T
    return (field / np.sqrt(np.mean(field**2))).astype(np.float32)


# ---------------------------------------------------------------- detection


def detect(
    frames: Iterable[np.ndarray],
    keys: bytes | Sequence[bytes] = TOOLKIT_KEY,
    *,
    rate: Fraction | float = 25,
) -> Detection:
    """Look for a mark under one key or several in frames of one size; a still is one frame.

    Frames are uint8 (H, W, 3) RGB, `rate` of them a second. Constant memory: they are summed as
    they come, each second also apart. AnimateError where there is none.
    """
    keys = (keys,) if isinstance(keys, bytes) else tuple(keys)
    if not keys:
        raise AnimateError("no key to look for a watermark with: give at least one")
    total, count, heard = None, 0, []
    for start, end, mean in _by_second(frames, float(rate)):
        if total is not None and total.shape != mean.shape:
            raise AnimateError(
                f"frame {count} is unlike those before: verify files of one frame size"
            )
        total = mean * (end - start) if total is None else total + mean * (end - start)
        count = end
        a = features(mean)
        heard.append((start, end, {key_id(key): _loudest(a, key) for key in keys}))
    if total is None:
        raise AnimateError(
            "no frame to look for a watermark in: use a picture or a clip with at least one frame"
        )
    found = find(features(total / count), keys)
    if not found.marked or found.key_id is None:
        return found
    level = [(a / rate, b / rate, bound(said[found.key_id], 2)) for a, b, said in heard]
    return replace(found, seconds=_joined([(a, b) for a, b, p in level if p <= SECOND]))


def _by_second(frames: Iterable[np.ndarray], rate: float) -> Iterator[tuple[int, int, np.ndarray]]:
    """(first, one past last, mean) of the frames of each second; a short rest joins none."""
    frames, start = iter(frames), 0
    while some := list(islice(frames, 1)):
        length = max(1, math.ceil((math.floor(start / rate + 1e-9) + 1) * rate - 1e-9) - start)
        seen = [0]
        mean = average(_counted(chain(some, islice(frames, length - 1)), seen))
        yield start, start + seen[0], mean
        start += seen[0]


def _counted(frames: Iterable[np.ndarray], seen: list[int]) -> Iterator[np.ndarray]:
    for frame in frames:
        seen[0] += 1
        yield frame


def _loudest(a: np.ndarray, key: bytes) -> float:
    """The pilot's statistic over versions and mirror images."""
    scores = [0.0]
    for version in VERSIONS:
        where = layout(version)
        pilot = where.slot == bits.CODE_BITS
        speech = (a[where.index] * signs(key, version))[pilot]
        scores += [pilot_statistic(speech), pilot_statistic(speech * where.mirror[pilot])]
    return max(scores)


def _joined(spans: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Spans in order, with those that touch made one."""
    out: list[tuple[float, float]] = []
    for start, end in spans:
        if out and start - out[-1][1] < 1e-6:
            out[-1] = (out[-1][0], float(end))
        else:
            out.append((float(start), float(end)))
    return tuple(out)


def average(frames: Iterable[np.ndarray]) -> np.ndarray:
    """(side, side, 3) the mean of the frames' centre squares, RGB."""
    total, count = None, 0
    for frame in frames:
        square = frame[centre(*frame.shape[:2])]
        if total is None:
            total = square.astype(np.float64)
        elif total.shape != square.shape:
            raise AnimateError(
                f"frame {count} is {frame.shape[1]}x{frame.shape[0]}, unlike those before: "
                "verify files of one frame size"
            )
        else:
            total += square
        count += 1
    if total is None:
        raise AnimateError(
            "no frame to look for a watermark in: use a picture or a clip with at least one frame"
        )
    return total / count


def features(mean: np.ndarray) -> np.ndarray:
    """(3 * 128 * 128,) the numbers a of a mean picture, independent of any key.

    Each coefficient is divided by the power around it and multiplied by the amplitude that a mark
    would have there: the matched filter.
    """
    spectrum, power = _spectrum(mean)
    return (spectrum / power * _shape(power) * survival()).reshape(-1)


def _spectrum(mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cosine spectrum of a flattened picture (side, side, 3), and the power around each place.

    Both (3, 128, 128). Flattened: busy places count less and edges are clipped.
    """
    cells, basis = means(mean.shape[0], GRID), cosines(GRID)
    spectrum = np.empty((3, GRID, GRID))
    for i, channel in enumerate(np.moveaxis(mean @ FORWARD.T, -1, 0)):
        coarse = basis @ (cells @ channel @ cells.T) @ basis.T
        high = basis.T @ (coarse * (RADIUS >= 16)) @ basis
        gain = (_blur(high**2, 6) + 1) ** -0.75
        flat = high * gain
        limit = 3 * np.sqrt(np.mean(flat**2)) + 1e-9
        spectrum[i] = basis @ np.clip(flat, -limit, limit) @ basis.T / gain.mean()
    return spectrum, np.stack([_blur(s**2, 6) for s in spectrum]) + 1


def _shape(power: np.ndarray) -> np.ndarray:
    """(3, 128, 128) the mark's amplitudes: less where the picture is strong or codecs are."""
    return band() * survival() / np.sqrt(power)


def _blur(x: np.ndarray, reach: int) -> np.ndarray:
    """Mean over a window of 2 * reach + 1 on each axis, cut at the edges."""
    place = np.arange(GRID)
    window = (np.abs(place[:, None] - place) <= reach).astype(float)
    window /= window.sum(1, keepdims=True)
    return window @ x @ window.T


def find(a: np.ndarray, keys: bytes | Sequence[bytes] = TOOLKIT_KEY) -> Detection:
    """The decision over all hypotheses and keys, given the features of a picture."""
    keys = (keys,) if isinstance(keys, bytes) else tuple(keys)
    best = Detection(False, 1.0, None, False, 0.0, 1, None)
    for version, key in product(VERSIONS, keys):
        where = layout(version)
        heard = a[where.index] * signs(key, version)
        for speech in (heard, heard * where.mirror):
            for statistic, hypotheses, message in _tests(speech, where.slot, len(keys)):
                p = bound(statistic, hypotheses)
                if p < best.p_value:
                    best = _report(p, message, key, statistic, hypotheses, version)
    return best


def _report(
    p: float, message: np.ndarray, key: bytes, statistic: float, hypotheses: int, version: int
) -> Detection:
    if p > THRESHOLD:
        return Detection(False, p, None, False, statistic, hypotheses, None)
    said = bits.checked(message)
    authentic = said is not None and said.authentic(key)
    return Detection(True, p, said, authentic, statistic, hypotheses, version, key_id(key))


def _tests(
    speech: np.ndarray, slot: np.ndarray, keys: int
) -> Iterator[tuple[float, int, np.ndarray]]:
    """The two statistics, with the hypotheses that each has to answer for, and the message read."""
    pilot, code = speech[slot == bits.CODE_BITS], speech[slot < bits.CODE_BITS]
    soft = np.bincount(slot, speech, bits.CODE_BITS + 1)[:-1]
    message = bits.decode(soft)
    tries = 2 * 2 * len(VERSIONS) * keys  # statistics, mirror images, versions, keys
    yield pilot_statistic(pilot), tries, message
    best = soft @ bits.code_signs(message)
    yield float(best / (np.linalg.norm(code) + TINY)), tries << bits.MESSAGE_BITS, message


def pilot_statistic(pilot: np.ndarray) -> float:
    """S = sum(s a) / |a| of the pilot's coefficients, signs already applied."""
    return float(pilot.sum() / (np.linalg.norm(pilot) + TINY))


def bound(statistic: float, hypotheses: int) -> float:
    """min(1, N exp(-S^2 / 2)), Hoeffding's inequality for random signs and the union bound over N.

    Never 0: the smallest positive float stands for all that is smaller.
    Source: W. Hoeffding, Probability inequalities for sums of bounded random variables, theorem 2,
    JASA 58 (1963).
    """
    p = math.exp(min(0.0, math.log(hypotheses) - max(statistic, 0.0) ** 2 / 2))
    return max(p, sys.float_info.min)
