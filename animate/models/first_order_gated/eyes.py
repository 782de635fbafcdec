"""Show eyes as irises that move like discs behind the lids.

A flow that is smooth squashes an iris against the corner that it looks at, and closing lids squash
it to a line. Here the iris keeps its shape, lids cover it, and the white beside it stretches.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from animate.faces import mesh
from animate.models.first_order_gated.opening import Opening
from animate.models.geometry import between_knots, bounds, exact, grid

# Outer corner, inner corner, iris, upper and lower lid from the outer to the inner corner.
EYES = tuple(
    tuple([mesh.TAUGHT.index(n) for n in part] for part in eye)
    for eye in (
        ((33,), (133,), (468,), (160, 159, 158), (144, 145, 153)),
        ((263,), (362,), (473,), (387, 386, 385), (373, 374, 380)),
    )
)
ASIDE = (1.0, 1.0), (-1.0, 1.0)  # the same way for both: eyes look in one direction
# In half widths of an eye:
IRIS = 0.4  # radius
FARTHEST = 0.6  # from the middle of an eye to an iris that looks aside
LASHES = 0.15  # share of an eye's height at each lid that shows lashes and shadow
SEEN = 0.08, 0.2  # heights of eyes of photos that show no iris, and that do
GAZE = 2.2, 1.3  # factors of an iris's way across and down, of which the keypoints find a part


class Eye(NamedTuple):
    """An eye of B poses, in its own frame: x from -1 to 1 at the inner corner, y down."""

    middle: Tensor  # (B, 1, 2)
    axes: Tensor  # (B, 2, 2): columns
    iris: Tensor  # (B, 1, 2)
    lids: Tensor  # (B, 2, 5, 2): upper and lower, from corner to corner

    @classmethod
    def of(cls, point: Tensor, parts: tuple[list[int], ...]) -> Eye:
        outer, inner, iris, upper, lower = (point[:, part] for part in parts)
        middle, along = (outer + inner) / 2, (inner - outer)[:, 0] / 2
        down = torch.stack([-along[:, 1], along[:, 0]], -1)
        mirrored = ((lower - upper).mean(1) * down).sum(-1, keepdim=True) < 0
        axes = torch.stack([along, torch.where(mirrored, -down, down)], -1)
        lids = torch.cat([outer, upper, inner, outer, lower, inner], 1)
        iris, lids = (_framed(middle, axes, z) for z in (iris, lids))
        return cls(middle, axes, iris, lids.unflatten(1, (2, 5)))

    def framed(self, z: Tensor) -> Tensor:
        """Places z (B, n, 2) of the picture in the eye's frame."""
        return _framed(self.middle, self.axes, z)

    def rims(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Heights of the upper and the lower lid at x (B, n): (B, n) each."""
        at, height = self.lids.unbind(-1)  # (B, 2, 5) each
        rim = between_knots(at, height, x)
        return rim[:, 0], rim[:, 1]


def _framed(middle: Tensor, axes: Tensor, z: Tensor) -> Tensor:
    return (z - middle) @ axes / axes[:, :, :1].square().sum(1, keepdim=True).clamp(min=1e-6)


@exact
def openings(source: Tensor, driving: Tensor, side: int) -> list[Opening]:
    """Both eyes of pictures of side x side pixels with poses `driving` (B, K, 2).

    source (1 or B, K, 2): poses of the photo. Its closed eyes stay closed: they show no iris.
    """
    found = []
    both = [(Eye.of(source.expand_as(driving), parts), Eye.of(driving, parts)) for parts in EYES]
    sides = driving.new_tensor(ASIDE)
    ways = [
        (theirs.iris - ours.iris) * aside for (ours, theirs), aside in zip(both, sides, strict=True)
    ]
    way = (ways[0] + ways[1]) / 2
    for parts, (ours, theirs), aside in zip(EYES, both, sides, strict=True):
        lids = parts[0] + parts[1] + parts[3] + parts[4]
        where = bounds(driving[:, lids], side, side, side // 64)
        z = grid(side, side, driving.device)[where]
        x, y = theirs.framed(z.flatten(0, 1).expand(len(driving), -1, -1)).unbind(-1)
        home = ours.middle + _inside(ours, theirs, way * aside, x, y) @ ours.axes.mT

        upper, lower = theirs.rims(x)
        half = theirs.axes[:, :, 0].norm(dim=-1)[:, None] * (side - 1) / 2  # pixels
        depth = torch.minimum(torch.minimum(y - upper, lower - y), 1 - x.abs()) * half
        height = (ours.lids[:, 1, 1:4, 1] - ours.lids[:, 0, 1:4, 1]).mean(1)
        seen = (height - SEEN[0]) / (SEEN[1] - SEEN[0])
        cover = (depth + 0.5).clamp(0, 1) * seen.clamp(0, 1)[:, None]
        found.append(Opening(*where, *(v.unflatten(1, z.shape[:2]) for v in (home, cover))))
    return found


def _inside(ours: Eye, theirs: Eye, way: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Where places x, y (B, n) between the lids lie in the photo's eye, (B, n, 2).

    `way` (B, 1, 2) is that of the iris, as the keypoints find it.
    """
    to_x, to_y = ours.iris.unbind(-1)  # (B, 1)
    way_x, way_y = way.unbind(-1)
    end = (to_x.abs()).clamp(min=FARTHEST)  # where it looks aside already, it stays
    from_x, from_y = (to_x + GAZE[0] * way_x).clamp(-end, end), to_y + GAZE[1] * way_y

    left, right = (to_x - IRIS + 1) / (from_x - IRIS + 1), (1 - IRIS - to_x) / (1 - IRIS - from_x)
    across = torch.where(x < from_x, (x + 1) * left - 1, 1 - (1 - x) * right)
    across = torch.where((x - from_x).abs() < IRIS, x - from_x + to_x, across)

    upper, lower = theirs.rims(x)
    top, bottom = ours.rims(across)
    white = torch.lerp(top, bottom, ((y - upper) / (lower - upper).clamp(min=0.02)).clamp(0, 1))
    rim = LASHES * (bottom - top)  # where lids come off the iris; a pixel there is as near to them
    disc = (y - from_y + to_y).maximum(top + rim.minimum(y - upper).clamp(min=0))
    disc = disc.minimum(bottom - rim.minimum(lower - y).clamp(min=0))
    away = torch.hypot(x - from_x, y - from_y) / IRIS
    return torch.stack([across, torch.lerp(white, disc, (3 - 2 * away).clamp(0, 1))], -1)
