"""Detect the mark: whether, where and in which seconds it is there, whose key made it, its payload.

The numbers a_k are computed from the mean of the frames; up to there no step uses a key
(spectrum.py). Then S = sum(s_k a_k) / |a| over the waves of one purpose. The signs s_k are known
for the pilot; for tag and body they are known up to a code word. An unmarked picture is independent
of the signs. So Hoeffding's inequality gives P(S >= t) <= exp(-t^2 / 2) for every picture: a proof,
not a fit. Over N hypotheses the union bound gives p <= N exp(-t^2 / 2). Five tests share the risk,
a fifth each. Each counts every hypothesis that it could ever have tried:

* the pilot as published: versions x stretches of time x plain or mirrored x 2 weighings; S > 5.8
  for a still, 6.6 for a clip of a minute;
* the pilot anywhere, coarse search: versions x 7 stretches x 6.5e6 places; S > 8.2;
* the pilot anywhere, fine search: versions x 7 stretches x 1.1e12 places x 2 weighings; S > 9.6;
* the body's best code word, as published and anywhere (two tests): 2^48 words x 2^8 nonces x keys x
  the pilot test's count there; these detect a mark whose pilot somebody removed.

The tests run on the picture as it lies; if they find nothing, on its three quarter turns, less
exhaustively. The p of a turned mark counts all four orientations, that of an upright mark only one.
The sum still holds. p <= 1e-6 needs S >= 5.798; there the tight bound P(S >= t) <= 3.178 P(Z >= t),
Z normal, is below 1.268 / t exp(-t^2 / 2) < 0.219 exp(-t^2 / 2): under a quarter of the count. (V.
Bentkus, D. Dzindzalieta, A tight Gaussian bound for weighted sums of Rademacher random variables,
theorem 1.1, Bernoulli 21, 2015.) So upright marks use less than a quarter of the risk, the three
turns a quarter each. If nothing is found, p counts all four.

A payload is reported only if a test proves a mark (p <= 1e-6), and a decoded body has the right
16-bit HMAC and the 8-bit nonce used to read it. On a marked file whose body is lost, each key and
version tries at most 18 looks x 2 weighings x 52 words: a wrong payload passes once in 9,000 files.

The proof assumes random signs (they are HMAC-SHA256 and SHAKE-256 of a key). It doesn't cover a
picture whose maker knows the key: anyone can forge a mark under the public toolkit key.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice

import numpy as np

from animate.errors import AnimateError
from animate.watermark import payload as bits
from animate.watermark import search
from animate.watermark.carriers import GRID, LATEST, VERSIONS, MarkVersion, Waves, carried, layout
from animate.watermark.payload import TOOLKIT_KEY, Payload
from animate.watermark.reading import (
    SECOND,
    WEIGHINGS,
    Reading,
    bound,
    loudest_word,
    read,
    read_key_id,
)
from animate.watermark.search import pilot
from animate.watermark.spectrum import (
    Place,
    flattened,
    folded,
    half_cell,
    mirrored,
    reduced,
    set_upright,
    weighed,
)

THRESHOLD = 1e-6  # false positives per file, over all hypotheses
WORKING = 256  # cells along the short side of the mean over all frames
SPANS = 64  # most spans with a mean of their own; longer clips have longer spans
SEARCHED = 7  # stretches searched at every place: the whole, halves, quarters
TESTS = 5  # tests that share THRESHOLD
UNREAD = 8  # stop after so many looks with a mark but without a readable body
STARTS = 6  # places of the coarse search that the fine search starts from


@dataclass(frozen=True)
class Detection:
    """The result over all keys tried; p_value = bound(statistic, hypotheses)."""

    marked: bool  # p_value <= 1e-6: this toolkit's mark, or an imitation of its public part
    p_value: float  # a proven upper bound, all hypotheses counted
    payload: Payload | None  # read under one of the keys; its HMAC is right
    authentic: bool  # a payload was read: its maker had the key
    statistic: float
    hypotheses: int
    version: int | None
    key_id: int | None = None  # of the mark's key, tried or not
    seconds: tuple[tuple[float, float], ...] = ()  # (from, to) of each marked stretch, in order
    place: Place | None = None  # how the mark lies in the picture


NOTHING = Detection(False, 1.0, None, False, 0.0, 1, None)


# ---------------------------------------------------------------- frames


@dataclass
class Span:
    """Mean of consecutive frames, (h, w, 3) float16, at most 128 cells along the short side."""

    first: int
    last: int  # one past
    mean: np.ndarray


@dataclass
class Kept:
    """The mean of a file and of each span, in memory that does not grow with its length."""

    whole: np.ndarray  # (h, w, 3) float32, at most 256 cells along the short side
    spans: list[Span]

    @property
    def stretches(self) -> int:
        return 2 * len(self.spans) - 1


def keep(frames: Iterable[np.ndarray], rate: Fraction | float) -> Kept:
    """Average all frames, and each second of them, or longer spans once there are 64.

    Frames are uint8 (H, W, 3) RGB. Raises AnimateError if there are none or their sizes differ.
    """
    spans: list[Span] = []
    whole, total, first, seconds, index = None, None, 0, 1, -1
    for index, frame in enumerate(frames):
        if total is None:
            total = np.zeros(frame.shape, np.uint32)
        elif frame.shape != total.shape:
            raise AnimateError(
                f"frame {index} is {frame.shape[1]}x{frame.shape[0]}, earlier frames differ: "
                "use a file with one frame size"
            )
        elif index >= round((len(spans) + 1) * seconds * float(rate)):
            whole = _add(whole, spans, total, first, index)
            first = index
            total[...] = 0
            if len(spans) == SPANS:
                spans[:] = [_joined(spans[i : i + 2]) for i in range(0, SPANS, 2)]
                seconds *= 2
        total += frame
    if total is None:
        raise AnimateError(
            "no frames to search for a watermark: use a picture or a clip with at least one frame"
        )
    return Kept(_add(whole, spans, total, first, index + 1) / (index + 1), spans)


def _add(
    whole: np.ndarray | None, spans: list[Span], total: np.ndarray, first: int, last: int
) -> np.ndarray:
    """Close a span: append its mean, return the sum of all frames so far."""
    short = min(total.shape[:2])
    working = reduced(total, WORKING) if short > WORKING else total.astype(np.float32)
    mean = working / np.float32(last - first)
    mean = reduced(mean, GRID) if short > GRID else mean
    spans.append(Span(first, last, mean.astype(np.float16)))
    return working if whole is None else whole + working


def _joined(spans: Sequence[Span]) -> Span:
    """The mean over several spans."""
    count = sum(span.last - span.first for span in spans)
    mean = np.zeros(spans[0].mean.shape, np.float32)
    for span in spans:
        mean += span.mean * np.float32((span.last - span.first) / count)
    return Span(spans[0].first, spans[-1].last, mean.astype(np.float16))


def stretches(kept: Kept) -> Iterator[np.ndarray]:
    """Yield the means of the whole, its halves, quarters, and so on down to single spans."""
    yield kept.whole
    level = [kept.spans]
    while level := [
        half
        for part in level
        if len(part) > 1
        for half in (part[: len(part) // 2], part[len(part) // 2 :])
    ]:
        for part in level:
            yield _joined(part).mean.astype(np.float32)


# ---------------------------------------------------------------- the decision


def detect(
    frames: Iterable[np.ndarray],
    keys: bytes | Sequence[bytes] = TOOLKIT_KEY,
    *,
    rate: Fraction | float = 25,
    thorough: bool = True,
) -> Detection:
    """Look for a mark under one or more keys in frames of one size; a still is one frame.

    `frames` are uint8 (H, W, 3) RGB, `rate` per second. Memory is constant: frames are summed as
    they come, over the file and over each second. The first tests expect the picture as published,
    or turned by quarters. If they find no mark, `thorough` searches all scales, angles and shifts.
    Raises AnimateError without a frame or a key.
    """
    keys = (keys,) if isinstance(keys, bytes) else tuple(dict.fromkeys(keys))
    if not keys:
        raise AnimateError("no key to detect a watermark with: give at least one")
    kept = keep(frames, rate)
    best = NOTHING
    for stage in _stages(kept, thorough):
        for version, looks in stage:
            unread = 0
            for look in looks:
                result = _tested(look, keys, version)
                best = min(best, result, key=_preference)
                unread += result.marked
                if best.payload is not None or unread == UNREAD:
                    break
        if best.marked:  # later stages only look at other places
            break
    if not best.marked or kept.spans[-1].last == 1:
        return best
    return replace(best, seconds=_seconds(kept.spans, best, keys, float(rate)))


def _preference(found: Detection) -> tuple[bool, float]:
    return found.payload is None, found.p_value


@dataclass(frozen=True)
class Look:
    """The picture's transform at one place, and the number of places that one was chosen from."""

    place: Place
    spectrum: np.ndarray  # (3, 128, 65)
    tries: int
    read: bool = True  # whether to read the body even if the pilot proves nothing
    coarse: float = 0.0  # statistic of the coarse search
    coarse_tries: int = 1


