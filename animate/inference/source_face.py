"""Faces that are animated, encoded and tracked: of a photo, or of a source video's frames."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from animate.faces import Box, Locator, TrackedFrame, cut
from animate.inference.doubt import Sample, with_trust
from animate.inference.predictor import Predictor
from animate.media.clips import Clip
from animate.models.contract import Motion
from animate.system.parallel import map_in_order


@dataclass(frozen=True)
class SourceFace:
    """A face, encoded and tracked."""

    box: Box
    crop: np.ndarray  # (S, S, 3) uint8
    source: Any  # what the model's `encode` returns
    own: Motion  # the face's own pose, T = 1

    @classmethod
    def of(
        cls, predictor: Predictor, photo: np.ndarray, box: Box, own: Motion | None = None
    ) -> SourceFace:
        """The face in a box; its `own` pose is tracked unless known."""
        crop = cut(photo, box, predictor.model.size)
        return cls(
            box, crop, predictor.encode(crop), predictor.track([crop]) if own is None else own
        )

    def marks(self, predictor: Predictor) -> np.ndarray | None:
        """The model's right eye, left eye, nose and mouth corners: (5, 2) in pixels of the photo;
        None from a model without them."""
        marks = predictor.model.marks(self.own)
        if marks is None:
            return None
        side = self.crop.shape[0]
        at = (marks[0].float().cpu().numpy() + 1) / 2 * (side - 1) + 0.5  # pixels of the crop
        return np.array([self.box.left, self.box.top]) + at * (self.box.side / side)


Tracked = tuple[TrackedFrame, Motion | None]  # a frame, without its pixels, and its face's pose
Person = tuple[TrackedFrame, SourceFace | None]  # a frame and the face to animate in it


def people_in(predictor: Predictor, clip: Clip, locator: Locator) -> Iterator[Person]:
    """The frames of a source video, each with its face, or None without one that can be trusted.

    Later frames tell whether one can be trusted, so the video is read twice at once: ahead, keeping
    poses alone, and again for the pixels.
    """

    def tracked(frame: TrackedFrame) -> Sample[Tracked]:
        bare = frame.without_frame()
        if not frame.found:
            return Sample((bare, None), math.inf)
        own = predictor.track([cut(frame.frame, frame.box, predictor.model.size)])
        return Sample((bare, own), predictor.doubts(own)[0], frame.scene_start, frame.passage)

    def encoded(
        shown: tuple[np.ndarray, tuple[Sample[Tracked], bool]],
    ) -> tuple[TrackedFrame, SourceFace | None]:
        pixels, (seen, sure) = shown
        frame, own = seen.item
        frame = replace(frame, frame=pixels, scene_start=seen.scene_start)
        if own is None or not sure:
            return frame, None
        return frame, SourceFace.of(predictor, pixels, frame.box, own)

    ahead = map_in_order(tracked, locator.track(clip.frames(), clip.rate), predictor.threads)
    again = zip(clip.frames(), with_trust(ahead, clip.rate), strict=True)
    return map_in_order(encoded, again, predictor.threads)
