"""From numbers of clips to a mean and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """The mean over clips, its 95 % interval (None for one person), and how many clips counted."""

    value: float
    low: float | None
    high: float | None
    clips: int


def estimate(
    values: Sequence[float | None], identities: Sequence[str], seed: int = 0, draws: int = 2000
) -> Estimate | None:
    """The mean over clips, with a percentile bootstrap over people (Efron and Tibshirani 1993, 13).

    People are drawn, not clips: clips of one person are alike. A clip without a value is left out
    and not counted; None where no clip has one.
    """
    known = [(v, who) for v, who in zip(values, identities, strict=True) if v is not None]
    if not known:
        return None
    people = sorted({who for _, who in known})
    sums, counts = np.zeros(len(people)), np.zeros(len(people))
    for value, who in known:
        sums[people.index(who)] += value
        counts[people.index(who)] += 1
    value = float(sums.sum() / counts.sum())
    if len(people) == 1:
        return Estimate(value, None, None, len(known))
    drawn = np.random.default_rng(seed).integers(len(people), size=(draws, len(people)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Estimate(value, float(low), float(high), len(known))


def by_identity(
    values: Sequence[float | None], identities: Sequence[str]
) -> dict[str, float | None]:
    """The mean over each person's clips."""
    found: dict[str, float | None] = {}
    for who in sorted(set(identities)):
        own = [v for v, i in zip(values, identities, strict=True) if i == who and v is not None]
        found[who] = float(np.mean(own)) if own else None
    return found
