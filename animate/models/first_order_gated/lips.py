"""Warp a photo's open mouth so that lips stay lips and teeth stay between them.

A flow is smooth, a mouth is not. Where lips close over the teeth of a photo that laughs, a smooth
flow squeezes the teeth into a white line; where they part, it smears lips over the teeth's rim.
"""

from __future__ import annotations

import torch
from torch import Tensor

from animate.models.first_order_gated.mouth_frame import axes, from_mouth, opened, rims, width
from animate.models.first_order_gated.opening import Opening
from animate.models.geometry import exact, grid

# In widths of the mouth:
CLOSED = 0.02  # widest gap that shows no teeth
PARTED = 0.02, 0.04  # mean lip gaps of photos that show no teeth, and that do
# Lips that close over teeth are taken from this far beyond their rims, where no tooth mixes with
# them, and the lower one from farther between middle and corners, where five landmarks cut off the
# bow of a smile. They are so wherever the gap has become smaller by the third number.
RIM, ROUND, LOST = 0.04, 0.04, 0.06
LIT, DARK = 0.5, 0.3  # share of the photo's gap that lights the teeth fully; light of the last slit


@exact
def parted(point: Tensor) -> Tensor:
    """How surely the mouths of poses (B, K, 2) show teeth: (B,) in [0, 1]."""
    closed, clear = PARTED
    return ((opened(point) / width(point) - closed) / (clear - closed)).clamp(0, 1)


@exact
def apart(
    ours: Tensor, theirs: Tensor, flow: Tensor, where: tuple[slice, slice]
) -> tuple[Tensor, Opening]:
    """Part a flow (B, S, S, 2) into photos with the open mouths `ours` (1 or B, K, 2): lips, teeth.

    `theirs` (B, K, 2) are the poses of the pictures, whose mouths lie in the window `where`. The
    flow of the lips never leads between the photo's lips: above the middle of the mouth to the
    upper lip at most, below it to the lower one. Photos with closed lips keep their flow. Light on
    the teeth fades with the gap: little falls through a slit.
    """
    side, inside = flow.shape[1], (slice(None), *where)
    z = grid(side, side, flow.device)[where]
    ours, sure = ours.expand_as(theirs), parted(ours)[:, None]
    corner, axis = axes(ours)

    def home(x: Tensor, y: Tensor) -> Tensor:
        return (corner + torch.stack([x, y], -1) @ axis.mT).unflatten(1, z.shape[:2])

    u, down = from_mouth(theirs, z.flatten(0, 1).expand(len(theirs), -1, -1)).unbind(-1)
    upper, lower = _rims(theirs, u)
    gap = (lower - upper).clamp(min=1e-4)
    top, bottom = _rims(ours, u)
    teeth = home(u, torch.lerp(top, bottom, ((down - upper) / gap).clamp(0, 1)))
    light = (gap / (LIT * (bottom - top)).clamp(min=1e-3)).clamp(0, 1)
    half = 1 / (side - 1) / width(theirs)[:, None]  # of a pixel
    cover = torch.minimum(lower, down + half) - torch.maximum(upper, down - half)
    cover = sure * (cover / (2 * half)).clamp(0, 1) * ((u > 0) & (u < 1))

    x, y = from_mouth(ours, flow[inside].flatten(1, 2)).unbind(-1)
    top, bottom = _rims(ours, x)
    lost = ((bottom - top - gap) / LOST).clamp(0, 1)
    bow = ROUND * (2 * torch.pi * x).sin().abs()
    above = down < (upper + lower) / 2
    y = torch.where(
        above, torch.minimum(y, top - lost * RIM), torch.maximum(y, bottom + lost * (RIM + bow))
    )
    share = (sure * ((x > 0) & (x < 1))).unflatten(1, z.shape[:2])
    lips = flow.clone()
    lips[inside] = torch.lerp(flow[inside], home(x, y), share[..., None])
    cover, light = (part.unflatten(1, z.shape[:2]) for part in (cover, DARK + (1 - DARK) * light))
    return lips, Opening(*where, teeth, cover, light)


def _rims(point: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """As `rims`, nearer to each other by CLOSED: lips that are closed to the eye meet."""
    upper, lower = rims(point, u)
    half = (lower - upper).clamp(0, CLOSED) / 2
    return upper + half, lower - half
