"""The light that a photo was taken in, so that what is painted into it has the photo's colours.

A network that learnt from ordinary photos paints ordinary teeth, lips and eyes. A photo in the
light of a stage is therefore brought to ordinary light, channel by channel (von Kries 1902), and
the frames back to the photo's. In a photo of one ink (grey, sepia, a blueprint) colour is a
function of brightness: what is painted keeps to that function.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from animate.faces import mesh
from animate.models.geometry import exact, grid, inside, warp

SKIN = [mesh.TAUGHT.index(n) for n in (50, 280, 205, 425, 151, 9, 168, 197)]
SIDES = [mesh.TAUGHT.index(n) for n in (127, 356)]
PATCH = 0.03  # of the face's width: how far around a landmark skin is looked at
# ln(red / green), ln(blue / green) of skin: of 334 portraits of many colours of skin, paintings
# among them, all lie within LEAST and MOST, in the mean at USUAL; of 361 clips all but four, under
# coloured lamps. Grey is within, too.
LEAST, MOST, USUAL = (-0.03, -0.85), (0.65, 0.1), (0.26, -0.15)
CLEAR = 0.15  # outside of that: a cast that is taken away completely
FLOOR = 8 / 255  # added to all three: of black pixels there is no ratio
DIM = 0.15  # the least a channel's gain may be: more would make pictures of noise
BRIGHT = 0.9  # the most that skin may be in ordinary light
BLACK = 0.005  # the share of pixels that are darkest
WHITE = 0.85  # the share of an eye's pixels that are no white
LIT = 0.2, 0.4  # of the cast of the skin, in the whites of the eyes: paint on the skin; light
# Off the line of one ink, of the face's brightness: surely one, surely more. 95 of 100 pixels of
# sepia pictures as JPEG lie within 0.02; the least of 690 portraits in colour have 0.029.
INK = 0.020, 0.026
LUMA = 0.299, 0.587, 0.114
BINS = 64


@dataclass(frozen=True)
class Light:
    """Photo = black + gain * (the photo in ordinary light), clamped nowhere."""

    gain: Tensor  # (1, 3, 1, 1)
    black: Tensor  # (1, 3, 1, 1)
    ink: Tensor | None  # (BINS, 3): colours, in ordinary light, by brightness from 0 to 1
    sure: float = 1.0  # that it is one ink, in (0, 1]

    @classmethod
    @exact
    def of(cls, photo: Tensor, point: Tensor) -> Light | None:
        """The light of a photo (1, 3, S, S) with points (1, K, 2); None where it is ordinary."""
        photo = photo.float()
        gain, black = cast(photo, point)
        ink, sure = one_ink(photo, point)
        if bool((gain != 1).any()):
            ink, _ = one_ink((photo - black) / gain, point)
        elif sure == 0:
            return None  # all as if there were no such thing
        return cls(gain, black, ink if sure else None, sure)

    def taken(self, photo: Tensor) -> Tensor:
        """Photos (B, 3, H, W) in ordinary light."""
        return (photo - self.black) / self.gain

    @exact
    def given(self, image: Tensor, moved: Tensor) -> Tensor:
        """Images (B, 3, H, W) in the photo's light; `moved` are the same before the painting."""
        if self.ink is not None:
            painted = self._inked(image) - self._inked(moved)
            image = torch.lerp(image, moved + painted, self.sure)
        return self.shown(image)

    def shown(self, image: Tensor) -> Tensor:
        """Images (B, 3, H, W) that nothing was painted into, in the photo's light."""
        return image * self.gain + self.black

    def _inked(self, image: Tensor) -> Tensor:
        assert self.ink is not None
        level = luma(image).clamp(0, 1) * (BINS - 1)  # (B, H, W)
        below = level.floor().clamp(max=BINS - 2).long()
        ink = torch.lerp(self.ink[below], self.ink[below + 1], (level - below)[..., None])
        return ink.permute(0, 3, 1, 2)


def luma(image: Tensor) -> Tensor:
    """The brightness (B, H, W) of images (B, 3, H, W)."""
    red, green, blue = image.unbind(1)  # not a product: which pixels lie beside must not matter
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue


def cast(photo: Tensor, point: Tensor) -> tuple[Tensor, Tensor]:
    """The gain and the black of a photo's light, (1, 3, 1, 1) each; 1 and 0 in ordinary light.

    It is seen by the skin: three of the eight patches may be something else (hair, a highlight).
    """
    skin = skins(photo, point)  # (n, 3)
    away = unusual(skin)
    order = away.argsort()[2:]
    much = float((away[order[0]] / CLEAR).clamp(0, 1))
    if much == 0:
        return photo.new_ones(1, 3, 1, 1), photo.new_zeros(1, 3, 1, 1)
    level = skin[order].mean(0)
    black = darkest(photo)
    usual = photo.new_tensor([USUAL[0], 0.0, USUAL[1]]).exp()
    usual = usual * brightness(level) / brightness(usual)
    gain = (level - black).clamp(min=0.02) / usual
    least = usual.max() / BRIGHT  # white may be no brighter than the screen, nor skin than BRIGHT
    gain = gain * torch.maximum(((1 - black) / gain).min(), least).clamp(max=1)
    gain = gain.clamp(min=DIM)
    much *= lit(photo, point, gain + black)
    return (gain**much).view(1, 3, 1, 1), (much * black).view(1, 3, 1, 1)


