"""Convolutions in eight bits, for processors that multiply bytes several times as fast as floats.

Between such convolutions a map is made of bytes, whole numbers of STEP. They follow a normalisation
and a ReLU, so that one range serves every layer: what exceeds CEILING is cut. Weights are signed
bytes with a scale for each channel of the output; products are added up exactly (Jacob et al. 2018,
section 2). Inference only: nothing is learnt or measured for it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

CEILING = 8.0
STEP = CEILING / 255


class Conv(nn.Conv2d):
    """A convolution that can be packed: then it takes bytes, or floats from 0 on.

    It gives floats, or, where `follows` is "relu", the ReLU of them as bytes.
    """

    follows = "none"
    packed: tuple[Tensor, ...] | None = None  # weights, their scales and zeros

    def pack(self) -> None:
        """From now on in eight bits."""
        scale = self.weight.detach().abs().amax((1, 2, 3)).clamp(min=1e-12) / 127
        whole = (self.weight.detach() / scale[:, None, None, None]).round().to(torch.int8)
        weight = torch.ops.onednn.qconv_prepack(whole, scale, STEP, 0, *self._how)
        self.packed = weight, scale, torch.zeros(len(scale), dtype=torch.int64)

    def forward(self, x: Tensor, onto: Tensor | None = None) -> Tensor:
        """Packed, it adds its result to the bytes of `onto`, which are used up, before the ReLU."""
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
    """Every Conv below the modules from now on in eight bits; after `fuse`."""
    for module in modules:
        for child in module.modules():
            if isinstance(child, Conv):
                child.pack()


def to_bytes(x: Tensor) -> Tensor:
    """Floats from 0 to CEILING as whole numbers of STEP; bytes as they are."""
    if x.dtype is torch.uint8:
        return x
    half = torch.tensor(0.5, device=x.device)
    return torch.add(half, x, alpha=1 / STEP).clamp_(0, 255).to(torch.uint8)


def plus(x: Tensor, y: Tensor) -> Tensor:
    """Maps x and floats y added up, in bytes if x is."""
    if x.dtype is torch.uint8:
        return torch.add(x, y, alpha=1 / STEP).add_(0.5).clamp_(0, 255).to(torch.uint8)
    return x + y


def real(x: Tensor) -> Tensor:
    """The floats that bytes stand for; floats as they are."""
    return x.float().mul_(STEP) if x.dtype is torch.uint8 else x
