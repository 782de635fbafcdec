"""Estimate the camera's motion between two pictures of one scene from the background.

Photographs of one scene differ by a similarity of the background (a pan, a zoom, a roll) and by
exposure. Small grey pictures are aligned by Gauss-Newton on brightness, from coarse to fine (Lucas
& Kanade 1981). A gain and a bias model exposure; weights leave out people and whatever else moves.
For two different scenes the result is the identity.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from animate.models import geometry
from animate.models.geometry import exact, grid, warp

SIDE = 64  # side of the aligned pictures, pixels
STEPS = ((16, 8), (32, 6), (64, 4))  # from coarse to fine: side in pixels, iterations


@torch.no_grad()
@exact
def align(theirs: Tensor, ours: Tensor, behind: Tensor) -> Tensor:
    """Estimate similarities z -> A z + b from T driving pictures into ours: (T, 2, 3), (A, b).

    theirs (T, 1, SIDE, SIDE) and ours (1 or T, 1, SIDE, SIDE) are grey in [0, 1]; behind
    (T, 1, SIDE, SIDE) is 1 where both show background. Pictures that don't fit get the identity.
    """
    count = len(theirs)
    ours = ours.expand(count, -1, -1, -1)
    move = theirs.new_zeros(count, 6)  # scale - 1, turn, x, y, gain - 1, bias
    for side, steps in STEPS:
        a, b, w = (F.adaptive_avg_pool2d(x, side) for x in (theirs, ours, behind))
        field = torch.cat([b, slopes(b)], 1)  # (T, 3, side, side)
        z = grid(side, side, theirs.device)
        for _ in range(steps):
            move = move - step(a, field, w, z, move)
    still = mismatch(theirs, ours, behind, torch.zeros_like(move))
    after = mismatch(theirs, ours, behind, move)
    # full for a good fit that aligning improved by 40 %, 0 below 20 %; ramps prevent jumps
    sure = ((0.8 - after / still) / 0.2).clamp(0, 1) * ((0.6 - after) / 0.2).clamp(0, 1)
    sure = sure * (move[:, :4].abs().amax(1) < 0.7)  # no camera moves further within one shot
    return affine(move[:, :4] * sure[:, None])


def affine(move: Tensor) -> Tensor:
    """Matrices (T, 2, 3) of similarities (T, 4): scale - 1, turn, x, y."""
    scale, turn, x, y = move.unbind(1)
    return torch.stack([1 + scale, -turn, x, turn, 1 + scale, y], 1).view(-1, 2, 3)


def mismatch(theirs: Tensor, ours: Tensor, behind: Tensor, move: Tensor) -> Tensor:
    """1 - correlation of theirs with ours where both show background: (T,) in [0, 2]."""
    sampled, weight = look(ours, behind, grid(SIDE, SIDE, theirs.device), move)
    pair = torch.stack([theirs.flatten(1), sampled.flatten(1)], 1)  # (T, 2, SIDE*SIDE)
    total = weight.sum(1)[:, None, None] + 1e-6
    pair = pair - (pair * weight[:, None]).sum(2, keepdim=True) / total
    a, b = (pair * weight[:, None].sqrt()).unbind(1)
    correlation = (a * b).sum(1) / (a.square().sum(1) * b.square().sum(1) + 1e-4).sqrt()
    enough = weight.mean(1) > 0.1  # a smaller overlap says nothing
    return torch.where(enough, 1 - correlation, torch.ones_like(correlation)).clamp(min=1e-4)


def look(field: Tensor, behind: Tensor, z: Tensor, move: Tensor) -> tuple[Tensor, Tensor]:
    """Sample maps (T, C, S, S) as the moved camera sees them; returns them and weights (T, S*S)."""
    matrix = affine(move[:, :4])
    at = z @ matrix[:, None, :, :2].mT + matrix[:, None, None, :, 2]  # (T, S, S, 2)
    inside = (at.abs() <= 1).all(-1).flatten(1)
    return warp(field, at, padding="border"), behind.flatten(1) * inside


def step(theirs: Tensor, field: Tensor, behind: Tensor, z: Tensor, move: Tensor) -> Tensor:
    """One Gauss-Newton step of the six parameters, (T, 6); Tukey weights suppress what moves."""
    sampled, w = look(field, behind, z, move)
    b, gx, gy = sampled.flatten(2).unbind(1)  # (T, S*S) each
    r = (1 + move[:, 4:5]) * b + move[:, 5:6] - theirs.flatten(1)
    spread = (w * r.abs()).sum(1, keepdim=True) / (w.sum(1, keepdim=True) + 1e-6)
    w = w * (1 - (r / (4 * spread + 1e-3)).square()).clamp(min=0).square()
    x, y = z.view(-1, 2).unbind(1)
    j = torch.stack([gx * x + gy * y, gy * x - gx * y, gx, gy, b, torch.ones_like(b)], 2)
    jw = j * w[..., None]
    ridge = torch.tensor([1e-2, 1e-2, 1e-2, 1e-2, 1.0, 1.0], device=j.device) * w.shape[1] * 1e-3
    return torch.linalg.solve(jw.mT @ j + torch.diag(ridge), (jw.mT @ r[..., None]))[..., 0]


def slopes(b: Tensor) -> Tensor:
    """Central differences of (T, 1, S, S) in units of [-1, 1]: (T, 2, S, S)."""
    b = F.pad(b, (1, 1, 1, 1), mode="replicate")
    x, y = b[..., 1:-1, 2:] - b[..., 1:-1, :-2], b[..., 2:, 1:-1] - b[..., :-2, 1:-1]
    return torch.cat([x, y], 1) * (b.shape[-1] - 3) / 4


def pan(behind: Tensor, ground: Tensor) -> Tensor:
    """The background as the moved camera shows it: (1 or B, C, S, S) -> (1 or B, C, S, S)."""
    if torch.equal(ground, torch.eye(2, 3, device=ground.device).expand_as(ground)):
        return behind
    return geometry.move(behind, everywhere(ground))


@exact
def everywhere(ground: Tensor) -> Tensor:
    """Turn an affine map (B, 2, 3) into a flow (B, SIDE, SIDE, 2)."""
    return F.affine_grid(ground, [len(ground), 1, SIDE, SIDE], align_corners=True)
