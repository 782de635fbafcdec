"""Run a motion model on frames: device, precision, batches and threads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch

from animate.errors import AnimateError
from animate.inference.heads import HeadLimit
from animate.models.contract import Insight, Motion, MotionModel, together
from animate.options import Retarget
from animate.system.device import find_precision
from animate.system.parallel import SINGLE_THREADED, chunks, map_in_order

UPRIGHT = 10.0  # degrees of roll between two heads that count as alike
BATCH = 4  # frames in every batch, padded if need be: rounding depends on the batch size


@dataclass(frozen=True)
class Pose:
    """One pose of a driver."""

    motion: Motion  # T = 1
    scene_start: bool = False  # the first pose of a new scene
    scene: int = 0  # number of the scene, from 0: each has its own reference pose
    crop: np.ndarray | None = None  # (S, S, 3) uint8: the picture it was tracked in
    doubt: float = 0.0  # `MotionModel.doubt`, from 0; from 1 on it is not a face's pose
    passage: int = 0  # how many frames before belong to a transition that ends with this one


class References:
    """The reference pose of each scene of a driver; a scene that is replayed keeps its own."""

    def __init__(self, first: Motion | None) -> None:
        self.known = {} if first is None else {0: first}

    def of(self, pose: Pose) -> Motion:
        """The reference pose of the scene of a pose: the scene's first pose unless set."""
        return self.known.setdefault(pose.scene, pose.motion)


