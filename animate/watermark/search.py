"""Where the mark lies in a picture that was cut, scaled, turned, mirrored or put into another.

The pilot is public, so one search serves every key. Coarse: the picture is laid on sheets of many
scales and turns, and one Fourier transform each correlates it with the pilot at every shift, plain
and mirrored. Fine: the best few places are climbed from, in ever smaller steps of a lattice that is
fixed beforehand, so that every place that could ever be tried is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np

from animate.watermark.carriers import (
    GRID,
    HALF,
    RADIUS,
    V1,
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
    turned,
    unshifted,
    weighed,
)

COARSE = 64  # samples to a period in the coarse search
REACH = 21  # cycles a period of the finest wave that it looks at
STEP = 0.05  # of the logarithm of the scale
SCALES = range(-19, 17)  # steps: 49 to 285 cells to the short side
TURN = 3.0  # degrees
TURNS = range(-5, 6)  # steps: 15 degrees either way
HALVINGS = 5  # of both steps, in the fine search
SUBCELL = 8  # shifts are tried to an eighth of a cell
TINY = 1e-300  # keeps a picture without any detail from dividing by nothing

COARSE_TRIES = len(SCALES) * len(TURNS) * 2 * 2 * COARSE**2  # mirror images, weighings
FINE_TRIES = (
    ((len(SCALES) + 2) << HALVINGS) * ((len(TURNS) + 2) << HALVINGS) * 2 * (SUBCELL * GRID) ** 2
)


@dataclass(frozen=True)
class Found:
    """A place, the pilot's statistic there, and the transform of the picture seen from there."""

    place: Place
    statistic: float
    spectrum: np.ndarray  # (3, 128, 65) complex, shift and mirror undone


@cache
def pilot(version: MarkVersion = V1) -> np.ndarray:
    """(3, 128, 65) the pilot's signs, 0 elsewhere."""
    waves = layout(version).pilot
    out = np.zeros(3 * GRID * HALF, complex)
    out[waves.index] = signs(seed(TOOLKIT_KEY, "pilot", version), waves)
    return out.reshape(3, GRID, HALF)


@cache
def _coarse_pilot(version: MarkVersion) -> np.ndarray:
    """(4, 2, 64, 33) what the coarse search multiplies Cb, Cr by: 2 weighings x 2 mirror images."""
    rows = np.r_[0 : COARSE // 2, GRID - COARSE // 2 : GRID]
    out = []
    for weight in (survival(version), RADIUS < REACH):
        known = (pilot(version) * weight * (RADIUS < REACH))[1:, rows, : COARSE // 2 + 1]
        known = known * (np.sqrt(2) / np.linalg.norm(known))
        out += [known, mirrored(known)]
    return (np.conj(np.stack(out)) * half_cell(COARSE)).astype(np.complex64)


@dataclass(frozen=True)
class Start:
    """A place that the coarse search came up with."""

    statistic: float
    place: Place
    weighing: int  # 0: for what a codec left, 1: for the rest


def coarse(flat: np.ndarray, version: MarkVersion = V1) -> list[Start]:
    """The best shift for each scale, turn, mirror and weighing, the best first.

    `flat` is a flattened picture (h, w, 3). Waves are made equally strong, a whitening that is
    cheap, and weighed by what codecs leave of them, or not.
    """
    found = []
    chroma = np.ascontiguousarray(flat[..., 1:])
    known = _coarse_pilot(version)
    for scale, turn in product(SCALES, TURNS):
        cells, angle = float(GRID * np.exp(scale * STEP)), turn * TURN
        spectrum = np.fft.rfft2(turned(chroma, cells, angle, COARSE))
        spectrum /= np.maximum(np.abs(spectrum), 1e-20)
        match = np.fft.irfft2((known * spectrum).sum(1), s=(COARSE, COARSE))  # (4, 64, 64)
        for number, scores in enumerate(match):
            at = int(scores.argmax())
            down, across = (float(n * GRID // COARSE) for n in divmod(at, COARSE))
            place = Place(cells, angle, down, across, bool(number % 2))
            found.append(Start(float(scores.flat[at]) * COARSE**2 / 2, place, number // 2))
    return sorted(found, key=lambda start: -start.statistic)


def pilot_statistic(a: np.ndarray, version: MarkVersion = V1) -> float:
    """S = sum(s a) / |a| over the pilot's waves, for the numbers a (3, 128, 65)."""
    index = layout(version).pilot.index
    heard = a.reshape(-1)[index]
    total = np.vdot(pilot(version).reshape(-1)[index], heard).real
    return float(total / (np.linalg.norm(heard) + TINY))


def laid(flat: np.ndarray, place: Place) -> np.ndarray:
    """(3, 128, 65) the transform of a flattened picture (h, w, 3) laid on a place's sheet."""
    return np.fft.rfft2(turned(flat, place.cells, place.angle), norm="ortho") * half_cell(GRID)


def seen(flat: np.ndarray, place: Place) -> np.ndarray:
    """(3, 128, 65) the same with shift and mirror undone."""
    return unshifted(laid(flat, place), place)


def shifted(flat: np.ndarray, start: Start, version: MarkVersion = V1) -> Found:
    """The best shift for a start's scale, turn and mirror, to an eighth of a cell."""
    place = start.place
    spectrum = laid(flat, place)
    known = np.conj(mirrored(pilot(version)) if place.mirrored else pilot(version))
    heard = known * weighed(spectrum, version)[start.weighing]
    match = np.fft.irfft2(heard.sum(0), s=(GRID, GRID))
    _, rows, columns = np.nonzero(known)
    q = heard[known != 0]
    around = np.arange(-SUBCELL, SUBCELL + 1) / SUBCELL
    down, across = (n + around for n in divmod(int(np.argmax(match)), GRID))
    turn = 2j * np.pi / GRID
    left = np.exp(turn * down[:, None] * np.fft.fftfreq(GRID, 1 / GRID)[rows]) * q
    scores = (left @ np.exp(turn * across[:, None] * columns).T).real  # (17, 17)
    y, x = np.unravel_index(int(scores.argmax()), scores.shape)
    there = replace(place, down=float(down[y]) % GRID, across=float(across[x]) % GRID)
    score = float(scores[y, x] / (np.linalg.norm(q) / np.sqrt(2) + TINY))
    return Found(there, score, unshifted(spectrum, there))


def _counted(place: Place) -> bool:
    """Whether a place is on the lattice that FINE_TRIES counts: a step past the coarse search's."""
    scale, turn = np.log(place.cells / GRID) / STEP, place.angle / TURN
    inside = SCALES.start - 1 <= scale <= SCALES.stop and TURNS.start - 1 <= turn <= TURNS.stop
    return bool(inside)


def fine(flat: np.ndarray, start: Start, version: MarkVersion = V1) -> Found:
    """Climb from a start in steps of scale and turn that are halved when none leads up."""
    best = shifted(flat, start, version)
    scale, turn = STEP / 2, TURN / 2
    for _ in range(HALVINGS):
        climbing = True
        while climbing:
            climbing = False
            for up, left in ((scale, 0.0), (-scale, 0.0), (0.0, turn), (0.0, -turn)):
                cells = best.place.cells * float(np.exp(up))
                place = replace(best.place, cells=cells, angle=best.place.angle + left)
                if not _counted(place):
                    continue
                there = shifted(flat, replace(start, place=place), version)
                if there.statistic > best.statistic:
                    best, climbing = there, True
                    break
        scale, turn = scale / 2, turn / 2
    return best
