"""The inside of a mouth, which a photo with closed lips does not show.

It is drawn on a sheet of its own, from corner to corner and from lip to lip, so that teeth and dark
have a place there whatever the head does, and laid between the lips by their landmarks. What it
looks like hangs on the driver's lips, nose and chin, seen from the mouth, and on a look at the
photo's own mouth: its light, and teeth where they show.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from animate.faces import mesh
from animate.models.first_order_gated.blocks import upsample
from animate.models.geometry import bounds, exact, grid, warp

SHEET = (32, 64)  # lip to lip, corner to corner
CODE = 64
STRETCH = 2.0, 3.2  # times as far open: teeth still pass for teeth, and don't any more
UPPER, LOWER = (
    [mesh.TAUGHT.index(n) for n in chain]
    for chain in ((78, 82, 13, 312, 308), (78, 87, 14, 317, 308))
)
AROUND = [
    *mesh.MOUTH,
    *(mesh.TAUGHT.index(n) for n in (1, 2, 98, 327, 168, 152, 149, 378, 50, 280, 205, 425)),
]


@dataclass(frozen=True)
class Inside:
    """Sheets laid between the lips of B pictures."""

    drawn: Tensor  # (B, 3, h, w) of a window around all mouths; beyond the lips it means nothing
    rows: slice
    columns: slice
    stretch: Tensor  # (B,) in [0, 1]: how much the photos' own mouths would be torn there


class Mouth(nn.Module):
    """Draws sheets from a look at the photo and the driver's pose."""

    def __init__(self) -> None:
        super().__init__()
        self.eye = nn.Sequential(
            *(layer for a, b in ((3, 24), (24, 32), (32, 48)) for layer in _strided(a, b)),
            nn.Flatten(),
            nn.Linear(48 * 4 * 8, CODE),
        )
        self.pose = nn.Sequential(
            nn.Linear(2 * len(AROUND), 128), nn.ReLU(), nn.Linear(128, CODE), nn.ReLU()
        )
        self.style = nn.Sequential(nn.Linear(2 * CODE, 128), nn.ReLU())
        self.blank = nn.Parameter(torch.randn(1, 64, SHEET[0] // 4, SHEET[1] // 4))
        self.steps = nn.ModuleList(Drawn(a, b) for a, b in ((64, 64), (64, 48), (48, 32)))
        self.colour = nn.Conv2d(32, 3, 3, padding=1)

    def look(self, photo: Tensor, point: Tensor) -> Tensor:
        """What the mouth of photos (B, 3, S, S) with points (B, K, 2) looks like: (B, CODE)."""
        return self.eye(seen(photo, point) - 0.5)

    def sheet(self, look: Tensor, point: Tensor) -> Tensor:
        """The inside of the mouths of poses (B, K, 2): (B, 3, *SHEET) in [0, 1]."""
        pose = self.pose(posed(point))
        style = self.style(torch.cat([look.expand(len(pose), -1), pose], 1))
        x = self.blank.expand(len(pose), -1, -1, -1)
        for number, step in enumerate(self.steps):
            x = step(upsample(x) if number else x, style)
        return self.colour(x).float().sigmoid()

    def forward(self, look: Tensor, ours: Tensor, theirs: Tensor, side: int) -> Inside:
        """From the photos' poses (B, K, 2) to the drivers', in pictures of side x side pixels."""
        rows, columns = window(theirs, side)
        place = between(theirs, grid(side, side, theirs.device)[rows, columns])
        drawn = warp(self.sheet(look, theirs), place, padding="border")
        return Inside(drawn, rows, columns, stretch(ours, theirs))


class Drawn(nn.Module):
    """A convolution, its channels scaled and shifted by a style (B, 128) (Perez et al. 2018)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(8, outputs)
        self.film = nn.Linear(128, 2 * outputs)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.film(style)[..., None, None].chunk(2, 1)
        return F.leaky_relu(self.norm(self.conv(x)) * (1 + scale) + shift, 0.2)


def _strided(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, 2, 1), nn.GroupNorm(8, outputs), nn.LeakyReLU(0.2)


@exact
def axes(point: Tensor) -> tuple[Tensor, Tensor]:
    """The mouth's own frame in poses (B, K, 2): its corner (B, 1, 2), its axes as columns.

    (B, 2, 2): from corner to corner, and as far downwards.
    """
    corner = point[:, UPPER[0]]
    along = point[:, UPPER[-1]] - corner
    down = torch.stack([-along[:, 1], along[:, 0]], -1)
    return corner[:, None], torch.stack([along, down], -1)


@exact
def from_mouth(point: Tensor, z: Tensor) -> Tensor:
    """Places z (B, n, 2) of the picture, in the mouth's frame."""
    corner, axis = axes(point)
    square = axis[:, :, :1].square().sum(1, keepdim=True).clamp(min=1e-6)
    return (z - corner) @ axis / square


@exact
def posed(point: Tensor) -> Tensor:
    """How lips, nose and chin of poses (B, K, 2) lie, seen from the mouth: (B, 2 n)."""
    return from_mouth(point, point[:, AROUND]).flatten(1)


@exact
def seen(photo: Tensor, point: Tensor) -> Tensor:
    """The mouth of photos (B, 3, S, S), upright, half as wide again as it is: (B, 3, *SHEET)."""
    corner, axis = axes(point)
    z = grid(*SHEET, photo.device).flatten(0, 1)  # (n, 2)
    place = torch.stack([0.5 + 0.75 * z[:, 0], 0.375 * z[:, 1]], -1)
    flow = corner + place @ axis.mT
    return warp(photo.float(), flow.unflatten(1, SHEET), padding="border")


def opened(point: Tensor) -> Tensor:
    """How far the lips of poses (B, K, 2) are apart in the mean, in units of the points: (B,)."""
    u = torch.linspace(0, 1, SHEET[1], device=point.device).expand(len(point), -1)
    upper, lower = rims(point, u)
    return (lower - upper).mean(1) * (point[:, UPPER[-1]] - point[:, UPPER[0]]).norm(dim=-1)


@exact
def stretch(ours: Tensor, theirs: Tensor) -> Tensor:
    """How torn the inside of mouths of poses (B, K, 2) would be in other poses: (B,) in [0, 1]."""
    before, after = opened(torch.cat([ours, theirs])).split([len(ours), len(theirs)])
    ratio = after / before.clamp(min=1e-3)
    return ((ratio - STRETCH[0]) / (STRETCH[1] - STRETCH[0])).clamp(0, 1)


@exact
def inner(photo: Tensor, point: Tensor) -> Tensor:
    """What lies between the lips of photos (B, 3, S, S): (B, 3, *SHEET), to learn from."""
    corner, axis = axes(point)
    u = torch.linspace(0, 1, SHEET[1], device=photo.device).expand(len(point), -1)
    upper, lower = rims(point, u)
    v = torch.linspace(0, 1, SHEET[0], device=photo.device)[:, None]
    down = torch.lerp(upper[:, None], lower[:, None], v)  # (B, h, w)
    place = torch.stack([u[:, None].expand_as(down), down], -1).flatten(1, 2)
    flow = corner + place @ axis.mT
    return warp(photo.float(), flow.unflatten(1, SHEET), padding="border")


def window(point: Tensor, side: int) -> tuple[slice, slice]:
    """Rows and columns of pictures in which the lips of poses (B, K, 2) part, and a bit around.

    All while learning, so that shapes stay the same.
    """
    if torch.is_grad_enabled():
        return slice(0, side), slice(0, side)
    return bounds(point[:, mesh.OPENINGS[0]], side, side, side // 32)


@exact
def between(point: Tensor, z: Tensor) -> Tensor:
    """Where on the sheet of poses (B, K, 2) places z (h, w, 2) of a picture lie, (B, h, w, 2)."""
    shape = z.shape[:2]
    z = z.flatten(0, 1)
    u, down = from_mouth(point, z.expand(len(point), -1, -1)).unbind(-1)
    upper, lower = rims(point, u)
    v = (down - upper) / (lower - upper).clamp(min=0.02)
    return (2 * torch.stack([u, v], -1) - 1).clamp(-1.5, 1.5).unflatten(1, shape)


@exact
def rims(point: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """How far down both lips' inner rims are at places u (B, n) along the mouth, (B, n) each."""
    lips = from_mouth(point, point[:, UPPER + LOWER]).unflatten(1, (2, -1))
    at, height = lips.unbind(-1)  # (B, 2, 5) each
    u = u[:, None]
    after = (u[..., None] >= at[:, :, None, 1:4]).sum(-1)  # the piece, 0 to 3: (B, 2, n)
    x0, x1 = at.gather(2, after), at.gather(2, after + 1)
    y0, y1 = height.gather(2, after), height.gather(2, after + 1)
    found = y0 + (y1 - y0) * ((u - x0) / (x1 - x0).clamp(min=1e-3)).clamp(0, 1)
    return found[:, 0], found[:, 1]
