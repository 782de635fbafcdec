"""Loss terms that need the teacher's landmarks."""

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

FLAT = 0.1  # smallest determinant of a flow without a penalty; 1 keeps areas
FURTHER = 1.5  # factor on the head motion of cross-identity pairs


@exact
def attention(points: Tensor, side: int, gain: float) -> Tensor:
    """Weights of pixels: 1, up to 1 + gain around mouth and eyes, up to 1 + 4 gain inside them.

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
    """Mean L1 distance of keypoints from the teacher's; eyes and mouth count twice, NaN not."""
    weight = torch.ones(taught.shape[1], device=found.device)
    weight[list(mesh.MOUTH + mesh.EYES)] = 2
    known = taught.isfinite().all(-1) & (taught.abs() < 1).all(-1)  # (B, K)
    weight = weight * known
    distance = (found[:, : taught.shape[1]] - taught.nan_to_num()).abs().mean(-1)
    return (distance * weight).sum() / weight.sum().clamp(min=1)


@exact
def rims(found: Tensor, taught: Tensor) -> Tensor:
    """Mean L1 distance of the shapes of mouth and eye rims, which show how wide these are open.

    Each rim is relative to its own centre: a shift of the whole rim costs nothing.
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
    """Cross-entropy of person and hole masks (B, 2, S, S) to a teacher's mask (B, 1, S, S).

    The hole is the background to inpaint: the person widened by one pixel.
    """
    known = mask.isfinite()
    mask = mask.nan_to_num().clamp(0, 1)
    target = torch.cat([mask, F.max_pool2d(mask, 3, stride=1, padding=1)], 1)
    predicted = front.float().clamp(1e-4, 1 - 1e-4)
    return (F.binary_cross_entropy(predicted, target, reduction="none") * known).mean()


@exact
def silhouette(moved: Tensor, mask: Tensor) -> Tensor:
    """Mean L1 distance of the warped mask of the person (B, 1, S, S) from the driver's mask."""
    return ((moved - mask.nan_to_num()).abs() * mask.isfinite()).mean()


@exact
def folds(flow: Tensor, where: Tensor) -> Tensor:
    """Penalty on folds of a flow (B, S, S, 2), weighted by `where` (B, S, S).

    It is the amount by which the flow's determinant is below FLAT. A flow that folds back shows the
    same eye twice.
    """
    corner = flow[:, :-1, :-1]
    (a, b), (c, d) = (
        ((beyond - corner) * ((flow.shape[1] - 1) / 2)).unbind(-1)
        for beyond in (flow[:, :-1, 1:], flow[:, 1:, :-1])
    )
    where = where[:, :-1, :-1]
    return ((FLAT - (a * d - b * c)).clamp(min=0) * where).sum() / where.sum().clamp(min=1)


def strangers(model: Any, pairs: Pairs) -> Tensor:
    """Regularise the flow of cross-identity pairs, which have no target image.

    Each photo is driven by another pair of the batch, with larger motion than within a clip. The
    flow must not fold on the person, least of all on the face, and must map each moved landmark to
    the photo's own.
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
    sampled = warp(flow.permute(0, 3, 1, 2), moved[:, None])[:, :, 0].mT  # (B, K, 2)
    inside_frame = (moved.abs() < 1).all(-1)
    away = ((sampled - ours).abs().mean(-1) * inside_frame).sum() / inside_frame.sum().clamp(min=1)
    return away + 4 * folds(flow, where)


@exact
def spotlight(heat: Tensor, taught: Tensor, variance: float = 0.001) -> Tensor:
    """Cross-entropy of heat maps to a Gaussian at each taught point, minus the Gaussian's entropy.

    heat (B, >= K, H, W) before the softmax, taught (B, K, 2). It draws heat maps to the right place
    long before a loss on their mean can (compare Nibali et al. 2018, section 3.3).
    """
    known = taught.isfinite().all(-1) & (taught.abs() < 1).all(-1)  # (B, K)
    target = gaussians(taught.nan_to_num(), heat.shape[2], heat.shape[3], variance).flatten(2)
    target = target / target.sum(-1, keepdim=True).clamp(min=1e-6)  # a sum of 0: outside
    predicted = heat[:, : taught.shape[1]].flatten(2).log_softmax(-1)
    excess = (target * ((target + 1e-9).log() - predicted)).sum(-1)
    return (excess * known).sum() / known.sum().clamp(min=1)
