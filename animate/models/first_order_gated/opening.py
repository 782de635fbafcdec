"""What a photo shows between lips or lids: a layer behind them, which they cover and uncover."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from animate.models.geometry import warp


@dataclass(frozen=True)
class Opening:
    """The inside of a mouth or an eye in a window of B pictures."""

    rows: slice
    columns: slice
    home: Tensor  # (B, h, w, 2): where each pixel comes from in the photo
    cover: Tensor  # (B, h, w) in [0, 1]: share of each pixel that lies in the opening
    light: Tensor | None = None  # (B, h, w) in [0, 1]: brightness; None: the photo's

    def between(self, around: Tensor) -> Tensor:
        """Flow (B, S, S, 2) to the inside where most of a pixel lies there, elsewhere `around`."""
        flow, where = around.clone(), (slice(None), self.rows, self.columns)
        flow[where] = torch.where(self.cover[..., None] > 0.5, self.home, flow[where])
        return flow

    def behind(self, around: Tensor, photo: Tensor) -> Tensor:
        """Pictures of what is around (B, 3, S, S), with photos (1 or B, 3, S, S) in the opening."""
        shown = warp(photo.expand(len(around), -1, -1, -1), self.home, padding="border")
        if self.light is not None:
            shown = shown * self.light[:, None]
        picture, where = around.clone(), (..., self.rows, self.columns)
        picture[where] = torch.lerp(around[where], shown, self.cover[:, None].to(around.dtype))
        return picture
