"""Locate the mark in a picture that was cut, scaled, turned, mirrored or pasted into another.

The pilot is public, so one search serves every key. The coarse search resamples the picture at many
scales and angles. For each, one Fourier transform correlates it with the pilot at every shift,
plain and mirrored. The fine search climbs from the best few places in ever smaller steps. The steps
lie on a fixed lattice, so every place that could ever be tried is counted. The climb stops early if
the place does not look like a mark: see HOPELESS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np

from animate.watermark.carriers import (
    GRID,
    HALF,
    LATEST,
    RADIUS,
    MarkVersion,
    layout,
    seed,
    signs,
    survival,
)
from animate.watermark.payload import TOOLKIT_KEY
from animate.watermark.spectrum import (
    Place,
    half_cell,
    mirrored,
    nearby_power,
    turned,
    unshifted,
    weigh,
)

COARSE = 64  # samples per period in the coarse search
REACH = 21  # highest frequency of the coarse search, cycles per period
STEP = 0.05  # step of the scale's logarithm
SCALES = range(-19, 17)  # in steps: 49 to 285 cells along the short side
TURN = 3.0  # step of the angle, degrees
TURNS = range(-5, 6)  # in steps: 15 degrees either way
HALVINGS = 5  # of both steps, in the fine search
HOPELESS = 6.0  # pilot statistic S below which `fine` stops after two step sizes; marks gain < 50 %
SUBCELL = 8  # shifts tried per cell
TINY = 1e-300  # avoids division by 0 for a picture without any detail

QUARTERS = 4  # orientations of a picture by quarter turns
COARSE_TRIES = len(SCALES) * len(TURNS) * 2 * 2 * COARSE**2  # 2 mirror images, 2 weighings
FINE_TRIES = (  # places on the lattice of the fine search
    ((len(SCALES) + 2) << HALVINGS) * ((len(TURNS) + 2) << HALVINGS) * 2 * (SUBCELL * GRID) ** 2
)


@dataclass(frozen=True)
class Found:
    """A place, the pilot statistic there, and the transform of the picture at that place."""

    place: Place
    statistic: float
    spectrum: np.ndarray  # (3, 128, 65) complex; `fine` undoes shift and mirror


@cache
def pilot(version: MarkVersion = LATEST) -> np.ndarray:
    """(3, 128, 65) signs of the pilot, 0 elsewhere."""
    waves = layout(version).pilot
    out = np.zeros(3 * GRID * HALF, complex)
    out[waves.index] = signs(seed(TOOLKIT_KEY, "pilot", version), waves)
    return out.reshape(3, GRID, HALF)


@cache
def _coarse_pilot(version: MarkVersion) -> np.ndarray:
    """(kinds, 2, 64, 33) conjugate pilot in Cb, Cr, coarsely: weighings x plain and mirrored."""
    rows = np.r_[0 : COARSE // 2, GRID - COARSE // 2 : GRID]
    out = []
    for weight in (survival(version), RADIUS < REACH)[: version.coarse_weighings]:
        known = (pilot(version) * weight * (RADIUS < REACH))[1:, rows, : COARSE // 2 + 1]
        known = known * (np.sqrt(2) / np.linalg.norm(known))
        out += [known, mirrored(known)]
    return (np.conj(np.stack(out)) * half_cell(COARSE)).astype(np.complex64)


@cache
def _turned_pilots(version: MarkVersion) -> np.ndarray:
    """(4, kinds, 2, 64, 33) `_coarse_pilot` for pictures turned clockwise by 0 to 3 quarters."""
    known = _coarse_pilot(version)
    sheet = np.fft.irfft2(np.conj(known), s=(COARSE, COARSE))
    turns = [np.rot90(sheet, -quarters, axes=(-2, -1)) for quarters in (1, 2, 3)]
    others = [np.conj(np.fft.rfft2(turn)).astype(np.complex64) for turn in turns]
    return np.stack([known, *others])


@dataclass(frozen=True)
class Start:
    """A candidate place of the coarse search."""

    statistic: float
    place: Place
    weighing: int  # as in `spectrum.weigh`
    picture: int = 0  # index of the picture searched


def coarse(
    flats: Sequence[np.ndarray], count: int, versions: Sequence[MarkVersion] = (LATEST,)
) -> list[list[list[Start]]]:
    """Each version's share of the `count` likeliest starts: upright, then on its side or head.

    `flats` are flattened pictures (3, h, w). Tries all scales and angles; takes the best shift for
    each picture, quarter turn, weighing and mirror image. Sets all waves to equal strength, a cheap
    whitening; one of the weighings then scales them by what codecs keep. Quarter turns need no
    resampling of the picture: the pilot is turned instead. Versions share the resampled pictures.
    """
    poses = list(product(SCALES, TURNS))
    pilots = [_turned_pilots(version) for version in versions]
    known = np.concatenate([some.reshape(-1, *some.shape[2:]) for some in pilots])
    score = np.empty((len(flats), len(poses), len(known)), np.float32)
    shift = np.empty(score.shape, int)
    by_size: dict[tuple[int, ...], list[int]] = {}  # pictures of one size are resampled together
    for number, flat in enumerate(flats):
        by_size.setdefault(flat.shape, []).append(number)
    for numbers in by_size.values():
        chroma = np.concatenate([flats[number][1:] for number in numbers])
        for pose, (scale, turn) in enumerate(poses):
            cells, angle = float(GRID * np.exp(scale * STEP)), turn * TURN
            spectra = np.fft.rfft2(turned(chroma, cells, angle, COARSE))
            spectra /= np.maximum(np.abs(spectra), 1e-20)
            pairs = spectra.reshape(-1, 2, *spectra.shape[1:])
            for number, (blue, red) in zip(numbers, pairs, strict=True):
                correlation = known[:, 0] * blue
                correlation += known[:, 1] * red
                match = np.fft.irfft2(correlation, s=(COARSE, COARSE)).reshape(len(known), -1)
                shift[number, pose] = match.argmax(1)
                score[number, pose] = match.max(1)
    ends = np.cumsum([some.shape[0] * some.shape[1] for some in pilots])[:-1]
    found = [
        _likeliest(*parts, poses, count)
        for parts in zip(np.split(score, ends, -1), np.split(shift, ends, -1), strict=True)
    ]
    for each in zip(*found, strict=True):  # upright, turned
        least = sorted(start.statistic for starts in each for start in starts)[-count]
        for starts in each:
            starts[:] = [start for start in starts if start.statistic >= least]
    return found


def _likeliest(
    score: np.ndarray, shift: np.ndarray, poses: Sequence[tuple[int, int]], count: int
) -> list[list[Start]]:
    """The starts of one version, upright and turned, from its scores (pictures, poses, 4 kinds)."""
    score, shift = (x.reshape(*x.shape[:2], QUARTERS, -1) for x in (score, shift))
    starts = []
    for quarters in ([0], [1, 2, 3]):
        scores = score[:, :, quarters].reshape(-1)
        best = np.argsort(-scores, kind="stable")[:count]
        where = zip(*np.unravel_index(best, score[:, :, quarters].shape), strict=True)
        starts.append([
            _start(score, shift, poses, (int(n), int(pose), quarters[q], int(kind)))
            for n, pose, q, kind in where
        ])  # fmt: skip
    return starts


def _start(
    score: np.ndarray,
    shift: np.ndarray,
    poses: Sequence[tuple[int, int]],
    at: tuple[int, int, int, int],
) -> Start:
    """The start at (picture, pose, quarters, kind); its shift is for the picture set upright."""
    number, pose, quarters, kind = at
    (scale, turn), (down, across) = poses[pose], divmod(int(shift[at]), COARSE)
    for _ in range(quarters):
        down, across = -across % COARSE, down
    cell = GRID // COARSE
    place = Place(
        float(GRID * np.exp(scale * STEP)), turn * TURN, float(down * cell), float(across * cell),
        bool(kind % 2), quarters,
    )  # fmt: skip
    return Start(float(score[at]) * COARSE**2 / 2, place, kind // 2, number)


def pilot_statistic(a: np.ndarray, version: MarkVersion = LATEST) -> float:
    """S = sum(s a) / |a| over the pilot's waves, for the numbers a (3, 128, 65)."""
    index = layout(version).pilot.index
    values = a.reshape(-1)[index]
    total = np.vdot(pilot(version).reshape(-1)[index], values).real
    return float(total / (np.linalg.norm(values) + TINY))


