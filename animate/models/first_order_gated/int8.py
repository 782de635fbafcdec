"""int8 convolutions, for processors that multiply bytes several times as fast as floats.

Between them, feature maps are uint8 multiples of STEP. The maps follow a normalisation and a ReLU,
so one range serves every layer: values above CEILING are clipped. Weights are int8 with a scale per
output channel; products are summed exactly (Jacob et al. 2018, section 2). For inference only,
without training or calibration.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

CEILING = 8.0  # largest activation that a byte holds
STEP = CEILING / 255  # activation per unit of a byte


class Conv(nn.Conv2d):
    """A convolution that can be packed to int8: it then takes bytes, or floats of 0 or more.

    It returns floats, or bytes after a ReLU if `follows` is "relu".
    """

    follows = "none"
    packed: tuple[Tensor, ...] | None = None  # weights, their scales and zeros

    def pack(self) -> None:
        """Quantise the weights to int8; every later call uses them."""
        scale = self.weight.detach().abs().amax((1, 2, 3)).clamp(min=1e-12) / 127
        whole = (self.weight.detach() / scale[:, None, None, None]).round().to(torch.int8)
        weight = torch.ops.onednn.qconv_prepack(whole, scale, STEP, 0, *self._how)
        self.packed = weight, scale, torch.zeros(len(scale), dtype=torch.int64)

    def forward(self, x: Tensor, onto: Tensor | None = None) -> Tensor:
        """Convolve; packed, add the bytes of `onto` before the ReLU and overwrite them."""
        if self.packed is None:
            return super().forward(x)
        given = (to_bytes(x), STEP, 0, *self.packed)
        kind, step = (torch.uint8, STEP) if self.follows == "relu" else (torch.float32, 1.0)
        result = (self.bias, *self._how, step, 0, kind)
        if onto is None:
            return torch.ops.onednn.qconv2d_pointwise(*given, *result, self.follows, [], "")
        onto = onto.contiguous(memory_format=torch.channels_last)
        return torch.ops.onednn.qconv2d_pointwise.binary(
            *given, onto, *result, STEP, 0, "sum", 1.0, self.follows, [], ""
        )

    @property
    def _how(self) -> tuple[list[int], list[int], list[int], int]:
        stride, padding, dilation = map(list, (self.stride, self.padding, self.dilation))
        return stride, padding, dilation, self.groups  # type: ignore[return-value]


def pack(*modules: nn.Module) -> None:
    """Quantise every Conv below the modules to int8; call after `fuse`."""
    for module in modules:
        for child in module.modules():
            if isinstance(child, Conv):
                child.pack()


def to_bytes(x: Tensor) -> Tensor:
    """Quantise floats from 0 to CEILING in units of STEP; bytes stay as they are."""
    if x.dtype is torch.uint8:
        return x
    half = torch.tensor(0.5, device=x.device)
    return torch.add(half, x, alpha=1 / STEP).clamp_(0, 255).to(torch.uint8)


def plus(x: Tensor, y: Tensor) -> Tensor:
    """Add floats y to a map x; the sum is in bytes if x is."""
    if x.dtype is torch.uint8:
        return torch.add(x, y, alpha=1 / STEP).add_(0.5).clamp_(0, 255).to(torch.uint8)
    return x + y


def real(x: Tensor) -> Tensor:
    """Convert bytes back to floats; floats stay as they are."""
    return x.float().mul_(STEP) if x.dtype is torch.uint8 else x
