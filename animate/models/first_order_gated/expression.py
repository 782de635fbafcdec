"""Split what a face does beyond its head's affine motion into turn and expression, and scale both.

A face that turns moves its landmarks by their depth, which no affine map can; all else is
expression. The factors make up for what is lost on the way to the result (`docs/benchmarks.md`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from animate.faces.mesh import BROWS, STEADY, TAUGHT
from animate.models.geometry import exact

# Depth of each landmark before the plane that fits the steady ones, over the root mean square depth
# of those: the same for everybody. From turns in training clips (Tomasi and Kanade 1992), by
# scripts/fit_depth.py.
DEPTH = {
    10: 1.00, 67: 0.51, 297: 0.51, 54: -0.58, 284: -0.58, 127: -2.18, 356: -2.18, 93: -2.65,
    323: -2.65, 58: -2.82, 288: -2.82, 136: -2.28, 365: -2.28, 149: -1.62, 378: -1.62, 152: -0.98,
    70: -0.29, 105: 0.52, 107: 0.99, 300: -0.29, 334: 0.52, 336: 0.99, 33: -0.16, 133: 0.15,
    160: 0.03, 159: 0.08, 158: 0.10, 144: 0.01, 145: 0.06, 153: 0.08, 468: 0.00, 263: -0.16,
    362: 0.15, 387: 0.03, 386: 0.08, 385: 0.10, 373: 0.01, 374: 0.06, 380: 0.08, 473: 0.00,
    168: 0.77, 197: 0.93, 1: 1.14, 2: 0.68, 98: 0.30, 327: 0.30, 61: -0.55, 291: -0.55, 0: 0.44,
    37: 0.38, 267: 0.38, 40: -0.11, 270: -0.11, 17: -0.13, 84: -0.19, 314: -0.19, 91: -0.42,
    321: -0.42, 78: -0.51, 308: -0.51, 13: 0.24, 82: 0.15, 312: 0.15, 14: -0.05, 87: -0.12,
    317: -0.12, 50: -0.43, 280: -0.43, 205: -0.23, 425: -0.23, 151: 1.01, 9: 1.01,
}  # fmt: skip

UPPER_LIDS, LOWER_LIDS = (160, 159, 158, 387, 386, 385), (144, 145, 153, 373, 374, 380)
UPPER_LIP, LOWER_LIP = (0, 37, 267, 40, 270, 13, 82, 312), (17, 84, 314, 91, 321, 14, 87, 317)
CORNERS = (61, 291, 78, 308)
FACTORS = (  # landmarks; factors of their movement across the face and down
    (UPPER_LIDS + LOWER_LIDS, 1.0, 1.5),
    (BROWS, 1.5, 1.5),
    (CORNERS, 1.35, 1.6),
    (UPPER_LIP, 1.35, 1.8),
    (LOWER_LIP, 1.35, 1.15),
    ((58, 288, 136, 365, 149, 378, 152), 1.0, 1.25),  # jaw
    ((50, 280, 205, 425), 1.2, 1.2),  # cheeks
)
TURNED = 1.15, 1.8  # factors of a turn aside and of a nod
# What the factors add to a movement grows no further from about here on, in the face's size: large
# movements arrive better, and would tear a mouth.
LARGE = 0.08


def _added() -> Tensor:
    """What the factors add to each landmark's movement, across and down, (K, 2)."""
    added = torch.zeros(len(TAUGHT), 2)
    for numbers, across, down in FACTORS:
        added[[TAUGHT.index(n) for n in numbers]] = torch.tensor([across, down]) - 1
    return added


ADDED = _added()
DEPTHS = torch.tensor([DEPTH[n] for n in TAUGHT])[:, None]
# The way in which lids close: 1 is down, 0 is no lid. Only closing is strengthened: eyes
# that open wider look terrified.
CLOSING = torch.tensor([(n in UPPER_LIDS) - (n in LOWER_LIDS) for n in TAUGHT])[:, None]


@exact
def strengthened(reference: Tensor, change: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    """Split the change of poses since `reference` (1, K, 2) into turn and expression, scaled.

    change (T, K, 2): without the head's affine motion. A turn is made no larger than `limit`, the
    root mean square by which steady landmarks move, over that of their distance from their middle.
    Returns the landmarks' shifts by the turn and by the expression, (T, K, 2) each.
    """
    steady = list(STEADY)
    middle = reference[:, steady].mean(1, keepdim=True)
    size = (reference[:, steady] - middle).square().sum(-1).mean().sqrt()
    across = reference[0, TAUGHT.index(263)] - reference[0, TAUGHT.index(33)]
    across = across / across.norm().clamp(min=1e-6)
    axes = torch.stack([across, torch.stack([-across[1], across[0]])], 1)  # columns
    change = change @ axes
    depth, added, closing = (x.to(change.device) for x in (DEPTHS, ADDED, CLOSING))
    known = depth[steady]
    turn = (change[:, steady] * known).sum(1, keepdim=True) / known.square().sum()  # (T, 1, 2)
    expression = change - depth * turn
    room = limit * size / turn.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    factor = torch.minimum(turn.new_tensor(TURNED), room.clamp(min=1))
    way = expression.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    little = LARGE * size / way * (way / (LARGE * size)).tanh()  # 1 for a small movement
    added = added * (expression[..., 1:] * closing >= 0)
    return depth * (factor * turn) @ axes.mT, (1 + added * little) * expression @ axes.mT