@dataclass(frozen=True)
class Predictor:
    """A motion model on frames: uint8 (S, S, 3) in and out, `threads` batches at a time.

    In bfloat16 `render` runs under autocast, and `track` only if the model's poses survive that; in
    int8 the model is packed. Torch uses one thread per batch, so the result does not depend on
    `threads`.
    """

    model: MotionModel
    precision: torch.dtype
    threads: int = 1

    @classmethod
    def of(cls, model: MotionModel, precision: str = "auto", threads: int = 1) -> Predictor:
        """A predictor for a freshly loaded model, which is prepared for inference in place.

        Normalisation is folded; weights become channels last, and int8 where that is chosen. Raises
        AnimateError for a precision that model or machine doesn't support.
        """
        kind = find_precision(precision, model.device, model.supports_int8)
        model = model.eval().fuse()
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if kind is torch.int8:
            model.pack()
        return cls(model, kind, threads)

    def encode(self, photo: np.ndarray) -> Any:
        """What the model's `encode` returns for a cropped photo (S, S, 3)."""
        with SINGLE_THREADED, torch.inference_mode():
            return self.model.encode(self._tensor([photo]))

    def track(self, frames: list[np.ndarray]) -> Motion:
        """The poses of cropped driving frames, of any number."""
        with (
            SINGLE_THREADED,
            torch.inference_mode(),
            self._autocast(self.model.tracks_under_autocast),
        ):
            return self.model.track(self._tensor(frames))

    def poses(self, frames: Iterable[np.ndarray]) -> Iterator[Pose]:
        """The pose of each cropped driving frame."""
        for batch in map_in_order(self.batch_poses, chunks(frames, BATCH), self.threads):
            yield from batch

    def batch_poses(self, frames: list[np.ndarray]) -> list[Pose]:
        """The poses of at most BATCH cropped driving frames."""
        if not frames:
            return []
        motion = self.track(frames + frames[-1:] * (BATCH - len(frames)))
        doubts = self.doubts(motion)
        return [
            Pose(motion[i : i + 1], crop=crop, doubt=doubts[i]) for i, crop in enumerate(frames)
        ]

    def pose(self, crop: np.ndarray) -> Pose:
        """The pose of one cropped driving frame without batching, for live use."""
        motion = self.track([crop])
        return Pose(motion, crop=crop, doubt=self.doubts(motion)[0])

    def doubts(self, motion: Motion) -> list[float]:
        """How doubtful each pose is (`MotionModel.doubt`): from 1 on it is not a face's."""
        with torch.inference_mode():
            return [float(doubt) for doubt in self.model.doubt(motion)]

    def frames(
        self, source: Any, driving: Iterable[np.ndarray], first: Motion | None, **retarget: Any
    ) -> Iterator[np.ndarray]:
        """The photo moved like each driving frame, relative to `first`, or to frame 0 if None."""
        for frame, _ in self.animate(source, self.poses(driving), first, Retarget(**retarget)):
            yield frame

    def animate(
        self,
        source: Any,
        poses: Iterable[Pose],
        reference: Motion | None,
        how: Retarget,
        limit: HeadLimit | None = None,
    ) -> Iterator[tuple[np.ndarray, float]]:
        """Render the photo in each pose, and say how far that moves the head (`HeadLimit.held`).

        Motion is relative to `reference` in the driver's first scene. In the others, or where it is
        None, it is relative to the scene's first pose. `limit` keeps the head near its place.
        """
        references = References(reference)

        def with_reference(pose: Pose) -> tuple[Motion, Motion]:
            return references.of(pose), pose.motion

        def rendered(
            batch: list[tuple[Motion, Motion]],
        ) -> list[tuple[np.ndarray, float]]:
            full = batch + batch[-1:] * (BATCH - len(batch))
            scenes = [list(scene) for _, scene in groupby(full, key=lambda pair: id(pair[0]))]
            moved, away = [], []
            for scene in scenes:
                motion = together([pose for _, pose in scene])
                carried, distances = self.carry(source, motion, scene[0][0], how, limit)
                moved.append(carried)
                away += distances
            frames = self.render(source, together(moved))[: len(batch)]
            return list(zip(frames, away, strict=False))

        for batch in map_in_order(
            rendered, chunks(map(with_reference, poses), BATCH), self.threads
        ):
            for frame, distance in batch:
                if limit is not None:
                    limit.count_far(distance)
                yield frame, distance

    def carry(
        self,
        source: Any,
        motion: Motion,
        reference: Motion,
        how: Retarget,
        limit: HeadLimit | None = None,
    ) -> tuple[Motion, list[float]]:
        """Poses carried over to the photo, their heads within `limit`, and how far they would go.

        Distances are those of `HeadLimit.held`; 0 without a limit.
        """
        moved = self.retarget(source, motion, reference, how)
        if limit is None:
            return moved, [0.0] * len(motion)
        return limit.held(self, source, moved, motion, reference, how)

    def retarget(self, source: Any, motion: Motion, reference: Motion, how: Retarget) -> Motion:
        """Carry poses over to the photo, relative to the single pose `reference`.

        Raises as `check`.
        """
        self.check(how)
        with torch.inference_mode():
            return self.model.retarget(
                source,
                motion,
                reference,
                relative=how.relative,
                adapt_scale=how.adapt_scale,
                amplify=how.amplify,
            )

    def check(self, how: Retarget) -> None:
        """Raise AnimateError for amplifying a region that the model doesn't know."""
        unknown = [name for name in how.amplify if name not in self.model.regions]
        if unknown:
            known = ", ".join(self.model.regions)
            raise AnimateError(
                f"retarget.{unknown[0]} does nothing with this motion model, which has "
                f"{f'only the regions {known}' if known else 'no regions'}: leave it out"
            )

    def distance(self, own: Motion, motion: Motion) -> float:
        """Distance between two poses (`MotionModel.distance`)."""
        with torch.inference_mode():
            return float(self.model.distance(own, motion))

    def unlikeness(self, own: Motion, motion: Motion) -> float:
        """How badly a driver's pose suits as reference for the photo's `own`; never less than their
        distance, and that itself up to UPRIGHT.

        A head that rolls against the photo's in its reference is rolled back in every other frame.
        """
        with torch.inference_mode():
            tilt = float(self.model.tilt(own, motion))
        return self.distance(own, motion) * max(1.0, tilt / UPRIGHT)

    def head_distance(self, own: Motion, motion: Motion) -> float:
        """Distance between the heads of two poses, in half crops."""
        with torch.inference_mode():
            return float(self.model.head_distance(own, motion))

    def points(self, motion: Motion) -> np.ndarray | None:
        """Points of one pose to draw on its frame, (K, 2) in [-1, 1]; None from some models."""
        found = self.model.points(motion)
        return None if found is None else found[0].float().cpu().numpy()

    def explain(self, source: Any, motion: Motion) -> Insight:
        """Flow and shares that `render` uses for the same arguments, without autocast."""
        with torch.inference_mode():
            return self.model.explain(source, motion)

    def render(self, source: Any, motion: Motion) -> np.ndarray:
        """The photo in every pose, (T, S', S', 3) uint8."""
        with SINGLE_THREADED, torch.inference_mode(), self._autocast():
            image = self.model.render(source, motion).float()  # (T, 3, S', S')
        pixels = image.clamp(0, 1).mul_(255).round_().to(torch.uint8)
        return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()

    def _autocast(self, able: bool = True) -> torch.autocast:
        low = able and self.precision.is_floating_point and self.precision is not torch.float32
        return torch.autocast(self.model.device.type, self.precision, enabled=low)

    def _tensor(self, frames: list[np.ndarray]) -> torch.Tensor:
        """(T, 3, S, S) in [0, 1] on the model's device."""
        pixels = torch.from_numpy(np.stack(frames)).to(self.model.device)
        return pixels.permute(0, 3, 1, 2).float().div(255)