def _stages(kept: Kept, thorough: bool) -> Iterator[list[tuple[MarkVersion, Iterator[Look]]]]:
    """Looks of every version, in the order they are tried: quick ones first."""
    yield [(version, _looks_as_published(kept)) for version in VERSIONS.values()]
    yield [(version, _looks_at_quarter_turns(kept)) for version in VERSIONS.values()]
    if thorough:
        few = list(islice(stretches(kept), SEARCHED))
        flats = [flattened(mean) for mean in few]
        starts = search.coarse(flats, STARTS, tuple(VERSIONS.values()))
        for turned in (0, 1):
            yield [
                (version, _looks_by_search(flats, some[turned], version))
                for version, some in zip(VERSIONS.values(), starts, strict=True)
            ]


def _looks_as_published(kept: Kept) -> Iterator[Look]:
    """Looks at the picture as published: uncut, unscaled, unturned. The whole file comes first."""
    for number, mean in enumerate(stretches(kept)):
        spectrum = as_published(mean)
        yield Look(Place(), spectrum, 2 * kept.stretches, number == 0)
        yield Look(Place(mirrored=True), mirrored(spectrum), 2 * kept.stretches, number == 0)


def _looks_at_quarter_turns(kept: Kept) -> Iterator[Look]:
    """Looks at the picture as published, but for quarter turns."""
    few = min(SEARCHED, kept.stretches)
    for number, mean in enumerate(islice(stretches(kept), few)):
        for quarters in range(1, search.QUARTERS):
            spectrum, place = as_published(mean, quarters), Place(quarters=quarters)
            yield Look(place, spectrum, 2 * few, number == 0)
            yield Look(replace(place, mirrored=True), mirrored(spectrum), 2 * few, number == 0)


