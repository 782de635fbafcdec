"""Draw the inside of a mouth, which a photo with closed lips does not show.

It is drawn on a sheet that reaches from corner to corner and from lip to lip. So teeth and dark
keep their place on the sheet whatever the head does. The lips' landmarks warp it into the picture.
It depends on the driver's lips, nose and chin in the mouth's frame, and on an embedding of the
photo's own mouth: its light, and its teeth where they show.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from animate.faces import mesh
from animate.models.first_order_gated import lips
from animate.models.first_order_gated.blocks import upsample
from animate.models.first_order_gated.mouth_frame import axes, from_mouth, opened, rims
from animate.models.first_order_gated.opening import Opening
from animate.models.geometry import bounds, exact, grid, warp

SHEET = (32, 64)  # pixels: lip to lip, corner to corner
CODE = 64  # channels of the embedding of the photo's mouth
STRETCH = 2.0, 3.2  # ratios of lip gaps: stretched teeth still pass for teeth; no longer
AROUND = [  # landmarks that describe the mouth's pose
    *mesh.MOUTH,
    *(mesh.TAUGHT.index(n) for n in (1, 2, 98, 327, 168, 152, 149, 378, 50, 280, 205, 425)),
]


@dataclass(frozen=True)
class Inside:
    """Mouth sheets warped into B pictures."""

    drawn: Tensor  # (B, 3, h, w): a window around all mouths; meaningless beyond the lips
    rows: slice
    columns: slice
    ours: Tensor  # (1 or B, K, 2): poses of the photos
    theirs: Tensor  # (B, K, 2): poses of the pictures
    parted: bool  # whether a photo shows teeth
    own: Tensor  # (B,) in [0, 1]: how far the photo's own mouth is shown; else it is drawn

    def apart(self, flow: Tensor) -> tuple[Tensor, Opening | None]:
        """Flow of the lips, and teeth, of a flow (B, s, s, 2) of any side (`lips.apart`).

        None where the photos show no teeth.
        """
        if not (torch.is_grad_enabled() or self.parted):
            return flow, None
        where = window(self.theirs, flow.shape[1], 1 / 16)  # the photo's mouth may be wider open
        return lips.apart(self.ours, self.theirs, flow, where)


class Mouth(nn.Module):
    """Draws sheets from an embedding of the photo's mouth and the driver's pose."""

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
        """Embed the mouths of photos (B, 3, S, S) with points (B, K, 2): (B, CODE)."""
        return self.eye(mouth_crop(photo, point) - 0.5)

    def sheet(self, look: Tensor, point: Tensor) -> Tensor:
        """Draw the inside of the mouths of poses (B, K, 2): (B, 3, *SHEET) in [0, 1]."""
        pose = self.pose(posed(point))
        style = self.style(torch.cat([look.expand(len(pose), -1), pose], 1))
        x = self.blank.expand(len(pose), -1, -1, -1)
        for number, step in enumerate(self.steps):
            x = step(upsample(x) if number else x, style)
        return self.colour(x).float().sigmoid()

    def forward(self, look: Tensor, ours: Tensor, theirs: Tensor, side: int) -> Inside:
        """Draw mouths for pictures of side x side pixels; poses of photos and drivers (B, K, 2)."""
        rows, columns = window(theirs, side)
        place = between(theirs, grid(side, side, theirs.device)[rows, columns])
        drawn = warp(self.sheet(look, theirs), place, padding="border")
        parted = lips.parted(ours)
        own = parted * (1 - strain(ours, theirs))
        return Inside(drawn, rows, columns, ours, theirs, bool(parted.any()), own)


class Drawn(nn.Module):
    """A convolution whose channels a style (B, 128) scales and shifts (Perez et al. 2018)."""

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
def posed(point: Tensor) -> Tensor:
    """Lips, nose and chin of poses (B, K, 2) in the mouth's frame: (B, 2 n)."""
    return from_mouth(point, point[:, AROUND]).flatten(1)


@exact
def mouth_crop(photo: Tensor, point: Tensor) -> Tensor:
    """Upright crop of the mouths of photos (B, 3, S, S), 1.5 times their width: (B, 3, *SHEET)."""
    corner, axis = axes(point)
    z = grid(*SHEET, photo.device).flatten(0, 1)  # (n, 2)
    place = torch.stack([0.5 + 0.75 * z[:, 0], 0.375 * z[:, 1]], -1)
    flow = corner + place @ axis.mT
    return warp(photo.float(), flow.unflatten(1, SHEET), padding="border")


@exact
def strain(ours: Tensor, theirs: Tensor) -> Tensor:
    """How badly mouths stretch from poses to poses (B, K, 2): (B,) in [0, 1]; 1 is unusable."""
    before, after = opened(torch.cat([ours, theirs])).split([len(ours), len(theirs)])
    fair, bad = STRETCH
    return ((after / before.clamp(min=1e-3) - fair) / (bad - fair)).clamp(0, 1)


@exact
def inner(photo: Tensor, point: Tensor) -> Tensor:
    """Training targets: the inside of mouths in photos (B, 3, S, S), as sheets (B, 3, *SHEET)."""
    corner, axis = axes(point)
    u = torch.linspace(0, 1, SHEET[1], device=photo.device).expand(len(point), -1)
    upper, lower = rims(point, u)
    v = torch.linspace(0, 1, SHEET[0], device=photo.device)[:, None]
    down = torch.lerp(upper[:, None], lower[:, None], v)  # (B, h, w)
    place = torch.stack([u[:, None].expand_as(down), down], -1).flatten(1, 2)
    flow = corner + place @ axis.mT
    return warp(photo.float(), flow.unflatten(1, SHEET), padding="border")


def window(point: Tensor, side: int, margin: float = 1 / 32) -> tuple[slice, slice]:
    """Rows and columns of pictures that hold the open mouths of poses (B, K, 2), with a margin.

    The margin is a share of the side. The whole picture in training, so that shapes stay the same.
    """
    if torch.is_grad_enabled():
        return slice(0, side), slice(0, side)
    return bounds(point[:, mesh.OPENINGS[0]], side, side, int(margin * side))


@exact
def between(point: Tensor, z: Tensor) -> Tensor:
    """Map places z (h, w, 2) of a picture to the sheets of poses (B, K, 2): (B, h, w, 2)."""
    shape = z.shape[:2]
    z = z.flatten(0, 1)
    u, down = from_mouth(point, z.expand(len(point), -1, -1)).unbind(-1)
    upper, lower = rims(point, u)
    v = (down - upper) / (lower - upper).clamp(min=0.02)
    return (2 * torch.stack([u, v], -1) - 1).clamp(-1.5, 1.5).unflatten(1, shape)
