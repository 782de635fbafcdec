"""Measure lips in the mouth's frame, which goes with the head.

The frame's origin is one corner of the mouth and its first axis runs to the other, so lengths are
in widths of the mouth. The second axis is as long and points down.
"""

from __future__ import annotations

import torch
from torch import Tensor

from animate.faces import mesh
from animate.models.geometry import between_knots, exact

UPPER, LOWER = (
    [mesh.TAUGHT.index(n) for n in chain]
    for chain in ((78, 82, 13, 312, 308), (78, 87, 14, 317, 308))
)


@exact
def axes(point: Tensor) -> tuple[Tensor, Tensor]:
    """The mouth's frame in poses (B, K, 2): its corner (B, 1, 2), its axes as columns (B, 2, 2)."""
    corner = point[:, UPPER[0]]
    along = point[:, UPPER[-1]] - corner
    down = torch.stack([-along[:, 1], along[:, 0]], -1)
    return corner[:, None], torch.stack([along, down], -1)


@exact
def from_mouth(point: Tensor, z: Tensor) -> Tensor:
    """Convert places z (B, n, 2) of the picture to the mouth's frame."""
    corner, axis = axes(point)
    square = axis[:, :, :1].square().sum(1, keepdim=True).clamp(min=1e-6)
    return (z - corner) @ axis / square


@exact
def rims(point: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Depths of the upper and lower lips' inner rims at u (B, n) along the mouth: (B, n) each.

    Both are in the mouth's frame.
    """
    lips = from_mouth(point, point[:, UPPER + LOWER]).unflatten(1, (2, -1))
    at, height = lips.unbind(-1)  # (B, 2, 5) each
    depth = between_knots(at, height, u)
    return depth[:, 0], depth[:, 1]


def width(point: Tensor) -> Tensor:
    """Distance between the corners of the mouths of poses (B, K, 2): (B,)."""
    return (point[:, UPPER[-1]] - point[:, UPPER[0]]).norm(dim=-1).clamp(min=1e-3)


def opened(point: Tensor) -> Tensor:
    """Mean gap between the lips of poses (B, K, 2), in units of the points: (B,)."""
    u = torch.linspace(0, 1, 64, device=point.device).expand(len(point), -1)
    upper, lower = rims(point, u)
    return (lower - upper).mean(1) * width(point)
