"""Take a photo apart: the person in front, and what is behind. Computed once per photo.

Moving a whole picture bends the door frame behind a turning head. Of two layers only the front one
moves; the layer behind, filled in where the person hides it, shows through where she was (compare
the pseudo background of MobilePortrait, Jiang et al. 2025).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from animate.faces import mesh
from animate.models.first_order_gated.blocks import ConvNorm, UNet, beside, smooth
from animate.models.geometry import gaussians, inside


class Layers(nn.Module):
    """Splits photos (B, 3, S, S) into front and behind; S is a multiple of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.body = UNet(12 + 2, (32, 48, 64, 96, 128), 32)
        self.last = nn.Sequential(ConvNorm(32, 32), nn.Conv2d(32, 4 * 2, 3, padding=1))
        with torch.no_grad():  # begin with the guess that the face makes
            for parameter in self.last[1].parameters():
                parameter.zero_()

    def forward(self, photo: Tensor, point: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Photo, its keypoints (B, K, 2) -> front, hole (B, 1, S, S), behind (B, 3, S, S).

        `front` is the person, `hole` what of the layer behind is not to be seen, all in [0, 1].
        """
        guess = person(point, photo.shape[-1] // 2)  # (B, 2, S/2, S/2)
        x = self.body(beside(F.pixel_unshuffle(photo - 0.5, 2), guess))
        x = F.pixel_shuffle(self.last(x), 2).float()  # (B, 2, S, S)
        logit = smooth(8 * guess[:, :1] - 4)
        front, hole = (x + logit).sigmoid().split(1, 1)
        wide = F.max_pool2d(hole, 5, stride=1, padding=2)  # loose hair would stay behind as a rim
        known = (1.25 - 1.75 * wide).clamp(0, 1)  # what is rather hidden than not tells nothing
        return front, hole, fill(photo.float(), known)


def person(point: Tensor, side: int) -> Tensor:
    """Where head and shoulders may be, and the face: (B, 2, side, side) in [0, 1]."""
    small = 32
    face = inside(point[:, list(mesh.RIM)], side, side)[:, None]
    near = gaussians(point[:, list(mesh.RIM)], small, small, 0.03).amax(1, keepdim=True)
    near = F.interpolate(near, side, mode="bilinear", align_corners=True)
    return torch.cat([torch.maximum(near, face), face], 1)


def fill(image: Tensor, known: Tensor) -> Tensor:
    """Image (B, C, H, W) with what is not known (B, 1, H, W) taken from around it.

    Push and pull through a pyramid (Gortler et al. 1996): each octave is the known
    part's mean, and fills what is unknown in the next finer one.
    """
    if image.shape[-1] % 2:  # as coarse as halving goes
        return image
    weight = F.avg_pool2d(known, 2)
    coarse = F.avg_pool2d(image * known, 2) / (weight + 1e-4)
    below = smooth(fill(coarse, (4 * weight).clamp(max=1)))
    return torch.lerp(below, image, known)
