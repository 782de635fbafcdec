"""Convolutional blocks of the default motion model."""

from __future__ import annotations

from itertools import pairwise

from torch import (
    Tensor,
    cat,
    channels_last,
    get_autocast_dtype,
    is_autocast_enabled,
    nn,
    no_grad,
    uint8,
)
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from animate.models.first_order_gated.int8 import Conv, real, to_bytes


class ConvNorm(nn.Module):
    """Convolution, batch normalisation and, if `relu`, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, relu: bool = True
    ) -> None:
        super().__init__()
        self.conv = Conv(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)
        self.relu = relu
        self.conv.follows = "relu"  # this block's, or the one after a Residual's addition

    def forward(self, x: Tensor) -> Tensor:
        if self.conv.packed:
            return self.conv(x)
        x = self.norm(self.conv(x))
        return F.relu(x, inplace=True) if self.relu else x

    def fuse(self) -> None:
        """Fold the normalisation into the convolution; inference only."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv.eval(), self.norm.eval())
            self.norm = nn.Identity()


class WithPicture(ConvNorm):
    """A 3x3 ConvNorm of features (B, C, S, S) and a picture (B, 3, 2S, 2S) together.

    It sees 6x6 pixels of the picture, as if each 2x2 of them were one with four times the channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.conv.follows = "none"
        self.pixels = nn.Conv2d(3, outputs, 6, 2, 2, bias=False)
        bound = (9 * inputs + 36 * 3) ** -0.5  # initialised as parts of one convolution
        for part in (self.conv, self.pixels):
            nn.init.uniform_(part.weight, -bound, bound)

    def forward(self, x: Tensor, picture: Tensor) -> Tensor:  # type: ignore[override]
        return F.relu(self.norm(self.conv(x) + self.pixels(picture)), inplace=True)

    def fuse(self) -> None:
        if isinstance(self.norm, nn.BatchNorm2d):
            self.pixels.weight = fuse_conv_bn_eval(self.pixels.eval(), self.norm.eval()).weight
        super().fuse()


class Residual(nn.Module):
    """Two 3x3 convolutions with a shortcut around them (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvNorm(channels, channels), ConvNorm(channels, channels, relu=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        last: Conv = self.body[1].conv  # type: ignore[assignment]
        if last.packed:
            return last(self.body[0](x), onto=to_bytes(x))
        return F.relu(x + self.body(x), inplace=True)


class UNet(nn.Module):
    """Encoder and decoder with skips; the output has the input's side s.

    `widths` are the channels at s, s/2, s/4, ...; the decoder ends with `outputs` channels.
    """

    def __init__(self, inputs: int, widths: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.first = ConvNorm(inputs, widths[0])
        steps = list(pairwise(widths))
        self.down = nn.ModuleList(
            nn.Sequential(ConvNorm(a, b, stride=2), ConvNorm(b, b)) for a, b in steps
        )
        self.middle = Residual(widths[-1])
        self.reduce = nn.ModuleList(ConvNorm(b, a, kernel=1) for a, b in reversed(steps))
        last = [widths[i] for i in range(len(steps) - 1, 0, -1)] + [outputs]
        self.up = nn.ModuleList(
            ConvNorm(2 * a, out) for (a, _), out in zip(reversed(steps), last, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        finest = self.first(x)
        return self.join(self.below(finest), finest)

    def below(self, finest: Tensor) -> Tensor:
        """Run the coarser levels on the finest level's features; the result is at s/2."""
        skips = [finest]
        for down in self.down:
            skips.append(down(skips[-1]))
        x = self.middle(skips.pop())
        for reduce, up in zip(self.reduce[:-1], self.up[:-1], strict=True):
            x = up(beside(upsample(reduce(x)), skips.pop()))
        return self.reduce[-1](x)

    def join(self, below: Tensor, finest: Tensor) -> Tensor:
        return self.up[-1](beside(upsample(below), finest))


def beside(*features: Tensor) -> Tensor:
    """Concatenate features (B, *, S, S) of one side along the channels, for a convolution.

    All are first made channels last and cast to the type that the convolution will see. Mixed
    layouts and types would be copied twice more.
    """
    device, kind = features[0].device.type, features[0].dtype
    if is_autocast_enabled(device):
        kind = get_autocast_dtype(device)
    if uint8 in (x.dtype for x in features):
        features, kind = tuple(map(to_bytes, features)), uint8
    return cat([x.to(kind, memory_format=channels_last) for x in features], 1)


def shuffle(x: Tensor) -> Tensor:
    """Pixel shuffle, (B, 4 C, S, S) -> (B, C, 2S, 2S), fast for every memory layout of x."""
    count, channels, side, _ = x.shape
    pixels = x.permute(0, 2, 3, 1).reshape(count, side, side, channels // 4, 2, 2)
    return pixels.permute(0, 3, 1, 4, 2, 5).reshape(count, channels // 4, 2 * side, 2 * side)


def upsample(x: Tensor) -> Tensor:
    """Double the side by nearest neighbour."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def smooth(x: Tensor) -> Tensor:
    """Double the side bilinearly."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def soften(x: Tensor) -> Tensor:
    """Zero-padded 3x3 box blur of (B, C, S, S)."""
    x = F.pad(x, (1, 1, 1, 1))
    x = x[..., :-2, :] + x[..., 1:-1, :] + x[..., 2:, :]
    return (x[..., :-2] + x[..., 1:-1] + x[..., 2:]) / 9


def fit(features: Tensor, side: int) -> Tensor:
    """Resize (B, C, S, S) to another side."""
    if features.shape[2] > side:
        return F.adaptive_avg_pool2d(real(features), side)
    if features.shape[2] < side:
        return F.interpolate(real(features), side, mode="bilinear", align_corners=True)
    return features


@no_grad()
def zero(layer: nn.Conv2d) -> None:
    """Zero a layer, so that it adds nothing at the start of training."""
    for parameter in layer.parameters():
        parameter.zero_()


def fuse(module: nn.Module) -> None:
    """Fold every ConvNorm below `module`; inference only."""
    for child in module.modules():
        if isinstance(child, ConvNorm):
            child.fuse()