def lit(photo: Tensor, point: Tensor, light: Tensor) -> float:
    """How surely a cast is the light's, of colour (3,), and not a painted face's: in [0, 1].

    The whites of the eyes have the light's colour, whatever the skin's. Of eyes that are closed, or
    behind dark glasses, nothing is known: then it is.
    """
    rims = point[0, list(mesh.OPENINGS[1:])]
    eyes = inside(rims, *photo.shape[2:]).amax(0) > 0
    seen = photo[0][:, eyes].T  # (n, 3)
    if len(seen) < 8:
        return 1.0
    level = brightness(seen)
    white = seen[level >= quantile(level, WHITE)].mean(0)
    if brightness(white) < 0.35 * brightness(skins(photo, point)).median():
        return 1.0
    ours, theirs = ratio(white + FLOOR), ratio(light)
    share = float((ours @ theirs) / (theirs @ theirs).clamp(min=1e-6))
    return min(1.0, max(0.0, (share - LIT[0]) / (LIT[1] - LIT[0])))


def ratio(colour: Tensor) -> Tensor:
    """The logarithms of red and of blue over green, of colours (..., 3): (..., 2)."""
    red, green, blue = colour.log().unbind(-1)
    return torch.stack([red - green, blue - green], -1)


def brightness(colour: Tensor) -> Tensor:
    """Of colours (..., 3): (...)."""
    return colour @ colour.new_tensor(LUMA)


def skins(photo: Tensor, point: Tensor) -> Tensor:
    """The medians of patches of skin in a photo (1, 3, S, S): (n, 3)."""
    width = (point[:, SIDES[0]] - point[:, SIDES[1]]).norm(dim=-1)
    spot = PATCH * width * grid(5, 5, photo.device).flatten(0, 1)  # (25, 2)
    seen = warp(photo, point[:, SKIN, None] + spot, padding="border")  # (1, 3, n, 25)
    return seen.median(-1).values[0].T


def unusual(skin: Tensor) -> Tensor:
    """How far colours (n, 3) lie outside of skin's, in ordinary light: (n,)."""
    found = ratio(skin + FLOOR)
    return (found - found.clamp(skin.new_tensor(LEAST), skin.new_tensor(MOST))).norm(dim=-1)


def darkest(photo: Tensor) -> Tensor:
    """What a veil of light adds to black (3,): 0 in the channel that has the least of it."""
    low = torch.stack([quantile(channel.flatten(), BLACK) for channel in photo[0]])
    return low - low.min()


def quantile(x: Tensor, share: float) -> Tensor:
    """The number that `share` of x (n,) does not exceed."""
    return x.kthvalue(max(1, int(share * len(x)))).values


def one_ink(photo: Tensor, point: Tensor) -> tuple[Tensor, float]:
    """Colour by brightness (BINS, 3) in the face of a photo (1, 3, S, S), and how surely it is one.

    It is the whole picture's where that is of one ink, too, and shows brighter and darker levels.
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
    """Colour by brightness (BINS, 3) of the pixels `where` (S, S), and how far they lie off it.

    That is 95 of 100 of them, of their brightness. A level that isn't there is like its neighbours,
    as much brighter or darker.
    """
    level = luma(photo)[0].clamp(0, 1)
    place = (level * (BINS - 1)).round().long()
    known = place[where]
    count = photo.new_zeros(BINS).index_add(0, known, torch.ones_like(level[where]))
    tint = (photo[0] - level).permute(1, 2, 0)  # (S, S, 3)
    total = photo.new_zeros(BINS, 3).index_add(0, known, tint[where])
    at = torch.arange(BINS, device=photo.device, dtype=photo.dtype)
    apart = (at[:, None] - at).abs()
    near = (-(apart**2) / 4).exp() + 1e-3 * (-(apart**2) / 72).exp() + 1e-6 / (1 + apart) ** 2
    mean = (near @ total) / (near @ count)[:, None].clamp(min=1e-9)
    off = (tint - mean[place]).permute(2, 0, 1)[None]
    calm = F.avg_pool2d(off, 9, 1, 4, count_include_pad=False)  # without the noise of a JPEG
    worst = quantile(calm[0].abs().amax(0)[where], 0.95)
    bright = quantile(level[where], 0.9).clamp(min=0.1)
    return mean + torch.linspace(0, 1, BINS, device=photo.device)[:, None], float(worst / bright)
