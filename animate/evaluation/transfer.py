"""Transfer: how much of the driver's head pose and expression a result shows, over time.

For each quantity that moves in the driver, the result's series is fitted to the driver's by least
squares: a slope of 1 is all of the movement, 0 none of it. Pearson's r says whether it comes at the
driver's times. A constant difference of two faces changes neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from animate.evaluation.faces import POSE
from animate.evaluation.landmarks import FEWEST
from animate.evaluation.statistics import Estimate, median

GROUPS = {  # the quantities of a group by how their names begin; others are left out
    "yaw": ("yaw",),
    "pitch": ("pitch",),
    "roll": ("roll",),
    "gaze": ("eyeLook",),
    "lids": ("eyeBlink", "eyeSquint", "eyeWide"),
    "brows": ("brow",),
    "jaw": ("jaw",),
    "mouth": ("mouth",),
}
STILL_POSE = 1.0  # least standard deviation of the driver's pose to be fitted, degrees
STILL_SHAPE = 0.5  # the same of a blendshape, in log-odds; detection's noise is 0.1 to 0.3


@dataclass(frozen=True)
class Moves:
    """The named quantities of a clip's result and driver, (T, Q) each, NaN without a face."""

    result: np.ndarray
    target: np.ndarray  # the driver's
    names: Sequence[str]


@dataclass(frozen=True)
class Fit:
    """One quantity of a clip: the slope of the result on the driver, Pearson's r, and the
    driver's standard deviation in degrees or log-odds."""

    slope: float
    r: float
    driver: float


@dataclass(frozen=True)
class Share:
    """A group's medians over the fits of all clips, and how many series were fitted."""

    slope: Estimate
    r: Estimate
    series: int


def fits(moves: Moves) -> dict[str, Fit]:
    """The fits of a clip's quantities of GROUPS that move in the driver, by name."""
    found = {}
    for name, result, target in zip(moves.names, moves.result.T, moves.target.T, strict=True):
        if any(name.startswith(begins) for begins in GROUPS.values()):
            least = STILL_POSE if name in POSE else STILL_SHAPE
            if (one := fit(result, target, least)) is not None:
                found[name] = one
    return found


def fit(result: np.ndarray, target: np.ndarray, least: float) -> Fit | None:
    """The fit of the result's series (T,) to the driver's, over the frames with both.

    None for fewer than FEWEST such frames, or if the driver's standard deviation is below `least`;
    slope and r are 0 if only the result does not move.
    """
    both = np.isfinite(result) & np.isfinite(target)
    if both.sum() < FEWEST:
        return None
    ours, theirs = (series[both] - series[both].mean() for series in (result, target))
    spread, driver = float(ours.std()), float(theirs.std())
    if driver < least:
        return None
    if spread < 1e-6:
        return Fit(0.0, 0.0, driver)
    slope = float((ours * theirs).mean() / driver**2)
    return Fit(slope, slope * driver / spread, driver)


def grouped(clip: dict[str, Fit]) -> dict[str, list[Fit]]:
    """The fits of a clip by group."""
    return {
        group: [one for name, one in clip.items() if name.startswith(begins)]
        for group, begins in GROUPS.items()
    }


def middles(clip: dict[str, Fit]) -> list[tuple[float, float] | None]:
    """Each group's median slope and r over the fits of one clip; None for a group without fits."""
    return [
        (float(np.median([one.slope for one in own])), float(np.median([one.r for one in own])))
        if own
        else None
        for own in grouped(clip).values()
    ]


def shares(
    clips: Sequence[dict[str, Fit]], identities: Sequence[str], seed: int = 0
) -> dict[str, Share | None]:
    """Each group's medians over the fits of all clips; None for a group without fits."""
    by_clip = [grouped(clip) for clip in clips]
    found: dict[str, Share | None] = {}
    for group in GROUPS:
        own = [clip[group] for clip in by_clip]
        slope = median([[one.slope for one in some] for some in own], identities, seed)
        r = median([[one.r for one in some] for some in own], identities, seed)
        found[group] = Share(slope, r, sum(map(len, own))) if slope and r else None
    return found
