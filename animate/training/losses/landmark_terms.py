"""Loss terms over taught landmarks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from animate.data.pairs import Pairs
from animate.faces import mesh
from animate.models.first_order_gated import retarget
from animate.models.geometry import (
    exact,
    gaussians,
    grid,
    inside,
    warp,
)

FLAT = 0.1  # of a face's area: what a flow may press it to
FURTHER = 1.5  # how much further strangers move a head than their own


@exact
def attention(points: Tensor, side: int, gain: float) -> Tensor:
    """1, rising to 1 + gain around mouth and eyes and four times that inside them.

    points (B, K, 2) -> (B, 1, side, side).
    """
    parts = points[:, list(mesh.MOUTH + mesh.EYES)].detach()
    near = gaussians(parts, min(side, 64), min(side, 64), 0.003).amax(1, keepdim=True)
    near = F.interpolate(near, side, mode="bilinear", align_corners=True)
    rims = [inside(points[:, list(rim)], side, side) for rim in mesh.OPENINGS]
    return 1 + gain * (near + 3 * torch.stack(rims, 1).amax(1, keepdim=True))


@exact
def details(image: Tensor, points: Tensor, side: int) -> Tensor:
    """Close-ups of the mouth and both eyes, (3 B, 3, side, side), around landmarks (B, K, 2)."""
    crops = []
    for part in (mesh.MOUTH, *mesh.OPENINGS[1:]):
        at = points[:, list(part)]
        low, high = at.amin(1), at.amax(1)
        centre, reach = (low + high) / 2, 0.8 * (high - low).amax(-1)  # (B, 2), (B,)
        flow = centre[:, None, None] + reach[:, None, None, None] * grid(side, side, image.device)
        crops.append(warp(image.float(), flow, padding="border"))
    return torch.cat(crops)


@exact
def guidance(found: Tensor, taught: Tensor) -> Tensor:
    """Mean L1 distance of keypoints to the teacher's, eyes and mouth twice; NaN is not counted."""
    weight = torch.ones(taught.shape[1], device=found.device)
    weight[list(mesh.MOUTH + mesh.EYES)] = 2
    known = taught.isfinite().all(-1) & (taught.abs() < 1).all(-1)  # (B, K)
    weight = weight * known
    distance = (found[:, : taught.shape[1]] - taught.nan_to_num()).abs().mean(-1)
    return (distance * weight).sum() / weight.sum().clamp(min=1)


@exact
def rims(found: Tensor, taught: Tensor) -> Tensor:
    """Mean L1 distance of the shapes of the rims of mouth and eyes: how wide they stand open.

    Each rim is taken from its own centre, so that a shift of the whole costs nothing.
    """
    known = taught.isfinite().all(-1).all(-1)  # (B,)
    distance = found.new_zeros(len(found))
    for rim in mesh.OPENINGS:
        ours, theirs = found[:, list(rim)], taught[:, list(rim)].nan_to_num()
        shape = (ours - ours.mean(1, keepdim=True)) - (theirs - theirs.mean(1, keepdim=True))
        distance = distance + shape.abs().mean((1, 2)) / len(mesh.OPENINGS)
    return (distance * known).sum() / known.sum().clamp(min=1)


@exact
def person(front: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of the person and what she hides (B, 2, S, S) to a teacher's mask (B, 1, S, S).

    What has to be guessed behind her is a pixel wider than she is.
    """
    known = mask.isfinite()
    mask = mask.nan_to_num().clamp(0, 1)
    wanted = torch.cat([mask, F.max_pool2d(mask, 3, stride=1, padding=1)], 1)
    found = front.float().clamp(1e-4, 1 - 1e-4)
    return (F.binary_cross_entropy(found, wanted, reduction="none") * known).mean()


@exact
def silhouette(moved: Tensor, mask: Tensor) -> Tensor:
    """Mean L1 distance of the moved person (B, 1, S, S) to the driver's mask."""
    return ((moved - mask.nan_to_num()).abs() * mask.isfinite()).mean()


@exact
def folds(flow: Tensor, where: Tensor) -> Tensor:
    """How far a flow (B, S, S, 2) folds, weighted by `where` (B, S, S).

    What its determinant is below FLAT: a flow that turns back shows the same eye twice.
    """
    corner = flow[:, :-1, :-1]
    (a, b), (c, d) = (
        ((beyond - corner) * ((flow.shape[1] - 1) / 2)).unbind(-1)
        for beyond in (flow[:, :-1, 1:], flow[:, 1:, :-1])
    )
    where = where[:, :-1, :-1]
    return ((FLAT - (a * d - b * c)).clamp(min=0) * where).sum() / where.sum().clamp(min=1)


def strangers(model: Any, pairs: Pairs) -> Tensor:
    """What the flow does for a photo that another pair of the batch drives; there is no picture.

    It must not fold on the person, least of all on the face, and must lead from each moved landmark
    to the photo's own: people who drive each other go further than those who drive themselves.
    """
    ours = pairs.source_points
    first, motion = ours.roll(1, 0), pairs.driving_points.roll(1, 0)
    start = retarget.match_lips(first, ours, adapt_scale=True)
    far = retarget.transfer(ours, motion, start, adapt_scale=True, amplify={"head": FURTHER})
    moved = retarget.untangle(far)
    still = torch.eye(2, 3, device=ours.device).expand(len(ours), -1, -1)
    flow = model.flow(pairs.source, ours, moved, still)
    where = inside(moved[:, list(mesh.RIM)], *flow.shape[1:3])
    if pairs.source_person is not None:
        mask = F.adaptive_avg_pool2d(pairs.source_person.nan_to_num(), flow.shape[1])
        where = where + warp(mask, flow.detach(), padding="border")[:, 0]
    found = warp(flow.permute(0, 3, 1, 2), moved[:, None])[:, :, 0].mT  # (B, K, 2)
    seen = (moved.abs() < 1).all(-1)
    away = ((found - ours).abs().mean(-1) * seen).sum() / seen.sum().clamp(min=1)
    return away + 4 * folds(flow, where)


@exact
def spotlight(heat: Tensor, taught: Tensor, variance: float = 0.001) -> Tensor:
    """Cross-entropy of heat maps to a Gaussian at each taught point, over its own entropy.

    heat (B, >= K, H, W) before the softmax, taught (B, K, 2). It teaches where to look long
    before the mean of a map can (compare Nibali et al. 2018, section 3.3).
    """
    known = taught.isfinite().all(-1) & (taught.abs() < 1).all(-1)  # (B, K)
    wanted = gaussians(taught.nan_to_num(), heat.shape[2], heat.shape[3], variance).flatten(2)
    wanted = wanted / wanted.sum(-1, keepdim=True).clamp(min=1e-6)  # outside there is none
    found = heat[:, : taught.shape[1]].flatten(2).log_softmax(-1)
    excess = (wanted * ((wanted + 1e-9).log() - found)).sum(-1)
    return (excess * known).sum() / known.sum().clamp(min=1)
