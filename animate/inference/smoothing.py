"""Smooth poses by one-euro filters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

from animate.inference.predictor import Pose


def smooth(
    poses: Iterable[Pose], rate: Fraction, cutoff: float | None, speed: float
) -> Iterator[Pose]:
    """Smooth poses by one-euro filters (Casiez et al. 2012), one per number; a cut resets them.

    `cutoff` in Hz lets slower movement pass; fast movement raises it by `speed` Hz for each unit a
    second. None leaves the poses unchanged.
    """
    if cutoff is None:
        yield from poses
        return
    yield from map(Smoother(rate, cutoff, speed), poses)


class Smoother:
    """The filters of `smooth`, one pose at a time."""

    def __init__(self, rate: Fraction, cutoff: float, speed: float) -> None:
        self.rate, self.cutoff, self.speed = float(rate), cutoff, speed
        self.filters: list[Callable[[float, float | None], float]] = []

    def __call__(self, pose: Pose, when: float | None = None) -> Pose:
        """The smoothed pose; `when` is its time in seconds, by default 1 / rate after the last."""
        from OneEuroFilter import OneEuroFilter

        numbers = pose.motion.numbers()
        if pose.scene_start or not self.filters:
            self.filters = [OneEuroFilter(self.rate, self.cutoff, self.speed) for _ in numbers]
        smoothed = [
            filter_(number, when)
            for filter_, number in zip(self.filters, numbers.tolist(), strict=True)
        ]
        return replace(pose, motion=pose.motion.with_numbers(smoothed))
