"""A motion model at work on frames: on which device, how precisely, how many at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy as np
import torch

from animate.errors import AnimateError
from animate.models.contract import Insight, Motion, MotionModel, _numbers, together
from animate.system.device import find_precision
from animate.system.parallel import ALONE, chunks, in_order

BATCH = 4  # frames that the network sees at once, always: how it rounds depends on their number


@dataclass(frozen=True)
class Pose:
    """One pose of a driver; with a `fresh` one a new scene begins."""

    motion: Motion  # of one
    fresh: bool = False
    crop: np.ndarray | None = None  # (S, S, 3) uint8: the picture it was found in


@dataclass(frozen=True)
class Retarget:
    """How poses are carried over to the photo.

    `amplify` maps regions of the face to factors, 1 where it says nothing; "head" is the movement
    of the whole head. Raises AnimateError when absolute motion is to be amplified.
    """

    relative: bool = True
    adapt_scale: bool = True
    amplify: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.changed and not self.relative:
            raise AnimateError(
                f"retarget.{next(iter(self.changed))} amplifies relative motion: use "
                "retarget.relative=true"
            )

    @property
    def keeps_head(self) -> bool:
        """Whether the head stays as the photo has it."""
        return self.amplify.get("head", 1) == 0

    @property
    def changed(self) -> dict[str, float]:
        return {name: gain for name, gain in self.amplify.items() if gain != 1}


@dataclass(frozen=True)
class Stage:
    """A motion model at work on frames: uint8 (S, S, 3) in and out, `threads` batches at a time.

    Rendering may run in bfloat16, and finding points where the model keeps them fine by itself; in
    int8, as the model is packed. Torch has one thread for each batch, so that a result does not
    depend on how many there are.
    """

    model: MotionModel
    precision: torch.dtype
    threads: int = 1

    @classmethod
    def of(cls, model: MotionModel, precision: str = "auto", threads: int = 1) -> Stage:
        """A stage for a model as it was loaded, which is prepared for inference in place.

        Normalisation is folded, weights are laid out channels last, or packed. Raises AnimateError
        where there is no such precision here.
        """
        kind = find_precision(precision, model.device, model.eight_bits)
        model = model.eval().fuse()
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if kind is torch.int8:
            model.pack()
        return cls(model, kind, threads)

    def encode(self, photo: np.ndarray) -> Any:
        """The model's `Source` of a cropped photo."""
        with ALONE, torch.inference_mode():
            return self.model.encode(self._tensor([photo]))

    def track(self, frames: list[np.ndarray]) -> Motion:
        """The poses of cropped driving frames."""
        with ALONE, torch.inference_mode(), self._autocast(self.model.fine):
            return self.model.track(self._tensor(frames))

    def poses(self, frames: Iterable[np.ndarray]) -> Iterator[Pose]:
        """The pose of each cropped driving frame."""
        for some in in_order(self.seen, chunks(frames, BATCH), self.threads):
            yield from some

    def seen(self, frames: list[np.ndarray]) -> list[Pose]:
        """The poses of at most BATCH cropped driving frames."""
        if not frames:
            return []
        motion = self.track(frames + frames[-1:] * (BATCH - len(frames)))
        return [Pose(motion[i : i + 1], crop=crop) for i, crop in enumerate(frames)]

    def frames(
        self, source: Any, driving: Iterable[np.ndarray], first: Motion | None, **retarget: Any
    ) -> Iterator[np.ndarray]:
        """The photo moved like each driving frame; `first` is the reference pose, else frame 0."""
        return self.animate(source, self.poses(driving), first, Retarget(**retarget))

    def animate(
        self, source: Any, poses: Iterable[Pose], first: Motion | None, how: Retarget
    ) -> Iterator[np.ndarray]:
        """The photo in each pose, relative to `first` or, without one and after a scene cut, to the
        scene's first pose."""

        def anchored(pose: Pose) -> tuple[Motion, Motion]:
            nonlocal first
            if first is None or pose.fresh:
                first = pose.motion
            return first, pose.motion

        def rendered(some: list[tuple[Motion, Motion]]) -> np.ndarray:
            full = some + some[-1:] * (BATCH - len(some))
            scenes = [list(scene) for _, scene in groupby(full, key=lambda pair: id(pair[0]))]
            moved = [
                self.retarget(source, together([pose for _, pose in scene]), scene[0][0], how)
                for scene in scenes
            ]
            return self.render(source, together(moved))[: len(some)]

        for frames in in_order(rendered, chunks(map(anchored, poses), BATCH), self.threads):
            yield from frames

    def retarget(self, source: Any, motion: Motion, first: Motion, how: Retarget) -> Motion:
        """Poses carried over to the photo, relative to the one pose `first`.

        Raises AnimateError where a region is to be amplified that the model doesn't know.
        """
        unknown = [name for name in how.changed if name not in self.model.regions]
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
                first,
                relative=how.relative,
                adapt_scale=how.adapt_scale,
                **({"amplify": how.changed} if how.changed else {}),
            )

    def unlike(self, own: Motion, motion: Motion) -> float:
        """How far one pose is from another, whose place, size and roll don't count."""
        with torch.inference_mode():
            return float(self.model.unlike(own, motion))

    def apart(self, own: Motion, motion: Motion) -> float:
        """How far the head of one pose is from that of another, in half crops."""
        with torch.inference_mode():
            return float(self.model.apart(own, motion))

    def explain(self, source: Any, motion: Motion) -> Insight:
        """What `render` does with the same arguments, without autocast."""
        with torch.inference_mode():
            return self.model.explain(source, motion)

    def render(self, source: Any, motion: Motion) -> np.ndarray:
        """The photo in every pose, (T, S', S', 3) uint8."""
        with ALONE, torch.inference_mode(), self._autocast():
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


def between(one: Motion, other: Motion, share: float) -> Motion:
    """One pose and a `share` in [0, 1] of the way to another; its pictures are those of the one."""
    parts, ends = _numbers(one), _numbers(other)
    return replace(one, **{name: torch.lerp(parts[name], ends[name], share) for name in ends})


def find_head(head: float | str, keeps: bool) -> float:
    """The factor of the head's movement; "auto" is 0 where a person `keeps` her own, else 1."""
    if head == "auto":
        return 0.0 if keeps else 1.0
    if isinstance(head, (bool, str)):
        raise AnimateError(f"retarget.head is {head}: use auto, or a factor such as 0 or 1")
    return head
