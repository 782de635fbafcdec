"""Dense motion: one affine map per keypoint, blended with softmax weights.

Siarohin et al. 2019, eq. 4 and 7. The affine parts are fitted to how the neighbouring landmarks
move (moving least squares, Schaefer et al. 2006, eq. 5), not predicted.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from animate.faces import mesh
from animate.models.first_order_gated.blocks import UNet, beside, zero
from animate.models.first_order_gated.int8 import Conv
from animate.models.geometry import exact, fit_affine, gaussians, grid, warp

MAP = 64  # side of the flow
MOTION_FEATURES = 32  # channels of the features that synthesis gets, too


class DenseMotion(nn.Module):
    """Flow from driving frames into the photo: a blend of affine maps, and a small shift."""

    def __init__(self, points: int, variance: float) -> None:
        super().__init__()
        self.variance = variance
        self.taught = len(mesh.TAUGHT)
        self.body = UNet(points + 5, (32, 64, 128, 192), MOTION_FEATURES)
        self.weight = Conv(MOTION_FEATURES, points + 2, 1)
        self.shift = Conv(MOTION_FEATURES, 2, 1)
        zero(self.weight)
        zero(self.shift)
        # The log-weight of a keypoint falls with distance. Those of the whole face and of the
        # background are constant, so that they dominate far from every keypoint.
        self.sharpness = nn.Parameter(torch.full((points,), 4.5))
        self.level = nn.Parameter(torch.cat([torch.zeros(points), torch.tensor([-5.0, -6.0])]))
        with torch.no_grad():
            self.level[self.taught : points] = -3.0  # free points start with little weight

    def forward(
        self, small: Tensor, source: Tensor, driving: Tensor, ground: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Flow (B, MAP, MAP, 2) and features.

        small: the photo (B, 3, MAP, MAP); source, driving: points (B, K, 2); ground: the
        background's affine map (B, 2, 3).
        """
        maps = self.candidates(source, driving, ground)  # (B, K+2, 6)
        z = grid(MAP, MAP, small.device)  # (MAP, MAP, 2)
        prior = self.prior(driving)  # (B, MAP, MAP, K+2)
        coarse = blend(prior, maps, z)
        heat = gaussians(driving, MAP, MAP, self.variance) - gaussians(
            source, MAP, MAP, self.variance
        )
        offset = (coarse - z).permute(0, 3, 1, 2)
        seen = beside(warp(small.expand(len(driving), -1, -1, -1), coarse), offset, heat)
        x = self.body(seen)
        flow = blend(prior + self.weight(x).float().permute(0, 2, 3, 1), maps, z)
        shift = 0.2 * torch.tanh(self.shift(x).float())
        return flow + shift.permute(0, 2, 3, 1), x

    @exact
    def candidates(self, source: Tensor, driving: Tensor, ground: Tensor) -> Tensor:
        """One affine map z -> A z + b per keypoint, face and background: (A, b), (B, K+2, 6)."""
        s, d = source[:, : self.taught].expand(len(driving), -1, -1), driving[:, : self.taught]
        near = torch.cdist(d, d).square().mul(-0.5 / 0.15**2).exp() + 0.01  # (B, k, k)
        local, _, _ = fit_affine(d, s, near)  # (B, k, 2, 2): Schaefer eq. 5
        head, centre, home = fit_affine(d, s, torch.ones_like(near[:, :1]))
        free = head.expand(-1, source.shape[1] - self.taught, -1, -1)
        jacobian = torch.cat([local, free, head], 1)
        at = torch.cat([driving, centre], 1)
        to = torch.cat([source.expand_as(driving), home], 1)
        shift = to - (jacobian @ at[..., None])[..., 0]  # to + J (z - at), eq. 4
        maps = torch.cat([jacobian.flatten(2), shift], -1)
        behind = torch.cat([ground[..., :2].flatten(1), ground[..., 2]], 1)[:, None]
        return torch.cat([maps, behind.expand_as(maps[:, :1])], 1)

    @exact
    def prior(self, driving: Tensor) -> Tensor:
        """Log-weights that the network corrects: (B, MAP, MAP, K+2)."""
        z = torch.linspace(-1, 1, MAP, device=driving.device)[:, None]
        fall = -0.5 * self.sharpness.exp()
        across, down = (  # (B, MAP, K+2) each: the square of a distance is a sum
            F.pad((fall * (z - at[:, None]).square()).clamp(min=-30), (0, 2))  # no subnormals
            for at in driving.unbind(-1)
        )
        return across[:, None] + (down + self.level)[:, :, None]


@exact
def blend(logits: Tensor, maps: Tensor, z: Tensor) -> Tensor:
    """Flow (B, MAP, MAP, 2): affine maps at each z, weighted by the softmax of `logits` (eq. 7).

    logits (B, MAP, MAP, K+2), maps (B, K+2, 6), z (MAP, MAP, 2). The mean of affine maps is the map
    of their mean parameters, which costs far less.
    """
    mean = logits.flatten(1, 2).softmax(-1) @ maps  # (B, MAP*MAP, 6)
    a, b, c, d, x, y = mean.unflatten(1, (MAP, MAP)).unbind(-1)
    right, down = z.unbind(-1)
    return torch.stack([a * right + b * down + x, c * right + d * down + y], -1)
