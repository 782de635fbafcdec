"""A motion model at work on frames: on which device, how precisely, how many at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch

from animate.errors import AnimateError
from animate.models.contract import Insight, Motion, MotionModel, together
from animate.options import Retarget
from animate.system.device import find_precision
from animate.system.parallel import SINGLE_THREADED, chunks, map_in_order

BATCH = 4  # frames that the network sees at once, always: how it rounds depends on their number


@dataclass(frozen=True)
class Pose:
    """One pose of a driver; with a `scene_start` one a new scene begins."""

    motion: Motion  # of one
    scene_start: bool = False
    scene: int = 0  # of the driver, counted from 0: relative motion has a reference for each
    crop: np.ndarray | None = None  # (S, S, 3) uint8: the picture it was found in
    doubt: float = 0.0  # the model's, from 0 to 1 and beyond


class References:
    """The reference pose of each scene of a driver, also where scenes are played again."""

    def __init__(self, first: Motion | None) -> None:
        self.known = {} if first is None else {0: first}

    def of(self, pose: Pose) -> Motion:
        """The reference of the scene that a pose belongs to."""
        return self.known.setdefault(pose.scene, pose.motion)


@dataclass(frozen=True)
class Predictor:
    """A motion model at work on frames: uint8 (S, S, 3) in and out, `threads` batches at a time.

    Rendering may run in bfloat16, and finding points where the model keeps them fine by itself; in
    int8, as the model is packed. Torch has one thread for each batch, so that a result does not
    depend on how many there are.
    """

    model: MotionModel
    precision: torch.dtype
    threads: int = 1

    @classmethod
    def of(cls, model: MotionModel, precision: str = "auto", threads: int = 1) -> Predictor:
        """A stage for a model as it was loaded, which is prepared for inference in place.

        Normalisation is folded, weights are laid out channels last, or packed. Raises AnimateError
        where there is no such precision here.
        """
        kind = find_precision(precision, model.device, model.supports_int8)
        model = model.eval().fuse()
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if kind is torch.int8:
            model.pack()
        return cls(model, kind, threads)

    def encode(self, photo: np.ndarray) -> Any:
        """The model's `Source` of a cropped photo."""
        with SINGLE_THREADED, torch.inference_mode():
            return self.model.encode(self._tensor([photo]))

    def track(self, frames: list[np.ndarray]) -> Motion:
        """The poses of cropped driving frames."""
        with (
            SINGLE_THREADED,
            torch.inference_mode(),
            self._autocast(self.model.tracks_under_autocast),
        ):
            return self.model.track(self._tensor(frames))

    def poses(self, frames: Iterable[np.ndarray]) -> Iterator[Pose]:
        """The pose of each cropped driving frame."""
        for some in map_in_order(self.seen, chunks(frames, BATCH), self.threads):
            yield from some

    def seen(self, frames: list[np.ndarray]) -> list[Pose]:
        """The poses of at most BATCH cropped driving frames."""
        if not frames:
            return []
        motion = self.track(frames + frames[-1:] * (BATCH - len(frames)))
        doubts = self.doubts(motion)
        return [
            Pose(motion[i : i + 1], crop=crop, doubt=doubts[i]) for i, crop in enumerate(frames)
        ]

    def doubts(self, motion: Motion) -> list[float]:
        """How far each pose is from being known, as the model says: from 1 on it is no face's."""
        with torch.inference_mode():
            return [float(doubt) for doubt in self.model.doubt(motion)]

    def frames(
        self, source: Any, driving: Iterable[np.ndarray], first: Motion | None, **retarget: Any
    ) -> Iterator[np.ndarray]:
        """The photo moved like each driving frame; `first` is the reference pose, else frame 0."""
        return self.animate(source, self.poses(driving), first, Retarget(**retarget))

    def animate(
        self, source: Any, poses: Iterable[Pose], reference: Motion | None, how: Retarget
    ) -> Iterator[np.ndarray]:
        """The photo in each pose, relative to `reference` in the driver's first scene, and in each
        other one (without a reference in the first, too) to the first pose seen of it."""
        references = References(reference)

        def with_reference(pose: Pose) -> tuple[Motion, Motion]:
            return references.of(pose), pose.motion

        def rendered(some: list[tuple[Motion, Motion]]) -> np.ndarray:
            full = some + some[-1:] * (BATCH - len(some))
            scenes = [list(scene) for _, scene in groupby(full, key=lambda pair: id(pair[0]))]
            moved = [
                self.retarget(source, together([pose for _, pose in scene]), scene[0][0], how)
                for scene in scenes
            ]
            return self.render(source, together(moved))[: len(some)]

        for frames in map_in_order(
            rendered, chunks(map(with_reference, poses), BATCH), self.threads
        ):
            yield from frames

    def retarget(self, source: Any, motion: Motion, reference: Motion, how: Retarget) -> Motion:
        """Poses carried over to the photo, relative to the one pose `reference`.

        Raises AnimateError where a region is to be amplified that the model doesn't know.
        """
        unknown = [name for name in how.amplify if name not in self.model.regions]
        if unknown:
            known = ", ".join(self.model.regions) or "none"
            raise AnimateError(
                f"this motion model can't amplify {unknown[0]} by itself (only: {known}): use "
                f"retarget.{unknown[0]}=1"
            )
        with torch.inference_mode():
            return self.model.retarget(
                source,
                motion,
                reference,
                relative=how.relative,
                adapt_scale=how.adapt_scale,
                amplify=how.amplify,
            )

    def distance(self, own: Motion, motion: Motion) -> float:
        """How far one pose is from another (`MotionModel.distance`)."""
        with torch.inference_mode():
            return float(self.model.distance(own, motion))

    def head_distance(self, own: Motion, motion: Motion) -> float:
        """How far the head of one pose is from that of another, in half crops."""
        with torch.inference_mode():
            return float(self.model.head_distance(own, motion))

    def points(self, motion: Motion) -> np.ndarray | None:
        """Points to draw on the frame of one pose, (K, 2) in [-1, 1], where the model has some."""
        found = self.model.points(motion)
        return None if found is None else found[0].float().cpu().numpy()

    def explain(self, source: Any, motion: Motion) -> Insight:
        """What `render` does with the same arguments, without autocast."""
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
