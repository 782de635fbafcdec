"""Find the mark: whether, where, which seconds, whose key, and what it says; with proof.

From the mean of the frames, every step up to the numbers a_k looks only at the picture and never at
a key (spectrum.py). Then S = sum(s_k a_k) / |a| over the waves of one purpose, s_k being their
signs: for the pilot known, for the rest known up to a code word. A picture that was not marked is
independent of the signs, so by Hoeffding's inequality P(S >= t) <= exp(-t^2 / 2) whatever the
picture is: a proof, not a fit. Over N hypotheses the union bound gives p <= N exp(-t^2 / 2). Five
tests share the risk, a fifth each, and count all that they could ever have tried:

* the pilot as published: versions x stretches of time x plain or mirrored x 2 weighings; S > 5.8
  for a still, 6.6 for a clip of a minute;
* the pilot anywhere, coarsely: versions x 7 stretches x 6.5e6 places; S > 8.2;
* the pilot anywhere, finely: versions x 7 stretches x 1.1e12 places x 2 weighings; S > 9.6;
* the body's best code word, as published and anywhere: 2^48 words x 2^8 nonces x keys x what the
  pilot's test counts there; it speaks where somebody has taken the pilot out.

All of this is done for the picture as it lies; where nothing is found, it is done for its quarter
turns, less exhaustively. Their p counts all four. An upright mark's p counts one, and the sum still
holds: p <= 1e-6 takes S >= 5.798, and there the tight bound P(S >= t) <= 3.178 P(Z >= t), Z normal,
is below 1.268 / t exp(-t^2 / 2) < 0.219 exp(-t^2 / 2): less than a quarter of what is counted. (V.
Bentkus, D. Dzindzalieta, A tight Gaussian bound for weighted sums of Rademacher random variables,
theorem 1.1, Bernoulli 21, 2015.) So upright marks take less than a quarter of the risk, the three
turns a quarter each. Where nothing is found, all four are counted.

A payload is reported only where one of them proves a mark (p <= 1e-6) and a decoded body carries
the right HMAC of 16 bits and the nonce of 8 that it was read with. On a marked file whose body is
lost, at most 18 looks x 2 weighings x 52 words are tried with each key and version, so that a wrong
payload passes once in 9,000 such files.

The proof takes the signs for random (they are HMAC-SHA256 and SHAKE-256 of a key), and says nothing
of a picture whose maker knows the key: under the public toolkit key, a mark can be forged.
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
from animate.watermark.carriers import GRID, V1, VERSIONS, MarkVersion, Waves, carried, layout
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
WORKING = 256  # cells to the short side at which the whole is kept
SPANS = 64  # stretches of time that are kept apart; longer clips get longer stretches
SEARCHED = 7  # stretches that are searched everywhere: the whole, halves, quarters
TESTS = 5
UNREAD = 8  # looks that show a mark whose body can't be read: no more are tried
STARTS = 8  # of the coarse search that the fine one climbs from


@dataclass(frozen=True)
class Detection:
    """What was found under all the keys tried; p_value = bound(statistic, hypotheses)."""

    marked: bool  # p_value <= 1e-6: this toolkit's mark, or an imitation of its public part
    p_value: float  # a proven upper bound, all hypotheses counted
    payload: Payload | None  # what a key of those tried reads; its HMAC fits
    authentic: bool  # there is a payload: whoever made it had the key
    statistic: float
    hypotheses: int
    version: int | None
    key_id: int | None = None  # of the mark's key, whether it was among those tried or not
    seconds: tuple[tuple[float, float], ...] = ()  # from, to: where the mark is, in order
    place: Place | None = None  # how the mark lies in the picture


NOTHING = Detection(False, 1.0, None, False, 0.0, 1, None)


# ---------------------------------------------------------------- frames


@dataclass
class Span:
    """The mean of a stretch of frames, (h, w, 3); float16, at most 128 cells to the short side."""

    first: int
    last: int  # one past
    mean: np.ndarray


@dataclass
class Kept:
    """What is remembered of a file, whatever its length: its mean, and that of each second."""

    whole: np.ndarray  # (h, w, 3) float32, at most 256 cells to the short side
    spans: list[Span]

    @property
    def stretches(self) -> int:
        return 2 * len(self.spans) - 1


def keep(frames: Iterable[np.ndarray], rate: Fraction | float) -> Kept:
    """Means over all frames and over each second, or over longer spans once there are 64.

    Frames are uint8 (H, W, 3) RGB of one size. AnimateError for none.
    """
    spans: list[Span] = []
    whole, total, first, seconds, index = None, None, 0, 1, -1
    for index, frame in enumerate(frames):
        if total is None:
            total = np.zeros(frame.shape, np.uint32)
        elif frame.shape != total.shape:
            raise AnimateError(
                f"frame {index} is {frame.shape[1]}x{frame.shape[0]}, unlike those before: "
                "verify files of one frame size"
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
            "no frame to look for a watermark in: use a picture or a clip with at least one frame"
        )
    return Kept(_add(whole, spans, total, first, index + 1) / (index + 1), spans)


def _add(
    whole: np.ndarray | None, spans: list[Span], total: np.ndarray, first: int, last: int
) -> np.ndarray:
    """Close a span: append its mean, return the sum of all so far."""
    short = min(total.shape[:2])
    working = reduced(total, WORKING) if short > WORKING else total.astype(np.float32)
    mean = working / np.float32(last - first)
    mean = reduced(mean, GRID) if short > GRID else mean
    spans.append(Span(first, last, mean.astype(np.float16)))
    return working if whole is None else whole + working


def _joined(some: Sequence[Span]) -> Span:
    """The mean over several spans."""
    count = sum(span.last - span.first for span in some)
    mean = np.zeros(some[0].mean.shape, np.float32)
    for span in some:
        mean += span.mean * np.float32((span.last - span.first) / count)
    return Span(some[0].first, some[-1].last, mean.astype(np.float16))


def stretches(kept: Kept) -> Iterator[np.ndarray]:
    """The means of the whole, its halves, quarters, and so on down to the spans themselves."""
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
    """Look for a mark under one key or several in frames of one size; a still is one frame.

    Frames are uint8 (H, W, 3) RGB, `rate` of them a second. Constant memory: they are summed as
    they come, each second also apart. First the picture is looked at as it would lie if nobody had
    cut, turned or scaled it, or only laid it on its side or head; if no mark is there and unless
    `thorough` is False, everywhere.
    AnimateError where there is no frame or no key.
    """
    keys = (keys,) if isinstance(keys, bytes) else tuple(dict.fromkeys(keys))
    if not keys:
        raise AnimateError("no key to look for a watermark with: give at least one")
    kept = keep(frames, rate)
    best = NOTHING
    for stage in _stages(kept, thorough):
        for version, looks in stage:
            unread = 0
            for look in looks:
                found = _judged(look, keys, version)
                best = min(best, found, key=_preference)
                unread += found.marked
                if best.payload is not None or unread == UNREAD:
                    break
        if best.marked:  # the place is known, then
            break
    if not best.marked or kept.spans[-1].last == 1:
        return best
    return replace(best, seconds=_seconds(kept.spans, best, keys, float(rate)))


def _preference(found: Detection) -> tuple[bool, float]:
    return found.payload is None, found.p_value


@dataclass(frozen=True)
class Look:
    """A way to see the picture: its transform, and of how many it was chosen."""

    place: Place
    spectrum: np.ndarray  # (3, 128, 65)
    tries: int
    read: bool = True  # whether to read a body where the pilot alone proves nothing
    coarse: float = 0.0  # the coarse search's statistic, and its tries
    coarse_tries: int = 1


def _stages(kept: Kept, thorough: bool) -> Iterator[list[tuple[MarkVersion, Iterator[Look]]]]:
    """The looks of every version, in the order in which they are tried: what is quick first."""
    yield [(version, _published(kept)) for version in VERSIONS.values()]
    yield [(version, _published_turned(kept)) for version in VERSIONS.values()]
    if thorough:
        few = list(islice(stretches(kept), SEARCHED))
        flats = [flattened(mean) for mean in few]
        starts = [search.coarse(flats, STARTS, version) for version in VERSIONS.values()]
        for turned in (0, 1):
            yield [
                (version, _anywhere(flats, some[turned], version))
                for version, some in zip(VERSIONS.values(), starts, strict=True)
            ]


def _published(kept: Kept) -> Iterator[Look]:
    """The picture as it would lie if nobody had cut, scaled or turned it; the whole file first."""
    for number, mean in enumerate(stretches(kept)):
        spectrum = as_published(mean)
        yield Look(Place(), spectrum, 2 * kept.stretches, number == 0)
        yield Look(Place(mirrored=True), mirrored(spectrum), 2 * kept.stretches, number == 0)


def _published_turned(kept: Kept) -> Iterator[Look]:
    """The picture as it would lie if somebody had laid it on its side or head, and no more."""
    few = min(SEARCHED, kept.stretches)
    for number, mean in enumerate(islice(stretches(kept), few)):
        for quarters in range(1, search.QUARTERS):
            spectrum, place = as_published(mean, quarters), Place(quarters=quarters)
            yield Look(place, spectrum, 2 * few, number == 0)
            yield Look(replace(place, mirrored=True), mirrored(spectrum), 2 * few, number == 0)


def _anywhere(
    flats: Sequence[np.ndarray], starts: Sequence[search.Start], version: MarkVersion
) -> Iterator[Look]:
    """The likeliest places of all in flattened pictures (3, h, w), from the best start on."""
    for start in starts:
        flat = set_upright(flats[start.picture], start.place.quarters)
        least = search.HOPELESS if start.place.quarters else 0.0
        found = search.fine(flat, start, version, least)
        tries, coarse_tries = (n * len(flats) for n in (search.FINE_TRIES, search.COARSE_TRIES))
        yield Look(
            found.place,
            found.spectrum,
            tries,
            found.statistic >= least,
            start.statistic,
            coarse_tries,
        )


def as_published(mean: np.ndarray, quarters: int = 0) -> np.ndarray:
    """(3, 128, 65) the transform of a picture (h, w, 3) that nobody has cut, scaled or turned.

    Except for quarter turns clockwise, which are undone.
    """
    sheet = set_upright(folded(flattened(reduced(mean, GRID))), quarters)
    return np.fft.rfft2(sheet, norm="ortho") * half_cell(GRID)


def _judged(look: Look, keys: Sequence[bytes], version: MarkVersion) -> Detection:
    """The decision on one look: the least p of its tests, and the payload where there is one.

    A body is read in full only where a mark is proven: nothing that it says counts elsewhere.
    """
    weighings = weighed(look.spectrum, version)
    turns = search.QUARTERS if look.place.quarters else 1
    count = TESTS * len(VERSIONS) * look.tries * turns * WEIGHINGS
    words = count * len(keys) << bits.BODY_BITS + bits.NONCE_BITS
    heard = max(search.pilot_statistic(a, version) for a in weighings)
    tests = [(heard, count), (look.coarse, TESTS * len(VERSIONS) * look.coarse_tries * turns)]
    proven = bound(heard, count) <= THRESHOLD
    if look.read and not proven:
        loudest = loudest_word(weighings, keys, version)
        proven = min(bound(loudest, words), *(bound(s, n) for s, n in tests)) <= THRESHOLD
        tests += [] if proven else [(loudest, words)]
    readings = [read(a, key, version) for key in keys for a in weighings] if proven else []
    tests += [(reading.statistic, words) for reading in readings]
    p, statistic, hypotheses = min((bound(s, n), s, n) for s, n in tests)
    if p > THRESHOLD:
        hypotheses *= search.QUARTERS // turns  # the others are tried, too, then
        p = bound(statistic, hypotheses)
        return Detection(False, p, None, False, statistic, hypotheses, None)
    said = max(readings, key=lambda reading: reading.rank, default=Reading(0.0, None)).payload
    owner = said.key_id if said is not None else read_key_id(weighings, keys, version)
    who, where = (version.number, owner), look.place
    return Detection(True, p, said, said is not None, statistic, hypotheses, *who, place=where)


# ---------------------------------------------------------------- which seconds


def _seconds(
    spans: Sequence[Span], found: Detection, keys: Sequence[bytes], rate: float
) -> tuple[tuple[float, float], ...]:
    """The stretches where the mark that was found is heard, those that touch made one."""
    waves, sign = _expected(found, keys)
    out: list[tuple[float, float]] = []
    for span in spans:
        seen = _seen(span.mean.astype(np.float32), found.place or Place())
        weighings = weighed(seen, _version(found))
        heard = weighings.reshape(WEIGHINGS, -1)[:, waves.index]
        scores = (heard * sign.conj()).real.sum(1) / (np.linalg.norm(heard, axis=1) + search.TINY)
        if bound(float(scores.max()), WEIGHINGS) > SECOND:
            continue
        start, end = span.first / rate, span.last / rate
        if out and start <= out[-1][1]:
            start = out.pop()[0]
        out.append((start, end))
    return tuple(out)


def _version(found: Detection) -> MarkVersion:
    """The version that was found, V1 where none was."""
    return V1 if found.version is None else VERSIONS[found.version]


def _expected(found: Detection, keys: Sequence[bytes]) -> tuple[Waves, np.ndarray]:
    """The waves and signs of the mark that was found; without a payload the pilot's alone."""
    version = _version(found)
    if found.payload is None:
        waves = layout(version).pilot
        return waves, pilot(version).reshape(-1)[waves.index]
    key = next(key for key in keys if found.payload.authentic(key))
    return carried(found.payload, key)


def correlation_map(mean: np.ndarray, found: Detection) -> np.ndarray:
    """(128, 128) the pilot's statistic at every shift around the place that was found.

    `mean` (h, w, 3) is the mean of the frames. Evidence: a mark is one peak in the middle, of a
    height that noise, which is all around it, never has.
    """
    version = _version(found)
    best = np.zeros((GRID, GRID))
    for a in weighed(_seen(mean, found.place or Place()), version):
        heard = np.conj(pilot(version)) * a
        match = np.fft.irfft2(heard.sum(0), s=(GRID, GRID)) * GRID**2 / 2
        match /= np.linalg.norm(heard) / math.sqrt(2) + search.TINY
        best = max(best, np.fft.fftshift(match), key=lambda m: m[GRID // 2, GRID // 2])
    return best


def _seen(mean: np.ndarray, place: Place) -> np.ndarray:
    """(3, 128, 65) the transform of a picture (h, w, 3) from a place."""
    if replace(place, mirrored=False, quarters=0) == Place():
        spectrum = as_published(mean, place.quarters)
        return mirrored(spectrum) if place.mirrored else spectrum
    return search.seen(set_upright(flattened(mean), place.quarters), place)
