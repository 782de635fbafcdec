"""Read animated WebP and PNG: composited frames, with the times of the headers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from animate.errors import AnimateError
from animate.media import delays
from animate.media.coding_points import coded_in
from animate.media.photos import BROKEN, check_size, opened, shown

if TYPE_CHECKING:
    from PIL import Image

UNSTATED = Fraction(1, 10)  # seconds that players show a frame of duration 0
# Largest difference of durations in seconds that the rounding of a constant rate to ms explains.
BLUR = Fraction(2, 1000)
FINEST = 60  # highest rate, in frames a second, that is used to place every frame exactly
MOST = Fraction(240)  # highest rate in frames a second
USUAL = [Fraction(1000 * n, d) for n in (24, 25, 30, 50, 60) for d in (1000, 1001)]  # common rates


class Moving:
    """One pass over an open animated picture; has the methods of `reader.Reader`, but no sound.

    Frames are decoded one at a time and composited on the earlier ones, as the file says.
    """

    def __init__(self, path: Path, picture: Image.Image):
        check_size(path, *picture.size)
        self.path, self.image = path, picture
        self.durations = [delay or UNSTATED for delay in delays.delays(path)]
        # A PNG may have a still picture that is no frame of the animation.
        self.apart = bool(getattr(picture, "default_image", False))
        self.coded = coded_in(path)
        self.sound = None
        self.further = 0  # tracks that are not read
        self.decoded = 0

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Moving]:
        from PIL import Image

        with ExitStack() as stack:
            try:
                moving = cls(path, stack.enter_context(opened(path)))
            except Image.DecompressionBombError as error:
                raise AnimateError(f"{path} is too large: use a smaller one") from error
            except BROKEN as error:
                raise AnimateError(
                    f"{path} is damaged or cut off ({error}): use a whole file"
                ) from error
            yield moving

    def frames(self) -> Iterator[tuple[np.ndarray, Fraction, Fraction]]:
        """(uint8 (H, W, 3) RGB, start, end) in seconds from the first frame; stops at damage."""
        start = Fraction(0)
        for index, duration in enumerate(self.durations):
            try:
                self.image.seek(index + self.apart)
                self.image.load()
            except BROKEN:
                return
            self.decoded += 1
            yield shown(self.image, self.coded), start, start + duration
            start += duration

    def picture(self, frame: np.ndarray) -> np.ndarray:
        return frame

    def pace(self) -> Fraction:
        """The constant rate, in frames a second, that best suits the durations.

        Durations that differ only by rounding to milliseconds have one rate, a common one if near.
        Otherwise it is the rate that places every frame exactly, if at most `FINEST`, else the
        shortest duration decides. The last frame is ignored, because it may be shown for longer.
        """
        durations = self.durations[:-1]
        if max(durations) - min(durations) <= BLUR:
            rate = len(durations) / sum(durations, Fraction(0))
            return _usual(rate) if min(durations) != max(durations) else min(rate, MOST)
        step = Fraction(0)  # greatest common divisor of the durations
        for one in durations:
            numbers = step.numerator * one.denominator, one.numerator * step.denominator
            step = Fraction(gcd(*numbers), step.denominator * one.denominator)
        return 1 / step if 1 / step <= FINEST else min(_usual(1 / min(durations)), Fraction(FINEST))

    def declared(self) -> Fraction:
        """Duration in seconds according to the headers."""
        return sum(self.durations, Fraction(0))

    def broken(self) -> bool:
        """Whether a pass decoded fewer frames than the headers declare."""
        promised = getattr(self.image, "n_frames", 1) - self.apart
        return self.decoded < max(len(self.durations), promised)


def _usual(rate: Fraction) -> Fraction:
    """A common rate within 1 % of this one, else the rate itself, at most `MOST`."""
    near = min(USUAL, key=lambda other: abs(other - rate))
    if abs(near - rate) < rate / 100:
        return near
    return min(rate, MOST).limit_denominator(1001)