def scaled_spectrum(flat: np.ndarray, place: Place) -> np.ndarray:
    """(3, 128, 65) transform of a flattened picture (3, h, w) at a place's scale and angle."""
    return np.fft.rfft2(turned(flat, place.cells, place.angle), norm="ortho") * half_cell(GRID)


def aligned_spectrum(flat: np.ndarray, place: Place) -> np.ndarray:
    """(3, 128, 65) `scaled_spectrum` with shift and mirror undone."""
    return unshifted(scaled_spectrum(flat, place), place)


def shifted(flat: np.ndarray, start: Start, version: MarkVersion = LATEST) -> Found:
    """The best shift for a start's scale, angle and mirroring, to an eighth of a cell."""
    place = start.place
    spectrum = scaled_spectrum(flat, place)
    known = _conjugate_pilot(version, place.mirrored)
    matched = known * weigh(spectrum, nearby_power(spectrum), start.weighing, version)
    waves = matched.sum(0)
    match = np.fft.irfft2(waves, s=(GRID, GRID))
    around = np.arange(-SUBCELL, SUBCELL + 1) / SUBCELL
    down, across = (n + around for n in divmod(int(np.argmax(match)), GRID))
    turn = 2j * np.pi / GRID
    left = np.exp(turn * down[:, None] * np.fft.fftfreq(GRID, 1 / GRID))  # (17, 128)
    right = np.exp(turn * across[:, None] * np.arange(HALF))  # (17, 65)
    scores = (left @ waves @ right.T).real  # (17, 17)
    y, x = np.unravel_index(int(scores.argmax()), scores.shape)
    there = replace(place, down=float(down[y]) % GRID, across=float(across[x]) % GRID)
    score = float(scores[y, x] / (np.linalg.norm(matched) / np.sqrt(2) + TINY))
    return Found(there, score, spectrum)