def _looks_by_search(
    flats: Sequence[np.ndarray], starts: Sequence[search.Start], version: MarkVersion
) -> Iterator[Look]:
    """Looks at the likeliest places in flattened pictures (3, h, w), from the best start on."""
    for start in starts:
        flat = set_upright(flats[start.picture], start.place.quarters)
        found = search.fine(flat, start, version)
        tries, coarse_tries = (n * len(flats) for n in (search.FINE_TRIES, search.COARSE_TRIES))
        yield Look(
            found.place,
            found.spectrum,
            tries,
            found.statistic >= search.HOPELESS,
            start.statistic,
            coarse_tries,
        )


def as_published(mean: np.ndarray, quarters: int = 0) -> np.ndarray:
    """(3, 128, 65) transform of a picture (h, w, 3) in its published geometry.

    Undoes `quarters` clockwise quarter turns.
    """
    sheet = set_upright(folded(flattened(reduced(mean, GRID))), quarters)
    return np.fft.rfft2(sheet, norm="ortho") * half_cell(GRID)


def _tested(look: Look, keys: Sequence[bytes], version: MarkVersion) -> Detection:
    """Decide on one look: the smallest p of its tests, and the payload if one can be read.

    The body is read in full only if a mark is proven: otherwise its content does not count.
    """
    weighings = weighed(look.spectrum, version)
    turns = search.QUARTERS if look.place.quarters else 1
    count = TESTS * len(VERSIONS) * look.tries * turns * WEIGHINGS
    words = count * len(keys) << bits.BODY_BITS + bits.NONCE_BITS
    pilot_score = max(search.pilot_statistic(a, version) for a in weighings)
    tests = [(pilot_score, count), (look.coarse, TESTS * len(VERSIONS) * look.coarse_tries * turns)]
    proven = bound(pilot_score, count) <= THRESHOLD
    if look.read and not proven:
        loudest = loudest_word(weighings, keys, version)
        proven = min(bound(loudest, words), *(bound(s, n) for s, n in tests)) <= THRESHOLD
        tests += [] if proven else [(loudest, words)]
    readings = [read(a, key, version) for key in keys for a in weighings] if proven else []
    tests += [(reading.statistic, words) for reading in readings]
    p, statistic, hypotheses = min((bound(s, n), s, n) for s, n in tests)
    if p > THRESHOLD:
        hypotheses *= search.QUARTERS // turns  # unmarked files go through all orientations
        p = bound(statistic, hypotheses)
        return Detection(False, p, None, False, statistic, hypotheses, None)
    payload = max(readings, key=lambda reading: reading.rank, default=Reading(0.0, None)).payload
    owner = payload.key_id if payload is not None else read_key_id(weighings, keys, version)
    return Detection(
        True, p, payload, payload is not None, statistic, hypotheses, version.number, owner,
        place=look.place,
    )  # fmt: skip


