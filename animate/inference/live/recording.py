"""Record a live session: its pictures by their times, at a constant rate, with a microphone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future
from fractions import Fraction
from queue import Full, Queue

import numpy as np

from animate.errors import AnimateError
from animate.inference.live.statement import Write
from animate.media.sound import Microphone
from animate.publish import Published
from animate.system.parallel import in_background

AHEAD = 2.0  # seconds of pictures that may wait to be written


class Recording:
    """A recording that runs: `write` publishes its frames in a thread of its own.

    A picture stays until the time of the next one, so movement and sound are in step with what
    the camera saw, however fast pictures come. Pictures that the writer can't follow are left out.
    """

    def __init__(self, write: Write, rate: Fraction, sound_rate: int | None) -> None:
        self.rate, self.start = rate, time.monotonic()
        self.microphone = None if sound_rate is None else Microphone(sound_rate)
        self.queue: Queue[tuple[int, np.ndarray] | None] = Queue(max(2, round(AHEAD * rate)))
        self.count, self.abandoned = 0, False
        self.result: Future[Published] = in_background(write, self._frames(), self.microphone)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    def add(self, picture: np.ndarray, when: float) -> None:
        """Add a picture, uint8 (H, W, 3), of a frame that was taken at `when`."""
        number = round((when - self.start) * self.rate)
        if number < 0:
            return
        try:
            self.queue.put_nowait((number, picture))
        except Full:
            return
        self.count += 1

    def hear(self, samples: np.ndarray, when: float) -> None:
        """Add sound whose first sample was taken at `when` (`Microphone.hear`)."""
        if self.microphone is None:
            raise AnimateError("this recording has no sound: give its rate when it begins")
        self.microphone.hear(samples, when - self.start)

    def stop(self) -> Published:
        """End it, and wait until the file is signed, verified and named."""
        if not self.count:
            self.abandon()
            raise AnimateError("nothing was recorded: no picture was shown meanwhile")
        self._end()
        return self.result.result()

    def abandon(self) -> None:
        """End it and leave no file."""
        self.abandoned = True
        self._end()
        self.result.exception()

    def _end(self) -> None:
        if self.microphone is not None:
            self.microphone.close()
        while not self.result.done():
            try:
                self.queue.put(None, timeout=0.1)
                return
            except Full:
                continue  # the writer still works, or has just failed

    def _frames(self) -> Iterator[np.ndarray]:
        held, count = None, 0
        while (item := self.queue.get()) is not None:
            number, picture = item
            held = picture if held is None else held
            while count < number:
                yield held
                count += 1
            held = picture
        if self.abandoned:
            raise AnimateError("the recording was abandoned")
        if held is not None:
            yield held
            if not count:
                yield held  # a video has two frames at least
