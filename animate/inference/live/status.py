"""What a live session has shown: how many pictures, how fast, and how old they were."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

import numpy as np

WINDOW = 2.0  # seconds, over which frames a second are counted
LONGEST = 10_000  # milliseconds: older pictures count as that old


@dataclass(frozen=True)
class Status:
    """A live session at one moment; times are in seconds."""

    shown: int  # pictures handed out
    fps: float  # of them in the last seconds
    age: float  # median of their ages, from the camera on
    late: float  # 95th percentile of their ages
    state: str  # of the last one
    photo: int  # number of the photo, from 1
    mirrored: bool
    searching: bool  # for a better reference pose
    recording: float | None  # how long


class Meter:
    """Counts pictures and their ages, in constant memory."""

    def __init__(self) -> None:
        self.ages = np.zeros(LONGEST + 1, np.int64)  # pictures by age in milliseconds
        self.times: deque[float] = deque(maxlen=240)  # when the last ones were handed out
        self.begun: float | None = None

    def count(self, age: float) -> None:
        self.ages[min(max(0, round(1e3 * age)), LONGEST)] += 1
        now = time.monotonic()
        self.begun = now if self.begun is None else self.begun
        self.times.append(now)

    @property
    def shown(self) -> int:
        return int(self.ages.sum())

    def fps(self) -> float:
        """Pictures a second in the last WINDOW seconds."""
        now = time.monotonic()
        recent = sum(now - time_ < WINDOW for time_ in self.times)
        return recent / WINDOW

    def overall(self) -> float:
        """Pictures a second from the first one to the last."""
        if self.begun is None or self.times[-1] == self.begun:
            return 0.0
        return (self.shown - 1) / (self.times[-1] - self.begun)

    def age(self, share: float) -> float:
        """The age, in seconds, that this share of the pictures does not exceed; 0 without any."""
        below = np.cumsum(self.ages)
        return float(np.searchsorted(below, share * below[-1])) / 1e3 if below[-1] else 0.0
