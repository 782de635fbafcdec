"""The interface of a motion model: encode a photo, track a driver, retarget its motion, render.

`docs/add-a-model.md` walks through adding a model.
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

from animate.errors import AnimateError
from animate.faces.crop import Framing

S = TypeVar("S")
M = TypeVar("M", bound="Motion")


@dataclass(frozen=True)
class Motion:
    """T poses of a driver; every field is a tensor whose first axis is T.

    Float fields are the pose: they are smoothed, and saved in templates. uint8 fields are pictures
    of the frame that a model may need beside the pose. A template doesn't hold them: its poses get
    the pictures of a plain grey frame.
    """

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def __getitem__(self: M, index: slice) -> M:
        """The poses of a slice, as a new Motion."""
        return replace(self, **{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def numbers(self) -> np.ndarray:
        """The float fields of one pose as a row (n,), float32."""
        return (
            torch.cat([part.flatten() for part in self._parts(True).values()]).float().cpu().numpy()
        )

    def with_numbers(self: M, row: np.ndarray | Sequence[float]) -> M:
        """Copy of the pose with its floats taken from a row, in the order of `numbers`."""
        return self._with(True, torch.as_tensor(np.array(row, np.float32)))

    def pictures(self) -> np.ndarray:
        """The uint8 fields of one pose as a row (n,); empty for most models."""
        parts = self._parts(False).values()
        return torch.cat(
            [torch.empty(0, dtype=torch.uint8), *(p.flatten().cpu() for p in parts)]
        ).numpy()

    def with_pictures(self: M, row: np.ndarray) -> M:
        """Copy of the pose with its pictures taken from a row, in the order of `pictures`."""
        return self._with(False, torch.as_tensor(np.array(row, np.uint8)))

    def toward(self: M, other: M, share: float) -> M:
        """Interpolate to another pose by `share` in [0, 1]; pictures stay those of this pose."""
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
    """Concatenate motions of the same model."""
    first = motions[0]
    return replace(
        first, **{f.name: torch.cat([getattr(m, f.name) for m in motions]) for f in fields(first)}
    )


@dataclass(frozen=True)
class Prediction:
    """Outputs of a training pass over B (source, driving) pairs."""

    image: Tensor  # (B, 3, S, S): the source in the driver's pose
    warped: Tensor  # (B, 3, S, S): the source image warped by the dense motion alone
    occlusion: Tensor  # (B, 1, s, s) in [0, 1]: 1 where the warped photo is trusted
    source: Motion
    driving: Motion
    front: Tensor | None = None  # (B, 2, S, S): masks of the person and the background to inpaint
    silhouette: Tensor | None = None  # (B, 1, S, S): mask of the person in the image


@dataclass(frozen=True)
class Insight:
    """How a model rendered T poses, for people to look at."""

    flow: Tensor  # (T, h, w, 2): where in the photo each pixel comes from
    share: Tensor  # (T, 1, h, w) in [0, 1]: share of the warped photo; the rest is painted


class MotionModel(nn.Module, ABC, Generic[S, M]):
    """A network that animates a photo.

    In annotations, S is the type that `encode` returns and M the model's `Motion`; in shapes, S is
    `size`. All images are float in [0, 1]. The methods for inference neither set nor need
    gradients; callers choose `torch.inference_mode()`.
    """

    size: int  # side S of the square input images, pixels
    framing: Framing = Framing()  # the crop around a face that the model expects
    regions: tuple[str, ...] = ()  # regions that `retarget` can amplify, as in {"mouth": 1.5}
    smoothing_speed: float = 6.0  # smoothing cut-off in Hz per unit of M a second
    near: float = 0.0  # `distance` below which a reference pose is near enough: the search ends
    far: float = math.inf  # `distance` of the reference pose above which features drift
    tracks_under_autocast: bool = False  # autocast hardly changes the poses of `track`
    supports_int8: bool = False  # `pack` is implemented

    @abstractmethod
    def encode(self, photo: Tensor) -> S:
        """Compute all that depends on the photo (1, 3, S, S) alone; called once per photo."""

    @abstractmethod
    def track(self, frames: Tensor) -> M:
        """Estimate the poses of driving frames (T, 3, S, S)."""

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
        """Transfer the driver's poses to the photo's face.

        `reference` is the pose of the driver's reference frame, a Motion of length 1. Relative
        motion adds the driver's change since that frame to the photo's own pose, scaled to its face
        if `adapt_scale`. Absolute motion (relative=False) uses the driver's poses unchanged.
        `amplify` multiplies the relative motion of regions; its keys are names in `regions`.
        """

    @abstractmethod
    def render(self, source: S, motion: M) -> Tensor:
        """Render the photo in each of T poses: (T, 3, S', S') in [0, 1]; S' may exceed S."""

    @abstractmethod
    def explain(self, source: S, motion: M) -> Insight:
        """Return the flow and the share that `render` uses for the same arguments."""

    @abstractmethod
    def distance(self, own: M, motion: M) -> Tensor:
        """Distance of each of T poses from the single pose `own`, (T,), ignoring place, size and
        roll; `near` and `far` are in its units."""

    def forward(self, source: Tensor, driving: Tensor) -> Prediction:
        """Training pass over B pairs of images, (B, 3, S, S) each. Raises AnimateError if the
        model has none."""
        raise AnimateError(f"{type(self).__name__} has no training pass: train another model")

    def tilt(self, own: M, motion: M) -> Tensor:
        """Roll of each of T heads against that of the single pose `own`, in degrees, (T,), not
        negative; 0 if the model can't tell."""
        return torch.zeros(len(motion))

    def points(self, motion: M) -> Tensor | None:
        """Keypoints to draw on the frames, (T, K, 2) in [-1, 1]; None if the model has none."""
        return None

    def head_distance(self, own: M, motion: M) -> Tensor:
        """How far the heads of T poses are from that of the single pose `own`, (T,), in half
        crops: where hair and neck go. 0 if the model has no keypoints."""
        home, points = self.points(own), self.points(motion)
        if home is None or points is None:
            return torch.zeros(len(motion))
        return (points - home).square().sum(-1).mean(-1).sqrt()

    def marks(self, own: M) -> Tensor | None:
        """Right eye, left eye, nose and mouth corners in T poses, (T, 5, 2); None if unknown."""
        return None

    def doubt(self, motion: M) -> Tensor:
        """Doubt that each of T poses from `track` belongs to a face: (T,).

        Below 0.5: no doubt. From 0.5: the face is hard to see (a profile, say), covered or out of
        focus. From 1: there is no face. Models that can't tell return 0.
        """
        return torch.zeros(len(motion))

    def remarks(self, own: M, name: str | None = None, source: S | None = None) -> list[str]:
        """Problems that a photo's pose `own` and its encoding `source` reveal.

        One sentence per problem, with what to do. `name` refers to the face where the photo shows
        several.
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
    """A model converted from weights of another project."""

    model: str  # name in the registry, or "discriminator"
    arguments: dict[str, Any]  # of its constructor
    state: dict[str, Tensor]
