"""Refine dense motion by optical flow where photo and driver show one scene.

Keypoints miss hair, shoulders, folds of cloth and motion in the background. The photo, warped by
the keypoints' flow, is compared with the driving frame, both small and grey. The optical flow
between the two corrects it (dense inverse search with variational refinement, Kroeger et al. 2016).
Pictures of different people are left alone: what turns one into the other is not motion.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from animate.models.geometry import exact, grid, warp

FINER = 2  # enlargement of the pictures for optical flow
PASSES = 2  # corrections, one after the other


@torch.no_grad()
@exact
def correct(flow: Tensor, ours: Tensor, theirs: Tensor) -> Tensor:
    """Correct the flow (T, S, S, 2) from T driving frames into our picture by optical flow.

    ours (1 or T, 1, S, S) and theirs (T, 1, S, S) are grey in [0, 1].
    """
    for _ in range(PASSES):
        warped = moved(ours, flow)
        pairs = zip(_bytes(theirs), _bytes(warped), strict=True)
        rest = torch.stack([_search(one, other) for one, other in pairs]).to(flow.device)
        z = grid(flow.shape[1], flow.shape[2], flow.device) + rest
        flow = warp(flow.permute(0, 3, 1, 2), z, padding="border").permute(0, 2, 3, 1)
    return flow


@torch.no_grad()
@exact
def trust(flow: Tensor, corrected: Tensor, ours: Tensor, theirs: Tensor) -> Tensor:
    """Confidence that both pictures show one scene, (T, 1, 1, 1) in [0, 1].

    Their details must correlate somewhat before the correction and well after it, and the
    correction must be small. The thresholds separate nearly all pairs of frames of one clip from
    those of two clips. Ramps in between prevent jumps.
    """
    before, after = (_alike(moved(ours, at), theirs) for at in (flow, corrected))
    far = (corrected - flow).norm(dim=-1).mean((1, 2)) * 32  # pixels of 64
    sure = _ramp(before, 0.1, 0.3) * _ramp(after, 0.75, 0.85) * _ramp(far, 8, 5)
    different = (ours != theirs).flatten(1).any(1)  # our own picture stays as it is
    return (sure * different)[:, None, None, None]


def moved(picture: Tensor, flow: Tensor) -> Tensor:
    return warp(picture.expand(len(flow), -1, -1, -1), flow, padding="border")


def _ramp(x: Tensor, none: float, full: float) -> Tensor:
    return ((x - none) / (full - none)).clamp(0, 1)


def _alike(one: Tensor, other: Tensor) -> Tensor:
    """Correlation of the details of pictures (T, 1, S, S): (T,)."""
    a, b = (_details(x).flatten(1) for x in (one, other))
    return (a * b).sum(1) / (a.square().sum(1) * b.square().sum(1) + 1e-6).sqrt()


def _details(picture: Tensor) -> Tensor:
    """The picture minus its local mean."""
    wide = F.avg_pool2d(F.pad(picture, (4, 4, 4, 4), mode="replicate"), 9, stride=1)
    return picture - wide


def _bytes(pictures: Tensor):  # type: ignore[no-untyped-def]
    return pictures[:, 0].mul(255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def _search(theirs, ours) -> Tensor:  # type: ignore[no-untyped-def]
    """Optical flow (S, S, 2) from theirs to ours, as offsets in units of [-1, 1]."""
    import cv2

    side = theirs.shape[0]
    large = FINER * side, FINER * side
    one, other = (cv2.resize(x, large, interpolation=cv2.INTER_CUBIC) for x in (theirs, ours))
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    search.setVariationalRefinementDelta(40)  # weight of equal brightness: one scene, one exposure
    field = cv2.resize(search.calc(one, other, None), (side, side), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(field) * (2 / FINER / (side - 1))
