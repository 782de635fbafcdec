"""What a motion model is to the rest of the toolkit: four verbs over tensors of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound="Motion")


@dataclass(frozen=True)
class Motion:
    """T poses of a driver; every field is a tensor whose first axis is T."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def __getitem__(self: M, index: slice) -> M:
        """The poses of a slice, as another Motion."""
        return replace(self, **{f.name: getattr(self, f.name)[index] for f in fields(self)})


@dataclass(frozen=True)
class Prediction:
    """What training needs of one pass over B (source, driving) pairs."""

    image: Tensor  # (B, 3, S, S): the source in the driver's pose
    warped: Tensor  # (B, 3, S, S): the source image moved by the dense motion alone
    occlusion: Tensor  # (B, 1, s, s) in [0, 1]: 1 where the moved photo is trusted
    source: Motion
    driving: Motion


class MotionModel(nn.Module, ABC):
    """A network that animates a photo; `size` is the side S of the square images it takes.

    All images are float in [0, 1]. The verbs neither set nor need gradients; callers choose
    `torch.inference_mode()`. `forward(source, driving)` is the same network for training.
    """

    size: int

    @abstractmethod
    def encode(self, photo: Tensor) -> Any:
        """Everything that depends on the photo alone, computed once; photo is (1, 3, S, S)."""

    @abstractmethod
    def track(self, frames: Tensor) -> Motion:
        """The poses of driving frames (T, 3, S, S)."""

    @abstractmethod
    def retarget(
        self,
        source: Any,
        motion: Motion,
        first: Motion,
        *,
        relative: bool = True,
        adapt_scale: bool = True,
    ) -> Motion:
        """Carry the driver's poses over to the photo's face.

        `first` is the one pose of the driver's reference frame. Relative motion adds the driver's
        change since `first` to the photo's own pose, scaled to its face where `adapt_scale`;
        absolute motion (relative=False) takes the driver's poses as they are.
        """

    @abstractmethod
    def render(self, source: Any, motion: Motion) -> Tensor:
        """The photo in each of T poses: (T, 3, S', S') in [0, 1]; S' may exceed S."""

    def fuse(self) -> MotionModel:
        """Prepare for inference only (fold normalisation into convolutions); returns self."""
        return self

    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device
