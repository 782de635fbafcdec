"""Blocks of the published first-order network, with the parameter names of its checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor, cat, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

REDUCTION = 4  # keypoints and dense motion see the image at a quarter of its side
WORTH_IT = 32  # side of the smallest map for which summing kernels first (`doubled`) pays


def widths(width: int, limit: int, levels: int) -> list[int]:
    """Channels at each of `levels` + 1 scales, doubling from `width` up to `limit`."""
    return [min(limit, width << level) for level in range(levels + 1)]


class Blur(nn.Module):
    """Gaussian low-pass and subsampling by REDUCTION; the kernel is part of checkpoints."""

    weight: Tensor

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        sigma = (REDUCTION - 1) / 2
        reach = round(4 * sigma)
        line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
        kernel = torch.outer(line, line)
        kernel = (kernel / kernel.sum()).repeat(channels, 1, 1, 1)  # (3, 1, 13, 13)
        self.register_buffer("weight", kernel)

    def forward(self, image: Tensor) -> Tensor:
        padding = self.weight.shape[-1] // 2
        return F.conv2d(image, self.weight, None, REDUCTION, padding, groups=image.shape[1])


class Same(nn.Module):
    """Convolution, batch normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)), inplace=True)


class Down(Same):
    """`Same`, then half the side by average pooling."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(super().forward(x), 2)


class Up(Same):
    """Twice the side by nearest neighbour, then `Same`."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(doubled(x, self.conv)), inplace=True)


def doubled(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """Upsample (B, C, s, s) to twice its side by nearest neighbour, then convolve by 3x3.

    After upsampling, two of three taps in a row see the same pixel. For large maps they are summed
    first, which leaves a 2x2 kernel for each quarter of a pixel: 4 products instead of 9.
    """
    side = x.shape[2]
    if side < WORTH_IT:
        return conv(F.interpolate(x, scale_factor=2, mode="nearest"))
    rows = []
    for i, tall in enumerate(halves(conv.weight, 2)):
        places = [F.conv2d(x, kernel, conv.bias, padding=1) for kernel in halves(tall, 3)]
        row = [
            y[:, :, i : i + side, j : j + side].permute(0, 2, 3, 1) for j, y in enumerate(places)
        ]
        rows.append(torch.stack(row, 3))
    return torch.stack(rows, 2).flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)  # channels last


def halves(kernel: Tensor, along: int) -> tuple[Tensor, Tensor]:
    """The 2-tap kernels that replace 3 taps in the first and second half of an enlarged pixel."""
    a, b, c = kernel.unbind(along)
    return torch.stack([a, b + c], along), torch.stack([a + b, c], along)


class Residual(nn.Module):
    """Pre-activation residual block: a shortcut around two convolutions (He et al. 2016b)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(channels)
        self.norm2: nn.Module = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.norm1(x)))
        return x + self.conv2(F.relu(self.norm2(y)))


class Hourglass(nn.Module):
    """U-Net with `levels` halvings and skips; its input is concatenated to the output.

    (B, inputs, s, s) -> (B, outputs, s, s) with outputs = width + inputs; s is a multiple of
    2 ** levels.
    """

    def __init__(self, inputs: int, width: int, limit: int, levels: int) -> None:
        super().__init__()
        w = widths(width, limit, levels)
        self.outputs = w[0] + inputs
        self.encoder, self.decoder = nn.Module(), nn.Module()
        down = [Down(a, b) for a, b in zip([inputs, *w[1:-1]], w[1:], strict=True)]
        up = [Up(w[i] if i == levels else 2 * w[i], w[i - 1]) for i in range(levels, 0, -1)]
        self.encoder.down_blocks = nn.ModuleList(down)
        self.decoder.up_blocks = nn.ModuleList(up)

    def forward(self, x: Tensor) -> Tensor:
        skips = [x]
        for down in self.encoder.down_blocks:  # type: ignore[union-attr]
            skips.append(down(skips[-1]))
        x = skips.pop()
        for up in self.decoder.up_blocks:  # type: ignore[union-attr]
            x = cat([up(x), skips.pop()], 1)
        return x


def fold(module: nn.Module) -> None:
    """Fold each normalisation that follows a convolution into it; for inference only."""
    for block in module.modules():
        if isinstance(block, Same) and isinstance(block.norm, nn.BatchNorm2d):
            block.conv = fuse_conv_bn_eval(block.conv.eval(), block.norm.eval())
            block.norm = nn.Identity()
        elif isinstance(block, Residual) and isinstance(block.norm2, nn.BatchNorm2d):
            block.conv1 = fuse_conv_bn_eval(block.conv1.eval(), block.norm2.eval())
            block.norm2 = nn.Identity()


def hull_area(point: Tensor) -> float:
    """Area of the convex hull of (K, 2) points (Andrew's monotone chain)."""
    ordered = sorted(map(tuple, point.tolist()))
    corners = half_hull(ordered)[:-1] + half_hull(ordered[::-1])[:-1]
    turned = corners[1:] + corners[:1]
    pairs = zip(corners, turned, strict=True)
    return abs(sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairs)) / 2


def half_hull(ordered: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Half of a convex hull: the left turns along sorted points."""
    chain: list[tuple[float, float]] = []
    for x, y in ordered:
        while len(chain) > 1:
            (ax, ay), (bx, by) = chain[-2:]
            if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                break
            chain.pop()
        chain.append((x, y))
    return chain