# ---------------------------------------------------------------- which seconds


def _seconds(
    spans: Sequence[Span], found: Detection, keys: Sequence[bytes], rate: float
) -> tuple[tuple[float, float], ...]:
    """(from, to) of each stretch in which the detected mark shows; adjacent ones are merged."""
    waves, sign = _expected(found, keys)
    out: list[tuple[float, float]] = []
    for span in spans:
        spectrum = _aligned(span.mean.astype(np.float32), found.place or Place())
        weighings = weighed(spectrum, _version(found))
        values = weighings.reshape(WEIGHINGS, -1)[:, waves.index]
        scores = (values * sign.conj()).real.sum(1) / (np.linalg.norm(values, axis=1) + search.TINY)
        if bound(float(scores.max()), WEIGHINGS) > SECOND:
            continue
        start, end = span.first / rate, span.last / rate
        if out and start <= out[-1][1]:
            start = out.pop()[0]
        out.append((start, end))
    return tuple(out)


def _version(found: Detection) -> MarkVersion:
    """The detected version, the latest if there is none."""
    return LATEST if found.version is None else VERSIONS[found.version]


def _expected(found: Detection, keys: Sequence[bytes]) -> tuple[Waves, np.ndarray]:
    """The waves and signs of the detected mark; without a payload, only the pilot's."""
    version = _version(found)
    if found.payload is None:
        waves = layout(version).pilot
        return waves, pilot(version).reshape(-1)[waves.index]
    key = next(key for key in keys if found.payload.authentic(key))
    return carried(found.payload, key)


def correlation_map(mean: np.ndarray, found: Detection) -> np.ndarray:
    """(128, 128) pilot statistic at every shift around the detected place.

    `mean` (h, w, 3) is the mean of the frames. The evidence for a mark is one peak in the middle,
    higher than the noise around it ever gets.
    """
    version = _version(found)
    best = np.zeros((GRID, GRID))
    for a in weighed(_aligned(mean, found.place or Place()), version):
        product = np.conj(pilot(version)) * a
        match = np.fft.irfft2(product.sum(0), s=(GRID, GRID)) * GRID**2 / 2
        match /= np.linalg.norm(product) / math.sqrt(2) + search.TINY
        best = max(best, np.fft.fftshift(match), key=lambda m: m[GRID // 2, GRID // 2])
    return best


def _aligned(mean: np.ndarray, place: Place) -> np.ndarray:
    """(3, 128, 65) transform of a picture (h, w, 3) at a place."""
    if replace(place, mirrored=False, quarters=0) == Place():
        spectrum = as_published(mean, place.quarters)
        return mirrored(spectrum) if place.mirrored else spectrum
    return search.aligned_spectrum(set_upright(flattened(mean), place.quarters), place)
