"""Loss terms that need no landmarks: weighted image pyramids and equivariance."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from animate.data.pairs import Pairs
from animate.models.contract import Motion, MotionModel
from animate.models.geometry import (
    ThinPlateSpline,
    exact,
    inverse_2x2,
)

Terms = dict[str, Tensor]


def deformation(pairs: Pairs, step: int, seed: int) -> ThinPlateSpline:
    """Random deformations of the pairs' driving images, drawn for the whole step at once, so that
    they don't depend on how the step is split."""
    noise = torch.Generator().manual_seed(seed * 1_000_003 + step)
    spline = ThinPlateSpline(pairs.total or len(pairs.driving), noise)
    return spline.rows(pairs.rows or slice(None)).to(pairs.driving.device)


def pyramid(image: Tensor, target: Tensor, weight: Tensor, levels: int = 3) -> Tensor:
    """Weighted L1 distance, mean over octaves; images (B, 3, S, S), weight (B, 1, S, S)."""
    total = image.new_zeros(())
    for level in range(levels):
        if level:
            image, target, weight = (F.avg_pool2d(x, 2) for x in (image, target, weight))
        total = total + ((image - target).abs() * weight).mean() / weight.mean()
    return total / levels


def equivariance(
    image: Tensor, motion: Motion, model: MotionModel, spline: ThinPlateSpline
) -> Terms:
    """Distance of points, and of frames if any, from a known deformation of the image.

    Siarohin et al. 2019, eq. 8 to 11: with Y(z) = X(T(z)), p_X = T(p_Y) and
    1 = J_X^-1 T'(p_Y) J_Y.
    """
    moved = model.track(spline.warp(image))
    terms = {"equivariance": (motion.point - spline.points(moved.point)).abs().mean()}  # type: ignore[attr-defined]
    if hasattr(motion, "frame"):
        terms["jacobian"] = from_identity(motion.frame, spline.jacobian(moved.point), moved.frame)  # type: ignore[attr-defined]
    return terms


@exact
def from_identity(frame: Tensor, slope: Tensor, moved: Tensor) -> Tensor:
    """Mean L1 distance of frame^-1 slope moved, (B, K, 2, 2) each, from the identity."""
    return (torch.eye(2, device=frame.device) - inverse_2x2(frame) @ slope @ moved).abs().mean()
