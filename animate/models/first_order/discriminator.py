"""Patch discriminators of the first-order model, for adversarial training.

Layouts and tensor names are those of the published checkpoints: `vox-256` with spectral norm,
`vox-adv-256` conditioned on keypoints. Siarohin et al. 2019, after pix2pix (Isola et al. 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from animate.models.first_order.blocks import widths
from animate.models.geometry import gaussians

Judgement = tuple[list[Tensor], Tensor]  # features of every level; the map of scores


class Level(nn.Module):
    """Unpadded 4x4 convolution, instance normalisation, leaky ReLU and 2x2 average pooling."""

    def __init__(self, inputs: int, outputs: int, norm: bool, pool: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 4)
        self.norm = nn.InstanceNorm2d(outputs, affine=True) if norm else nn.Identity()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.norm(self.conv(x)), 0.2)
        return F.avg_pool2d(x, 2) if self.pool else x


class PatchDiscriminator(nn.Module):
    """Scores overlapping patches of images at one scale."""

    def __init__(self, inputs: int, width: int, limit: int, levels: int, spectral: bool) -> None:
        super().__init__()
        w = [inputs, *widths(width, limit, levels)[1:]]
        self.down_blocks = nn.ModuleList(
            Level(w[i], w[i + 1], norm=i > 0, pool=i < levels - 1) for i in range(levels)
        )
        self.conv = nn.Conv2d(w[-1], 1, 1)
        if spectral:  # Miyato et al. 2018; torch names the parts of a weight `_orig`, `_u` and `_v`
            for conv in [m for m in self.modules() if isinstance(m, nn.Conv2d)]:
                nn.utils.spectral_norm(conv)

    def forward(self, x: Tensor) -> Judgement:
        features = []
        for level in self.down_blocks:
            x = level(x)
            features.append(x)
        return features, self.conv(x)


class Discriminator(nn.Module):
    """One patch discriminator for each scale of an image pyramid.

    If `conditioned`, it also sees a Gaussian of this variance at each of `keypoints` keypoints.
    """

    def __init__(
        self,
        scales: Sequence[float] = (1,),
        width: int = 32,
        limit: int = 512,
        levels: int = 4,
        spectral: bool = False,
        conditioned: bool = False,
        keypoints: int = 10,
        variance: float = 0.01,
    ) -> None:
        super().__init__()
        self.conditioned, self.variance = conditioned, variance
        inputs = 3 + keypoints * conditioned
        self.discs = nn.ModuleDict(
            {
                f"{scale:g}".replace(".", "-"): PatchDiscriminator(
                    inputs, width, limit, levels, spectral
                )
                for scale in scales
            }
        )

    def forward(self, pyramid: Sequence[Tensor], point: Tensor | None = None) -> list[Judgement]:
        """Score images (B, 3, s, s), one per scale in the constructor's order; keypoints
        (B, K, 2) are required if `conditioned`."""
        judgements = []
        for image, disc in zip(pyramid, self.discs.values(), strict=True):
            if self.conditioned:
                height, width = image.shape[2:]
                heat = gaussians(cast(Tensor, point), height, width, self.variance)
                image = torch.cat([image, heat], 1)
            judgements.append(disc(image))
        return judgements
