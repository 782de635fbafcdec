"""What a motion model is to the rest of the toolkit: four verbs over tensors of its own.

`docs/add-a-model.md` walks through adding one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from animate.faces.crop import Framing

S = TypeVar("S")
M = TypeVar("M", bound="Motion")


@dataclass(frozen=True)
class Motion:
    """T poses of a driver; every field is a tensor whose first axis is T.

    Fields of floats are the pose: they are smoothed, and saved in templates. Fields of whole
    numbers (uint8) are pictures of the frame that a model may need beside the pose; poses of a
    template have those of a plain grey frame instead.
    """

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def __getitem__(self: M, index: slice) -> M:
        """The poses of a slice, as another Motion."""
        return replace(self, **{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def numbers(self) -> np.ndarray:
        """The floats of one pose as a row (n,), float32."""
        return (
            torch.cat([part.flatten() for part in self._parts(True).values()]).float().cpu().numpy()
        )

    def with_numbers(self: M, row: np.ndarray | Sequence[float]) -> M:
        """The pose with other floats, a row as `numbers` gives it."""
        return self._with(True, torch.as_tensor(np.array(row, np.float32)))

    def pictures(self) -> np.ndarray:
        """The whole numbers of one pose as a row (n,), uint8; empty for most models."""
        parts = self._parts(False).values()
        return torch.cat(
            [torch.empty(0, dtype=torch.uint8), *(p.flatten().cpu() for p in parts)]
        ).numpy()

    def with_pictures(self: M, row: np.ndarray) -> M:
        """The pose with other pictures, a row as `pictures` gives it."""
        return self._with(False, torch.as_tensor(np.array(row, np.uint8)))

    def toward(self: M, other: M, share: float) -> M:
        """A `share` in [0, 1] of the way to another pose, with the pictures of this one."""
        ends = other._parts(True)
        mixed = {k: torch.lerp(part, ends[k], share) for k, part in self._parts(True).items()}
        return replace(self, **mixed)

    def _parts(self, floats: bool) -> dict[str, Tensor]:
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: part for k, part in parts.items() if part.is_floating_point() == floats}

    def _with(self: M, floats: bool, row: Tensor) -> M:
        parts = self._parts(floats)
        pieces = row.split([part.numel() for part in parts.values()])
        filled = {
            name: piece.view(part.shape).to(part)
            for (name, part), piece in zip(parts.items(), pieces, strict=True)
        }
        return replace(self, **filled)


def together(motions: Sequence[M]) -> M:
    """Motions of the same model, one after the other."""
    one = motions[0]
    return replace(
        one, **{f.name: torch.cat([getattr(m, f.name) for m in motions]) for f in fields(one)}
    )


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


class MotionModel(nn.Module, ABC, Generic[S, M]):
    """A network that animates a photo; `size` is the side S of the square images it takes.

    S is what it keeps of a photo, M its `Motion`. All images are float in [0, 1]. The verbs neither
    set nor need gradients; callers choose `torch.inference_mode()`. `forward(source, driving)` is
    the same network for training.
    """

    size: int
    framing: Framing = Framing()  # how much around a face it wants to see
    regions: tuple[str, ...] = ()  # what `retarget` can amplify: {"mouth": 1.5}
    smoothing_speed: float = 6.0  # Hz of a smoothing filter's cut-off for each unit of M a second
    near: float = 0.0  # a `distance` below which a reference pose needs no better one
    far: float = math.inf  # a `distance` of the reference pose above which features drift
    tracks_under_autocast: bool = False  # autocast leaves the poses of `track` about as they are
    supports_int8: bool = False  # there is a `pack`

    @abstractmethod
    def encode(self, photo: Tensor) -> S:
        """Everything that depends on the photo alone, computed once; photo is (1, 3, S, S)."""

    @abstractmethod
    def track(self, frames: Tensor) -> M:
        """The poses of driving frames (T, 3, S, S)."""

    @abstractmethod
    def retarget(
        self,
        source: S,
        motion: M,
        reference: M,
        *,
        relative: bool = True,
        adapt_scale: bool = True,
        amplify: Mapping[str, float] = {},
    ) -> M:
        """Carry the driver's poses over to the photo's face.

        `reference` is the one pose of the driver's reference frame. Relative motion adds the
        driver's change since then to the photo's own pose, scaled to its face where `adapt_scale`;
        absolute motion (relative=False) takes the driver's poses as they are. `amplify` multiplies
        the relative motion of regions; callers name none but those of `regions`.
        """

    @abstractmethod
    def render(self, source: S, motion: M) -> Tensor:
        """The photo in each of T poses: (T, 3, S', S') in [0, 1]; S' may exceed S."""

    @abstractmethod
    def explain(self, source: S, motion: M) -> Insight:
        """What `render` does with the same arguments."""

    @abstractmethod
    def distance(self, own: M, motion: M) -> Tensor:
        """How far each of T poses is from the one pose `own`, (T,); place, size and roll don't
        count. `near` and `far` are in its units."""

    def points(self, motion: M) -> Tensor | None:
        """Points to draw on the frames, (T, K, 2) in [-1, 1]; None for a model without any."""
        return None

    def head_distance(self, own: M, motion: M) -> Tensor:
        """How far the heads of T poses are from that of the one pose `own`, (T,), in half crops;
        0 for a model that doesn't know."""
        home, points = self.points(own), self.points(motion)
        if home is None or points is None:
            return torch.zeros(len(motion))
        return (points - home).square().sum(-1).mean(-1).sqrt()

    def marks(self, own: M) -> Tensor | None:
        """Right eye, left eye, nose, corners of the mouth in T poses, (T, 5, 2), where known."""
        return None

    def doubt(self, motion: M) -> Tensor:
        """How far each of T poses, as `track` found them, is from being known: (T,).

        From 1 on it is no face's. Below a half nothing speaks against it; a half and more is a
        face that can hardly be seen (from the side, say), or one that is covered or out of focus.
        Models that know nothing of their doubts have none.
        """
        return torch.zeros(len(motion))

    def remarks(self, own: M, name: str | None = None, source: S | None = None) -> list[str]:
        """What is known from a photo's pose, and from its `encode`, to go badly.

        A sentence each, with what to do.

        `name` is what the face is called where the photo shows others, too.
        """
        return []

    def fuse(self) -> MotionModel[S, M]:
        """Prepare for inference only (fold normalisation into convolutions); returns self."""
        return self

    def pack(self) -> None:
        """Quantise to int8 in place, for inference; call after `fuse`."""
        raise NotImplementedError

    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device


class Converted(NamedTuple):
    """A model made of somebody else's weights."""

    model: str  # name in the registry, or "discriminator"
    arguments: dict[str, Any]  # of its constructor
    state: dict[str, Tensor]
