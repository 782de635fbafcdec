"""The head around the face: hair goes with the skull, and ends where the photo does not show it.

Landmarks tell how a face moves. Hair above it has none, and what a network makes of it folds when a
head turns or tilts farther than most did in training. The skull is stiff, though: the landmarks at
its sides, beside the ears, tell how it moves, and a face that turns slides over it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from animate.faces import mesh
from animate.models.geometry import exact, fit_similarity, gaussians, grid, inside

SIDES = [mesh.TAUGHT.index(n) for n in (54, 284, 127, 356, 93, 323)]
SPEAKING = [*mesh.REGIONS["eyes"], *mesh.MOUTH]
CHIN, BRIDGE = mesh.TAUGHT.index(152), mesh.TAUGHT.index(168)
LOW, HIGH = 0.2, 0.9  # heights, chin to bridge of the nose, where hair begins to go with the skull


@exact
def rigid_skull_flow(flow: Tensor, source: Tensor, driving: Tensor) -> Tensor:
    """The flow (B, S, S, 2) with what is around the upper face moved by the skull's similarity.

    Points of the photo (1 or B, K, 2) and of the driving frames (B, K, 2).
    """
    ours = source.expand_as(driving)
    matrix, centre, home = fit_similarity(driving[:, SIDES], ours[:, SIDES])
    z = grid(flow.shape[1], flow.shape[2], flow.device)
    skull = (z - centre[:, None]) @ matrix.mT[:, None] + home[:, None]
    chin = driving[:, None, None, CHIN]
    up = driving[:, None, None, BRIDGE] - chin
    height = ((z - chin) * up).sum(-1, keepdim=True)
    height = height / up.square().sum(-1, keepdim=True).clamp(min=1e-6)
    above = ((height - LOW) / (HIGH - LOW)).clamp(0, 1)
    return torch.lerp(flow, skull, above * face_surroundings(driving, flow.shape[1]))


def face_surroundings(point: Tensor, side: int) -> Tensor:
    """0 on the face at (B, K, 2), which keypoints know better, 1 away from it: (B, S, S, 1)."""
    face = inside(point[:, list(mesh.RIM)], side, side)[:, None]
    wide = F.max_pool2d(face, 5, stride=1, padding=2)
    return 1 - F.avg_pool2d(wide, 5, stride=1, padding=2).permute(0, 2, 3, 1)


def expression_mask(point: Tensor, side: int) -> Tensor:
    """0 at eyes, brows and mouth of (B, K, 2), which speak, 1 away from them: (B, S, S, 1)."""
    near = 2 * gaussians(point[:, SPEAKING], side, side, 0.004).amax(1, keepdim=True)
    return 1 - F.avg_pool2d(near.clamp(max=1), 3, stride=1, padding=1).permute(0, 2, 3, 1)


@exact
def crown_mask(flow: Tensor, front: Tensor) -> Tensor:
    """1 where a flow (B, S, S, 2) may show the person (1 or B, 1, S, S), 0 above: (B, 1, S, S).

    A head that the photo's top cuts is taken for round: what is mirrored there ends on a circle as
    wide as the widest row of the upper half.
    """
    side = front.shape[-1]
    upper = front[:, 0, : side // 2]  # (1 or B, S/2, S)
    x = torch.linspace(-1, 1, side, device=front.device)
    centre = (upper[:, 0] * x).sum(1) / (upper[:, 0].sum(1) + 1e-6)
    half = upper.mean(2)  # of the width of each row, in units of x
    radius = half.amax(1)
    middle = (radius.square() - half[:, 0].square()).sqrt() - 1  # of the circle, from the top down
    across, down = flow.unbind(-1)  # one by one: a norm over pairs is ten times as slow
    away = (across - centre[:, None, None]).square() + (down - middle[:, None, None]).square()
    inside = (radius[:, None, None] - away.sqrt()) * (side / 4) + 0.5
    return torch.where(down < -1, inside.clamp(0, 1), 1.0)[:, None]


def mirrored(flow: Tensor) -> Tensor:
    """A flow (B, S, S, 2) that looks back into the photo where it would look past the top."""
    x, y = flow.unbind(-1)
    return torch.stack([x, (y + 1).abs() - 1], -1)
