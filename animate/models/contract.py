"""What a motion model is to the rest of the toolkit: four verbs over tensors of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from animate.models.geometry import fit_similarity

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
    front: Tensor | None = None  # (B, 2, S, S): the person in the source, and what she hides
    silhouette: Tensor | None = None  # (B, 1, S, S): the person in the image


@dataclass(frozen=True)
class Insight:
    """What a model did for T poses, for people to look at."""

    flow: Tensor  # (T, h, w, 2): where in the photo each pixel comes from
    share: Tensor  # (T, 1, h, w) in [0, 1]: the moved photo's share; the rest is painted


class MotionModel(nn.Module, ABC):
    """A network that animates a photo; `size` is the side S of the square images it takes.

    All images are float in [0, 1]. The verbs neither set nor need gradients; callers choose
    `torch.inference_mode()`. `forward(source, driving)` is the same network for training.
    """

    size: int
    fine: bool = False  # whether autocast leaves the points of `track` about as they are
    eight_bits: bool = False  # whether there is a `pack`
    regions: tuple[str, ...] = ()  # what `retarget` can amplify: {"mouth": 1.5}

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
        amplify: Mapping[str, float] = {},
    ) -> Motion:
        """Carry the driver's poses over to the photo's face.

        `first` is the one pose of the driver's reference frame. Relative motion adds the driver's
        change since `first` to the photo's own pose, scaled to its face where `adapt_scale`;
        absolute motion (relative=False) takes the driver's poses as they are. `amplify` multiplies
        the relative motion of regions; callers name none but those of `regions`.
        """

    @abstractmethod
    def render(self, source: Any, motion: Motion) -> Tensor:
        """The photo in each of T poses: (T, 3, S', S') in [0, 1]; S' may exceed S."""

    @abstractmethod
    def explain(self, source: Any, motion: Motion) -> Insight:
        """What `render` does with the same arguments."""

    def unlike(self, own: Motion, motion: Motion) -> Tensor:
        """How far each of T poses is from the one pose `own`, (T,), up to place, size and roll.

        For models whose poses have a `point` (T, K, 2).
        """
        home, point = own.point, motion.point  # type: ignore[attr-defined]
        matrix, centre, middle = fit_similarity(point, home.expand_as(point))
        return (middle + (point - centre) @ matrix.mT - home).square().sum(-1).mean(-1).sqrt()

    def apart(self, own: Motion, motion: Motion) -> Tensor:
        """How far the heads of T poses are from that of the one pose `own`, (T,), in half crops.

        The root mean square over the points of models whose poses have a `point` (T, K, 2).
        """
        home, point = own.point, motion.point  # type: ignore[attr-defined]
        return (point - home).square().sum(-1).mean(-1).sqrt()

    def marks(self, own: Motion) -> Tensor | None:
        """Right eye, left eye, nose, corners of the mouth in T poses, (T, 5, 2), where known."""
        return None

    def remarks(self, own: Motion, name: str | None = None) -> list[str]:
        """What is known from a photo's pose to go badly, a sentence each, with what to do.

        `name` is what the face is called where the photo shows others, too.
        """
        return []

    def fuse(self) -> MotionModel:
        """Prepare for inference only (fold normalisation into convolutions); returns self."""
        return self

    def pack(self) -> None:
        """Multiply bytes in place of floats, from now on and for inference only; after `fuse`."""
        raise NotImplementedError

    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device


def together(motions: list[Motion]) -> Motion:
    """Motions of the same model, one after the other."""
    one = motions[0]
    return replace(
        one, **{f.name: torch.cat([getattr(m, f.name) for m in motions]) for f in fields(one)}
    )


def values(motion: Motion) -> np.ndarray:
    """The numbers of one pose as a row (n,), float32; whole numbers are pictures, not pose."""
    row = torch.cat([part.flatten() for part in _numbers(motion).values()])
    return row.float().cpu().numpy()


def with_values(like: Motion, row: torch.Tensor) -> Motion:
    """The inverse of `values`, for a pose of the same kind as `like`."""
    parts = _numbers(like)
    pieces = row.float().split([part.numel() for part in parts.values()])
    filled = {
        name: piece.view(part.shape).to(part)
        for (name, part), piece in zip(parts.items(), pieces, strict=True)
    }
    return replace(like, **filled)


def _numbers(motion: Motion) -> dict[str, torch.Tensor]:
    parts = {f.name: getattr(motion, f.name) for f in fields(motion)}
    return {name: part for name, part in parts.items() if part.is_floating_point()}
