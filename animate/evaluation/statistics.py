"""Means and medians over clips, with confidence intervals from a bootstrap over people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A mean or median over clips, its 95 % interval (None for one person), and the number of clips
    with a value."""

    value: float
    low: float | None
    high: float | None
    clips: int


def estimate(
    values: Sequence[float | None], identities: Sequence[str], seed: int = 0, draws: int = 2000
) -> Estimate | None:
    """The mean over clips, with a percentile bootstrap over people (Efron and Tibshirani 1993, 13).

    It draws people, not clips, because clips of one person are alike. Clips without a value are
    left out; None if no clip has one.
    """
    known = [(v, person) for v, person in zip(values, identities, strict=True) if v is not None]
    if not known:
        return None
    people = sorted({person for _, person in known})
    sums, counts = np.zeros(len(people)), np.zeros(len(people))
    for value, person in known:
        sums[people.index(person)] += value
        counts[people.index(person)] += 1
    value = float(sums.sum() / counts.sum())
    if len(people) == 1:
        return Estimate(value, None, None, len(known))
    drawn = np.random.default_rng(seed).integers(len(people), size=(draws, len(people)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Estimate(value, float(low), float(high), len(known))


def median(
    values: Sequence[Sequence[float]], identities: Sequence[str], seed: int = 0, draws: int = 2000
) -> Estimate | None:
    """The median of all values of all clips, with a percentile bootstrap over people (`estimate`).

    values: for each clip any number of them; None if there are none at all.
    """
    known = sorted((v, i) for own, i in zip(values, identities, strict=True) for v in own)
    if not known:
        return None
    ordered = np.array([v for v, _ in known])
    people = sorted({person for _, person in known})
    whose = np.array([people.index(person) for _, person in known])
    value, clips = float(np.median(ordered)), sum(map(bool, values))
    if len(people) == 1:
        return Estimate(value, None, None, clips)
    drawn = np.random.default_rng(seed).integers(len(people), size=(draws, len(people)))
    times = np.zeros((draws, len(people)), np.int32)  # how often a draw has each person
    np.add.at(times, (np.arange(draws)[:, None], drawn), 1)
    upto = times[:, whose].cumsum(1, dtype=np.int32)  # (draws, values)
    count = upto[:, -1:]
    middle = [(upto > place).argmax(1) for place in ((count - 1) // 2, count // 2)]
    low, high = np.percentile(ordered[middle].mean(0), (2.5, 97.5))
    return Estimate(value, float(low), float(high), clips)


def by_identity(
    values: Sequence[float | None], identities: Sequence[str]
) -> dict[str, float | None]:
    """The mean over the clips of each person; None for a person without values."""
    means: dict[str, float | None] = {}
    for person in sorted(set(identities)):
        own = [v for v, i in zip(values, identities, strict=True) if i == person and v is not None]
        means[person] = float(np.mean(own)) if own else None
    return means
