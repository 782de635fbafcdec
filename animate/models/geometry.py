"""Points, frames, grids and warps: the one convention of the whole toolkit.

Points are (x, y) in [-1, 1] with the centres of the corner pixels at -1 and 1
(`align_corners=True`). A flow is a grid of such points: where to look in the source for each
pixel of the result.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def grid(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """The identity flow, (H, W, 2): each pixel centre's own (x, y)."""
    y = torch.linspace(-1, 1, height, device=device)
    x = torch.linspace(-1, 1, width, device=device)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)


def warp(image: Tensor, flow: Tensor, padding: str = "zeros", align_corners: bool = True) -> Tensor:
    """Sample image (B, C, H, W) at flow (B, h, w, 2), bilinearly: (B, C, h, w)."""
    return F.grid_sample(
        image, flow.to(image.dtype), padding_mode=padding, align_corners=align_corners
    )


def resize_flow(flow: Tensor, height: int, width: int) -> Tensor:
    """Bilinear resize of a flow (B, h, w, 2) to (B, H, W, 2)."""
    if flow.shape[1:3] == (height, width):
        return flow
    return F.interpolate(
        flow.permute(0, 3, 1, 2), (height, width), mode="bilinear", align_corners=True
    ).permute(0, 2, 3, 1)


def gaussians(point: Tensor, height: int, width: int, variance: float) -> Tensor:
    """exp(-|z - p|^2 / (2 variance)) for points (B, K, 2) over a grid: (B, K, H, W)."""
    y = torch.linspace(-1, 1, height, device=point.device)
    x = torch.linspace(-1, 1, width, device=point.device)
    gy = torch.exp(-0.5 / variance * (y - point[..., 1:]) ** 2)  # (B, K, H): separable
    gx = torch.exp(-0.5 / variance * (x - point[..., :1]) ** 2)  # (B, K, W)
    return gy[..., :, None] * gx[..., None, :]


def expectation(probability: Tensor) -> Tensor:
    """The mean point of maps (B, K, H, W) that each sum to one: (B, K, 2)."""
    height, width = probability.shape[-2:]
    y = torch.linspace(-1, 1, height, device=probability.device, dtype=probability.dtype)
    x = torch.linspace(-1, 1, width, device=probability.device, dtype=probability.dtype)
    return torch.stack([probability.sum(-2) @ x, probability.sum(-1) @ y], -1)


def inverse_2x2(matrix: Tensor) -> Tensor:
    """Closed-form inverse of (..., 2, 2)."""
    a, b, c, d = matrix.flatten(-2).unbind(-1)
    adjugate = torch.stack([d, -b, -c, a], -1).unflatten(-1, (2, 2))
    return adjugate / (a * d - b * c)[..., None, None]
