"""Estimate a photo's light, so that whatever is painted into it has the photo's colours.

The network learnt from ordinary photos and paints ordinary teeth, lips and eyes. So a photo in
stage light is converted to ordinary light, channel by channel (von Kries 1902), and the frames back
to the photo's light. In a monochrome photo (grey, sepia, a blueprint) colour is a function of
brightness; painted pixels follow that function.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from animate.faces import mesh
from animate.models.geometry import exact, grid, inside, warp

SKIN = [mesh.TAUGHT.index(n) for n in (50, 280, 205, 425, 151, 9, 168, 197)]  # on skin
SIDES = [mesh.TAUGHT.index(n) for n in (127, 356)]  # of the face
PATCH = 0.03  # half the side of a patch of skin, over the face's width
# Range and mean of skin's ln(red / green), ln(blue / green) in portraits of many colours of skin,
# and paintings. Faces under coloured lamps lie outside, grey lies within.
LEAST, MOST, USUAL = (-0.03, -0.85), (0.65, 0.1), (0.26, -0.15)
CLEAR = 0.15  # distance outside that range from which a cast is removed completely
FLOOR = 8 / 255  # added to all channels: black pixels have no ratio
DIM = 0.15  # smallest gain of a channel: dividing by less would amplify noise
BRIGHT = 0.9  # largest brightness of skin in ordinary light
BLACK = 0.005  # share of the pixels that counts as darkest
WHITE = 0.85  # quantile of an eye's brightness from which pixels count as its white
LIT = 0.2, 0.4  # share of the skin's cast in the whites of the eyes: paint on the skin; light
# Distance of pixels from the colours of one ink, over the face's brightness: certainly one ink;
# certainly not. Most pixels of sepia JPEGs lie within the first; colour portraits lie beyond the
# second.
INK = 0.020, 0.026
LUMA = 0.299, 0.587, 0.114  # weights of red, green and blue
BINS = 64  # levels of brightness


@dataclass(frozen=True)
class Light:
    """A photo's light: photo = black + gain * (photo in ordinary light), without clamping."""

    gain: Tensor  # (1, 3, 1, 1)
    black: Tensor  # (1, 3, 1, 1)
    ink: Tensor | None  # (BINS, 3): colour in ordinary light by brightness from 0 to 1
    sure: float = 1.0  # confidence that it is one ink, in (0, 1]

    @classmethod
    @exact
    def of(cls, photo: Tensor, point: Tensor) -> Light | None:
        """Estimate the light of a photo (1, 3, S, S) with points (1, K, 2); None if ordinary."""
        photo = photo.float()
        gain, black = cast(photo, point)
        ink, sure = one_ink(photo, point)
        if bool((gain != 1).any()):
            ink, _ = one_ink((photo - black) / gain, point)
        elif sure == 0:
            return None
        return cls(gain, black, ink if sure else None, sure)

    def to_ordinary(self, photo: Tensor) -> Tensor:
        """Convert photos (B, 3, H, W) to ordinary light."""
        return (photo - self.black) / self.gain

    @exact
    def to_photo(self, image: Tensor, moved: Tensor) -> Tensor:
        """Convert images (B, 3, H, W) to the photo's light; `moved` are those before painting."""
        if self.ink is not None:
            painted = self._in_one_ink(image) - self._in_one_ink(moved)
            image = torch.lerp(image, moved + painted, self.sure)
        return self.to_photo_unpainted(image)

    def to_photo_unpainted(self, image: Tensor) -> Tensor:
        """Convert images (B, 3, H, W) without painting to the photo's light."""
        return image * self.gain + self.black

    def _in_one_ink(self, image: Tensor) -> Tensor:
        assert self.ink is not None
        level = luma(image).clamp(0, 1) * (BINS - 1)  # (B, H, W)
        below = level.floor().clamp(max=BINS - 2).long()
        ink = torch.lerp(self.ink[below], self.ink[below + 1], (level - below)[..., None])
        return ink.permute(0, 3, 1, 2)


def luma(image: Tensor) -> Tensor:
    """Brightness (B, H, W) of images (B, 3, H, W)."""
    red, green, blue = image.unbind(1)  # a matrix product's rounding depends on neighbours
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue


def cast(photo: Tensor, point: Tensor) -> tuple[Tensor, Tensor]:
    """Gain and black level of a photo's light, (1, 3, 1, 1) each; 1 and 0 in ordinary light.

    Estimated from skin: up to three of the eight patches may be something else (hair, a highlight).
    """
    skin = skins(photo, point)  # (n, 3)
    away = unusual(skin)
    order = away.argsort()[2:]
    strength = float((away[order[0]] / CLEAR).clamp(0, 1))
    if strength == 0:
        return photo.new_ones(1, 3, 1, 1), photo.new_zeros(1, 3, 1, 1)
    level = skin[order].mean(0)
    black = darkest(photo)
    usual = photo.new_tensor([USUAL[0], 0.0, USUAL[1]]).exp()
    usual = usual * brightness(level) / brightness(usual)
    gain = (level - black).clamp(min=0.02) / usual
    least = usual.max() / BRIGHT  # in ordinary light white stays below 1, and skin below BRIGHT
    gain = gain * torch.maximum(((1 - black) / gain).min(), least).clamp(max=1)
    gain = gain.clamp(min=DIM)
    strength *= lit(photo, point, gain + black)
    return (gain**strength).view(1, 3, 1, 1), (strength * black).view(1, 3, 1, 1)


