"""Move hair rigidly with the skull, and end it where the photo's top cuts it.

Hair has no landmarks. The flow that the network predicts there folds when a head turns or tilts
further than most did in training. The skull is rigid, though: the landmarks at its sides, beside
the ears, tell how it moves, and a turning face slides over it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from animate.faces import mesh
from animate.models.geometry import exact, fit_similarity, gaussians, grid, inside

SIDES = [mesh.TAUGHT.index(n) for n in (54, 284, 127, 356, 93, 323)]  # landmarks beside the ears
SPEAKING = [*mesh.REGIONS["eyes"], *mesh.MOUTH]
CHIN, BRIDGE = mesh.TAUGHT.index(152), mesh.TAUGHT.index(168)
LOW, HIGH = 0.2, 0.9  # heights, from chin (0) to bridge of the nose (1): the skull's flow fades in


@exact
def rigid_skull_flow(flow: Tensor, source: Tensor, driving: Tensor) -> Tensor:
    """Replace a flow (B, S, S, 2) around the upper face by the skull's similarity.

    `source` (1 or B, K, 2) and `driving` (B, K, 2) are points of the photo and of the frames.
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
    """Mask (B, S, S, 1): 0 on the face at (B, K, 2), where keypoints know better, else 1."""
    face = inside(point[:, list(mesh.RIM)], side, side)[:, None]
    wide = F.max_pool2d(face, 5, stride=1, padding=2)
    return 1 - F.avg_pool2d(wide, 5, stride=1, padding=2).permute(0, 2, 3, 1)


def expression_mask(point: Tensor, side: int) -> Tensor:
    """Mask (B, S, S, 1): 0 at the eyes, brows and mouth of (B, K, 2), 1 away from them."""
    near = 2 * gaussians(point[:, SPEAKING], side, side, 0.004).amax(1, keepdim=True)
    return 1 - F.avg_pool2d(near.clamp(max=1), 3, stride=1, padding=1).permute(0, 2, 3, 1)


@exact
def crown_mask(flow: Tensor, front: Tensor) -> Tensor:
    """Mask (B, 1, S, S): 1 where a flow (B, S, S, 2) may show the person (1 or B, 1, S, S), else 0.

    A head cut off by the photo's top is assumed round: the mirrored part above ends on a circle as
    wide as the widest row of the upper half.
    """
    side = front.shape[-1]
    upper = front[:, 0, : side // 2]  # (1 or B, S/2, S)
    x = torch.linspace(-1, 1, side, device=front.device)
    centre = (upper[:, 0] * x).sum(1) / (upper[:, 0].sum(1) + 1e-6)
    half = upper.mean(2)  # half the width of each row, in units of x
    radius = half.amax(1)
    middle = (radius.square() - half[:, 0].square()).sqrt() - 1  # y of the circle's centre
    across, down = flow.unbind(-1)  # a norm over pairs is ten times as slow
    away = (across - centre[:, None, None]).square() + (down - middle[:, None, None]).square()
    inside = (radius[:, None, None] - away.sqrt()) * (side / 4) + 0.5
    return torch.where(down < -1, inside.clamp(0, 1), 1.0)[:, None]


def mirrored(flow: Tensor) -> Tensor:
    """Reflect a flow (B, S, S, 2) at the photo's top, so that it never looks above the photo."""
    x, y = flow.unbind(-1)
    return torch.stack([x, (y + 1).abs() - 1], -1)
