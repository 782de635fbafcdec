"""Follow the head before a camera, one frame at a time, and keep its reference pose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from threading import Lock

import numpy as np

from animate.errors import AnimateError
from animate.faces import Box, TrackedFrame, camera_locator, cut
from animate.inference.doubt import DOUBTFUL, LOST
from animate.inference.predictor import Pose, Predictor
from animate.inference.smoothing import Smoother
from animate.models.contract import Motion
from animate.options import Options

SEARCH = 10.0  # seconds of the search for a better reference pose
BETTER = 0.9  # of the distance to the photo's pose: a reference pose that is hardly nearer is left


@dataclass(frozen=True)
class Sight:
    """What a frame of the camera shows."""

    state: str  # "live", "held" (its pose can't be trusted) or "lost" (no face)
    pose: Pose | None  # the last one that can be trusted; None before the first
    reference: Pose | None  # the pose that relative motion starts from
    box: Box | None  # the face's square in the frame, pixels


class Head:
    """The head before a camera: `see` frames in order in one thread at a time.

    The first pose is the reference, and a better one is searched for SEARCH seconds, unless
    `retarget.reference` is 0. A pose in doubt is not used: the last one is held (`inference.doubt`
    also looks ahead, which a live picture can't wait for).
    """

    def __init__(self, predictor: Predictor, options: Options, rate: Fraction) -> None:
        self.predictor, self.faces, self.rate = predictor, options.faces, rate
        self.seeks = options.retarget.reference == "auto"
        self.lock = Lock()  # of what follows, up to `until`
        self.last: Pose | None = None
        self.reference: Pose | None = None
        self.until: float | None = None  # the search ends then; None: there is none
        self.fresh = False  # everything that was seen is to be forgotten
        self.mirrored = self.was_mirrored = False
        self.smoother: Smoother | None = None
        self.tracked = self._begin()

    def calibrate(self) -> None:
        """Make the last pose the reference. Raises AnimateError before the first one."""
        with self.lock:
            if self.last is None:
                raise AnimateError("no face was seen yet: look into the camera, then calibrate")
            self.reference, self.until = self.last, None

    def search(self, now: float) -> None:
        """For SEARCH seconds from `now`, make each pose nearer to the photo's the reference."""
        with self.lock:
            self.until = now + SEARCH

    def forget(self) -> None:
        """Forget the face, the smoothing and the reference."""
        with self.lock:
            self.fresh, self.last, self.reference, self.until = True, None, None, None

    @property
    def searching(self) -> bool:
        return self.until is not None

    def see(self, frame: np.ndarray, when: float, own: Motion, smoothing: float | None) -> Sight:
        """Track the head in a frame (H, W, 3) uint8 that was taken at `when`, in seconds.

        `own` is the photo's pose, `smoothing` as in `options.Retarget`.
        """
        self._renew()
        shown = np.ascontiguousarray(frame[:, ::-1]) if self.was_mirrored else frame
        seen = self._track(shown)
        if not seen.found:
            return self._sight("lost", None)
        box = seen.box
        if self.was_mirrored:
            box = replace(box, left=frame.shape[1] - box.left - box.side)
        pose = self.predictor.pose(cut(shown, seen.box, self.predictor.model.size))
        if pose.doubt >= LOST:
            return self._sight("held", box)
        self._take(self._smoothed(pose, when, smoothing), when, own)
        return self._sight("live", box)

    def _sight(self, state: str, box: Box | None) -> Sight:
        with self.lock:
            return Sight(state, self.last, self.reference, box)

    def _renew(self) -> None:
        """Forget, or turn round to the other side, what was seen before."""
        with self.lock:
            turned, fresh = self.mirrored != self.was_mirrored, self.fresh
            self.was_mirrored, self.fresh = self.mirrored, False
            reference = self.reference
        if turned or fresh:
            self.tracked, self.smoother = self._begin(), None
        if turned and reference is not None and reference.crop is not None:
            other = self.predictor.pose(np.ascontiguousarray(reference.crop[:, ::-1]))
            with self.lock:
                if self.reference is reference:
                    self.reference = other

    def _begin(self) -> Iterator[TrackedFrame]:
        locator = camera_locator(self.faces, self.predictor.model.framing)

        def frames() -> Iterator[np.ndarray]:
            while True:
                yield self.frame

        return locator.track(frames(), self.rate)

    def _track(self, frame: np.ndarray) -> TrackedFrame:
        """Track one frame; the locator yields a frame for each one it takes."""
        self.frame = frame
        return next(self.tracked)

    def _smoothed(self, pose: Pose, when: float, cutoff: float | None) -> Pose:
        if cutoff is None:
            self.smoother = None
            return pose
        if self.smoother is None or self.smoother.cutoff != cutoff:
            speed = self.predictor.model.smoothing_speed
            self.smoother = Smoother(self.rate, cutoff, speed)
        return self.smoother(pose, when)

    def _take(self, pose: Pose, when: float, own: Motion) -> None:
        """Show a pose, and make it the reference if it is the first, or better while searching."""
        with self.lock:
            searching, reference = self.until is not None, self.reference
        nearer = searching and pose.doubt < DOUBTFUL and self._nearer(pose, reference, own)
        with self.lock:
            if self.fresh:
                return
            self.last = pose
            if self.reference is None:
                self.reference = pose
                self.until = when + SEARCH if self.seeks else None
            elif nearer and self.until is not None:
                self.reference = pose
            if self.until is not None and when > self.until:
                self.until = None

    def _nearer(self, pose: Pose, reference: Pose | None, own: Motion) -> bool:
        if reference is None:
            return True
        away = self.predictor.unlikeness(own, reference.motion)
        near = self.predictor.model.near
        return away > near and self.predictor.unlikeness(own, pose.motion) < BETTER * away
