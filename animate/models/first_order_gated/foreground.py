"""Split a photo into the person in front and an inpainted background, once per photo.

Warping the whole picture bends the door frame behind a turning head. With two layers only the
person moves. The background, inpainted where the person hides it, shows where the person was
(compare the pseudo background of MobilePortrait, Jiang et al. 2025).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from animate.faces import mesh
from animate.models.first_order_gated.blocks import ConvNorm, UNet, beside, smooth
from animate.models.geometry import gaussians, inside

# Loose hair, in sides of the photo and in brightness from 0 to 1:
CLOSE = 0.1, 0.16  # reach of strands around the hole; reach of the background that is compared
PLAIN = 0.002, 0.004  # mean detail of backgrounds before which strands show; and do not
STRAND = 0.01, 0.03  # detail that is no strand; and that is one


class Layers(nn.Module):
    """Splits photos (B, 3, S, S) into person and background; S is a multiple of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.body = UNet(12 + 2, (32, 48, 64, 96, 128), 32)
        self.last = nn.Sequential(ConvNorm(32, 32), nn.Conv2d(32, 4 * 2, 3, padding=1))
        with torch.no_grad():  # training starts from the guess of `person`
            for parameter in self.last[1].parameters():
                parameter.zero_()

    def forward(self, photo: Tensor, point: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Photo, its keypoints (B, K, 2) -> front, hole (B, 1, S, S), behind (B, 3, S, S).

        `front` is the mask of the person, `hole` the mask of the background to inpaint and `behind`
        the inpainted background, all in [0, 1].
        """
        guess = person(point, photo.shape[-1] // 2)  # (B, 2, S/2, S/2)
        x = self.body(beside(F.pixel_unshuffle(photo - 0.5, 2), guess))
        x = F.pixel_shuffle(self.last(x), 2).float()  # (B, 2, S, S)
        logit = smooth(8 * guess[:, :1] - 4)
        front, hole = (x + logit).sigmoid().split(1, 1)
        return front, hole, background(photo, hole)


def background(photo: Tensor, hole: Tensor) -> Tensor:
    """Photos (B, 3, S, S), inpainted where `hole` (B, 1, S, S) is."""
    wide = F.max_pool2d(hole, 5, stride=1, padding=2)  # else loose hair leaves a rim behind
    known = (1.25 - 1.75 * wide).clamp(0, 1)  # mostly hidden pixels count as unknown
    return fill(photo.float(), known)


def loose_hair(photo: Tensor, hole: Tensor, point: Tensor) -> Tensor:
    """Mask (B, 1, S, S) of strands around the hair of heads at (B, K, 2) before a plain background.

    They are too fine for `Layers`. There is no other detail close to a head before a background
    that has none farther away. Where it has, nothing tells strands from it.
    """
    side = photo.shape[-1]
    known = 1 - F.max_pool2d(hole, 5, stride=1, padding=2)
    around = averaged(photo.float() * known) / averaged(known).clamp(min=0.02)
    detail = known * (photo - around).abs().mean(1, keepdim=True)
    close, wider = (neighbourhood(hole, round(far * side / 8)) for far in CLOSE)
    beyond = wider - close
    level = (detail * beyond).sum((1, 2, 3)) / beyond.sum((1, 2, 3)).clamp(min=1)
    plain, busy = PLAIN
    sure = ((busy - level) / (busy - plain)).clamp(0, 1)[:, None, None, None]
    faint, clear = STRAND
    strand = sure * close * ((detail - faint) / (clear - faint)).clamp(0, 1)
    chin = point[:, mesh.TAUGHT.index(152), 1, None]
    above = torch.linspace(-1, 1, side, device=photo.device) < chin  # below are clothes
    return F.max_pool2d(strand, 3, stride=1, padding=1) * above[:, None, :, None]


def neighbourhood(mask: Tensor, cells: int) -> Tensor:
    """Masks (B, 1, S, S), grown by that many cells of 8x8 pixels."""
    coarse = F.max_pool2d(F.max_pool2d(mask, 8), 2 * cells + 1, stride=1, padding=cells)
    return F.interpolate(coarse, scale_factor=8, mode="nearest")


def averaged(image: Tensor) -> Tensor:
    """Box blur of 9x9 pixels, twice, of images (B, C, S, S)."""
    for across, down in ((9, 1), (1, 9)) * 2:  # an average of averages is nine times as fast
        padding = across // 2, down // 2
        image = F.avg_pool2d(image, (across, down), 1, padding, count_include_pad=False)
    return image


def person(point: Tensor, side: int) -> Tensor:
    """Guess masks of head and shoulders, and of the face: (B, 2, side, side) in [0, 1]."""
    small = 32
    face = inside(point[:, list(mesh.RIM)], side, side)[:, None]
    near = gaussians(point[:, list(mesh.RIM)], small, small, 0.03).amax(1, keepdim=True)
    near = F.interpolate(near, side, mode="bilinear", align_corners=True)
    return torch.cat([torch.maximum(near, face), face], 1)


def fill(image: Tensor, known: Tensor) -> Tensor:
    """Inpaint an image (B, C, H, W) from its surroundings where `known` (B, 1, H, W) is 0.

    Push and pull through a pyramid (Gortler et al. 1996): each octave averages the known pixels and
    fills the unknown ones of the next finer octave.
    """
    if image.shape[-1] % 2:  # the coarsest octave
        return image
    weight = F.avg_pool2d(known, 2)
    coarse = F.avg_pool2d(image * known, 2) / (weight + 1e-4)
    below = smooth(fill(coarse, (4 * weight).clamp(max=1)))
    return torch.lerp(below, image, known)