def lit(photo: Tensor, point: Tensor, light: Tensor) -> float:
    """Confidence that a cast of colour (3,) comes from the light, not from face paint: in [0, 1].

    The whites of the eyes take the light's colour, whatever the skin's. Eyes that are closed or
    behind dark glasses tell nothing: then 1.
    """
    rims = point[0, list(mesh.OPENINGS[1:])]
    eyes = inside(rims, *photo.shape[2:]).amax(0) > 0
    pixels = photo[0][:, eyes].T  # (n, 3)
    if len(pixels) < 8:
        return 1.0
    level = brightness(pixels)
    white = pixels[level >= quantile(level, WHITE)].mean(0)
    if brightness(white) < 0.35 * brightness(skins(photo, point)).median():
        return 1.0
    ours, theirs = ratio(white + FLOOR), ratio(light)
    share = float((ours @ theirs) / (theirs @ theirs).clamp(min=1e-6))
    return min(1.0, max(0.0, (share - LIT[0]) / (LIT[1] - LIT[0])))


def ratio(colour: Tensor) -> Tensor:
    """ln(red / green) and ln(blue / green) of colours (..., 3): (..., 2)."""
    red, green, blue = colour.log().unbind(-1)
    return torch.stack([red - green, blue - green], -1)


def brightness(colour: Tensor) -> Tensor:
    """Brightness (...) of colours (..., 3)."""
    return colour @ colour.new_tensor(LUMA)


def skins(photo: Tensor, point: Tensor) -> Tensor:
    """Median colours of patches of skin in a photo (1, 3, S, S): (n, 3)."""
    width = (point[:, SIDES[0]] - point[:, SIDES[1]]).norm(dim=-1)
    spot = PATCH * width * grid(5, 5, photo.device).flatten(0, 1)  # (25, 2)
    patches = warp(photo, point[:, SKIN, None] + spot, padding="border")  # (1, 3, n, 25)
    return patches.median(-1).values[0].T


def unusual(skin: Tensor) -> Tensor:
    """Distance of colours (n, 3) from those of skin in ordinary light, as `ratio`: (n,)."""
    found = ratio(skin + FLOOR)
    return (found - found.clamp(skin.new_tensor(LEAST), skin.new_tensor(MOST))).norm(dim=-1)


def darkest(photo: Tensor) -> Tensor:
    """Colour (3,) that stray light adds to black; 0 in the darkest channel."""
    low = torch.stack([quantile(channel.flatten(), BLACK) for channel in photo[0]])
    return low - low.min()


def quantile(x: Tensor, share: float) -> Tensor:
    """The value that `share` of x (n,) does not exceed."""
    return x.kthvalue(max(1, int(share * len(x)))).values


def one_ink(photo: Tensor, point: Tensor) -> tuple[Tensor, float]:
    """Colour by brightness (BINS, 3) of a face in a photo (1, 3, S, S); confidence in one ink.

    If the whole picture is of one ink, it gives the colours: it has brighter and darker levels.
    """
    face = inside(point[:, list(mesh.RIM)], *photo.shape[2:])
    face = F.max_pool2d(face[None], 9, 1, 4)[0, 0] > 0
    if not face.any():
        return photo.new_zeros(BINS, 3), 0.0
    ink, worst = line(photo, face)
    everywhere = torch.ones_like(face)
    whole, off = line(photo, everywhere)
    if off <= INK[0]:
        ink = whole
    return ink, min(1.0, max(0.0, (INK[1] - worst) / (INK[1] - INK[0])))


def line(photo: Tensor, where: Tensor) -> tuple[Tensor, float]:
    """Colour by brightness (BINS, 3) of the pixels `where` (S, S), and their distance from it.

    The distance is the 95 % quantile over the pixels, relative to their brightness. Levels without
    pixels take the tint of their neighbours.
    """
    level = luma(photo)[0].clamp(0, 1)
    place = (level * (BINS - 1)).round().long()
    known = place[where]
    count = photo.new_zeros(BINS).index_add(0, known, torch.ones_like(level[where]))
    tint = (photo[0] - level).permute(1, 2, 0)  # (S, S, 3)
    total = photo.new_zeros(BINS, 3).index_add(0, known, tint[where])
    at = torch.arange(BINS, device=photo.device, dtype=photo.dtype)
    gap = (at[:, None] - at).abs()
    near = (-(gap**2) / 4).exp() + 1e-3 * (-(gap**2) / 72).exp() + 1e-6 / (1 + gap) ** 2
    mean = (near @ total) / (near @ count)[:, None].clamp(min=1e-9)
    off = (tint - mean[place]).permute(2, 0, 1)[None]
    denoised = F.avg_pool2d(off, 9, 1, 4, count_include_pad=False)  # without JPEG noise
    worst = quantile(denoised[0].abs().amax(0)[where], 0.95)
    bright = quantile(level[where], 0.9).clamp(min=0.1)
    return mean + torch.linspace(0, 1, BINS, device=photo.device)[:, None], float(worst / bright)
