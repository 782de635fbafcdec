"""Read pictures that move (animated WebP and PNG): frames as shown, times as the headers say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from animate.errors import AnimateError
from animate.media import files
from animate.media.coding_points import coded_in
from animate.media.photos import BROKEN, check_size, opened, shown

if TYPE_CHECKING:
    from PIL import Image

UNSTATED = Fraction(1, 10)  # seconds that players show a frame of no duration
BLUR = Fraction(2, 1000)  # seconds by which whole milliseconds blur a constant rate
FINEST = 60  # frames a second, at most, to place every frame exactly
MOST = Fraction(240)  # frames a second
USUAL = [Fraction(1000 * n, d) for n in (24, 25, 30, 50, 60) for d in (1000, 1001)]


class Moving:
    """One pass over an open picture; has what `clips.Reader` has, without sound.

    Frames are decoded one at a time, each composited on those before it as the file says.
    """

    def __init__(self, path: Path, picture: Image.Image):
        check_size(path, *picture.size)
        self.path, self.image = path, picture
        self.durations = [delay or UNSTATED for delay in files.delays(path)]
        self.apart = bool(getattr(picture, "default_image", False))  # a PNG's still, of no frame
        self.coded = coded_in(path)
        self.sound = None
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
        """(uint8 (H, W, 3) RGB, start, end) in seconds since the first one, up to any damage."""
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
        """The constant rate that suits the durations; where one fits them all, that one.

        Those that differ by the rounding to milliseconds are of one rate, a usual one if it is
        near. Otherwise the shortest decides. The last frame may be shown for longer.
        """
        some = self.durations[:-1]
        if max(some) - min(some) <= BLUR:
            rate = len(some) / sum(some, Fraction(0))
            return _usual(rate) if min(some) != max(some) else min(rate, MOST)
        step = Fraction(0)
        for one in some:
            numbers = step.numerator * one.denominator, one.numerator * step.denominator
            step = Fraction(gcd(*numbers), step.denominator * one.denominator)
        return 1 / step if 1 / step <= FINEST else min(_usual(1 / min(some)), Fraction(FINEST))

    def declared(self) -> Fraction:
        """How many seconds the headers say it lasts."""
        return sum(self.durations, Fraction(0))

    def broken(self) -> bool:
        """After a pass: whether there were fewer frames than the headers say."""
        promised = getattr(self.image, "n_frames", 1) - self.apart
        return self.decoded < max(len(self.durations), promised)


def _usual(rate: Fraction) -> Fraction:
    """A usual rate that is near, or else the rate itself, at most `MOST`."""
    near = min(USUAL, key=lambda other: abs(other - rate))
    if abs(near - rate) < rate / 100:
        return near
    return min(rate, MOST).limit_denominator(1001)
