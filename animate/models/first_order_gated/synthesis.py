"""Synthesis: the warped photo at full resolution, and gated strokes painted over it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from animate.models.first_order_gated.blocks import (
    ConvNorm,
    Residual,
    WithPicture,
    beside,
    fit,
    shuffle,
    smooth,
    upsample,
    zero,
)
from animate.models.first_order_gated.dense_motion import MOTION_FEATURES
from animate.models.first_order_gated.hair import crown_mask, mirrored
from animate.models.first_order_gated.int8 import Conv, plus
from animate.models.first_order_gated.mouth import Inside
from animate.models.first_order_gated.opening import Opening
from animate.models.geometry import move, resize_flow

FAINT = 0.12  # largest change that strokes make to the photo's own teeth


class Synthesis(nn.Module):
    """Warp the photo, and paint what the warp can't show."""

    def __init__(self) -> None:
        super().__init__()
        self.encode2 = ConvNorm(3, 32, kernel=6, stride=2)
        self.encode4 = ConvNorm(32, 64, stride=2)
        self.encode8 = nn.Sequential(ConvNorm(64, 128, stride=2), Residual(128))
        self.join8 = ConvNorm(128 + MOTION_FEATURES, 128)
        self.deep = nn.Sequential(Residual(128), Residual(128), ConvNorm(128, 64, kernel=1))
        self.join4 = nn.Sequential(ConvNorm(64 + MOTION_FEATURES + 7, 64), ConvNorm(64, 64))
        self.narrow = ConvNorm(64, 32, kernel=1)
        self.join2 = nn.Sequential(ConvNorm(32 + 7, 32), ConvNorm(32, 32))
        self.refine = Conv(32, 2, 1)
        self.last = WithPicture(32, 16)
        self.paint = nn.Conv2d(16, 4 * 4, 3, padding=1)  # of 2x2 pixels
        zero(self.refine)
        zero(self.paint)  # begin with the warped photo

    def encode(self, photo: Tensor) -> tuple[Tensor, ...]:
        """Features at S/2, S/4 and S/8."""
        half = self.encode2(photo - 0.5)
        quarter = self.encode4(half)
        return half, quarter, self.encode8(quarter)

    def forward(
        self,
        photo: Tensor,
        layers: tuple[Tensor, Tensor],
        features: tuple[Tensor, ...],
        shapes: tuple[Tensor, Tensor],
        flow: Tensor,
        motion: Tensor,
        mouth: Inside,
        eyes: Sequence[Opening] = (),
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Image and warped photo (B, 3, S, S), the photo's share and the silhouette (B, 1, S, S).

        `layers`: the person's mask (B, 1, S, S), which the flow moves, and the background
        (B, 3, S, S), moved by the camera already. `shapes`: the photo's (`shapes`) and the driver's
        openings (B, 3, S/2, S/2). `eyes` are shown as they are, without strokes.
        """
        (front, behind), (ours, openings) = layers, shapes
        quarter, eighth = (move(f, flow) for f in features[1:])
        flow = resize_flow(flow, *features[0].shape[2:])
        lips, teeth = mouth.apart(flow)
        clear = teeth.between(lips) if teeth else lips
        half = move(features[0], clear)
        before, front2 = move(ours, clear).split([3, 1], 1)
        # What the photo can't show: the soft rim of a closed mouth, stretched, is no open mouth.
        own = openings[:, :1] * mouth.own[:, None, None, None]
        shown = (2 * before - 1).clamp(min=0)
        shown[:, :1] *= mouth.own[:, None, None, None]
        uncovered = (openings - shown).clamp(min=0)
        open2 = torch.cat([before, openings, front2], 1)
        x = self.deep(self.join8(beside(eighth, fit(motion, eighth.shape[2]))))
        motion = fit(motion, quarter.shape[2])
        x = self.join4(beside(plus(upsample(x), quarter), motion, F.avg_pool2d(open2, 2)))
        x = self.join2(beside(plus(upsample(self.narrow(x)), half), open2))
        shift = 0.05 * torch.tanh(self.refine(x).float()).permute(0, 2, 3, 1)
        flow, teeth = mouth.apart(resize_flow(flow + shift, *photo.shape[2:]))
        moved = move(torch.cat([photo, front], 1), mirrored(flow))
        silhouette = moved[:, 3:] * crown_mask(flow, front)
        warped = torch.lerp(behind, moved[:, :3], silhouette)
        for opening in (*([teeth] if teeth else ()), *eyes):
            warped = opening.behind(warped, photo)
        x = shuffle(self.paint(self.last(x, warped - 0.5)).float())
        gate = (x[:, 3:] + 6 * smooth(uncovered.amax(1, keepdim=True))).sigmoid()
        for eye in eyes:
            gate[..., eye.rows, eye.columns] *= 1 - eye.cover[:, None]
        stroke = gate * x[:, :3].tanh()
        around = ..., mouth.rows, mouth.columns
        # Strokes of strangers' mouths leave stains on the photo's own teeth.
        faint = stroke[around].clamp(-FAINT, FAINT)
        limited = torch.lerp(stroke[around], faint, smooth(own)[around])
        stroke = stroke.clone()  # gradients need what is replaced
        stroke[around] = limited
        image = warped + stroke
        drawn = smooth(uncovered[:, :1])
        painted = warped[around] + limited  # not image, for the same reason
        image[around] = torch.lerp(painted, mouth.drawn, drawn[around])
        return image, warped, 1 - torch.maximum(gate, drawn), silhouette