@cache
def _conjugate_pilot(version: MarkVersion, mirror: bool) -> np.ndarray:
    """(3, 128, 65) conjugate pilot that the fine search multiplies a transform by."""
    return np.conj(mirrored(pilot(version)) if mirror else pilot(version))


def _in_range(place: Place) -> bool:
    """Whether FINE_TRIES counts a place: it may be one step outside the coarse search's range."""
    scale, turn = np.log(place.cells / GRID) / STEP, place.angle / TURN
    inside = SCALES.start - 1 <= scale <= SCALES.stop and TURNS.start - 1 <= turn <= TURNS.stop
    return bool(inside)


def fine(flat: np.ndarray, start: Start, version: MarkVersion = LATEST) -> Found:
    """Climb from a start in steps of scale and angle, halved when no step improves the statistic.

    Tries no place twice: it can't beat the best so far. Stops early if the place is HOPELESS.
    """
    best, at = shifted(flat, start, version), (0, 0)
    known = {at}
    for halving in range(HALVINGS):
        if halving == 2 and best.statistic < HOPELESS:
            break
        step = 1 << (HALVINGS - 1 - halving)  # in the finest steps
        scale, turn = STEP / 2 / 2**halving, TURN / 2 / 2**halving
        climbing = True
        while climbing:
            climbing = False
            for up, left in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                cells = best.place.cells * float(np.exp(up * scale))
                place = replace(best.place, cells=cells, angle=best.place.angle + left * turn)
                to = at[0] + up * step, at[1] + left * step
                if to in known or not _in_range(place):
                    continue
                known.add(to)
                there = shifted(flat, replace(start, place=place), version)
                if there.statistic > best.statistic:
                    best, at, climbing = there, to, True
                    break
    return replace(best, spectrum=unshifted(best.spectrum, best.place))
