"""The formulas of Siarohin et al. 2019 with loops, to check the network against."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from animate.models.first_order.model import FirstOrder


class Plain:
    """The paper with loops and in float64, on published names; knows nothing of our modules."""

    def __init__(self, model: FirstOrder) -> None:
        self.state = {k: v.double() for k, v in model.state_dict().items()}
        self.align_corners, self.temperature, self.variance = model.align_corners, 0.1, 0.01

    def conv(self, x: Tensor, name: str, padding: int = 0) -> Tensor:
        return F.conv2d(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"], 1, padding)

    def norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias, mean, variance = (
            self.state[f"{name}.{part}"][:, None, None]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / torch.sqrt(variance + 1e-5) * weight + bias

    def block(self, x: Tensor, name: str, padding: int = 1) -> Tensor:
        return self.norm(self.conv(x, f"{name}.conv", padding), f"{name}.norm").clamp(min=0)

    def down(self, x: Tensor, name: str) -> Tensor:
        x = self.block(x, name)
        return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4

    def up(self, x: Tensor, name: str) -> Tensor:
        return self.block(x.repeat_interleave(2, -1).repeat_interleave(2, -2), name)

    def quarter(self, x: Tensor, name: str) -> Tensor:
        kernel = self.state[f"{name}.weight"]
        return F.conv2d(F.pad(x, (6, 6, 6, 6)), kernel, groups=3)[..., ::4, ::4]

    def hourglass(self, x: Tensor, name: str, levels: int) -> Tensor:
        kept = [x]
        for i in range(levels):
            kept.append(self.down(kept[-1], f"{name}.encoder.down_blocks.{i}"))
        x = kept.pop()
        for i in range(levels):
            x = torch.cat([self.up(x, f"{name}.decoder.up_blocks.{i}"), kept.pop()], 1)
        return x

    def keypoints(self, image: Tensor, levels: int) -> tuple[np.ndarray, np.ndarray]:
        """Points (K, 2) and jacobians (K, 2, 2) of one image."""
        x = self.quarter(image, "kp_detector.down")
        x = self.hourglass(x, "kp_detector.predictor", levels)
        heat = self.conv(x, "kp_detector.kp")[0].numpy() / self.temperature
        frame = self.conv(x, "kp_detector.jacobian")[0].numpy()
        points, jacobians = np.zeros((len(heat), 2)), np.zeros((len(heat), 2, 2))
        shared = len(frame) == 4
        for k, logits in enumerate(heat):
            weight = np.exp(logits - logits.max())
            weight /= weight.sum()
            for row in range(weight.shape[0]):
                for column in range(weight.shape[1]):
                    at = np.array([column, row]) / (np.array(weight.shape[::-1]) - 1) * 2 - 1
                    points[k] += weight[row, column] * at
                    four = frame[slice(0, 4) if shared else slice(4 * k, 4 * k + 4), row, column]
                    jacobians[k] += weight[row, column] * four.reshape(2, 2)
        return points, jacobians

    def sample(self, image: np.ndarray, x: float, y: float) -> np.ndarray:
        """Bilinear, zero outside: image (C, H, W) at one point in [-1, 1]."""
        height, width = image.shape[1:]
        if self.align_corners:
            column, row = (x + 1) / 2 * (width - 1), (y + 1) / 2 * (height - 1)
        else:
            column, row = ((x + 1) * width - 1) / 2, ((y + 1) * height - 1) / 2
        value = np.zeros(len(image))
        for j in (int(np.floor(row)), int(np.floor(row)) + 1):
            for i in (int(np.floor(column)), int(np.floor(column)) + 1):
                if 0 <= j < height and 0 <= i < width:
                    value += image[:, j, i] * (1 - abs(row - j)) * (1 - abs(column - i))
        return value

    def warp(self, image: Tensor, flow: np.ndarray) -> Tensor:
        """Image (1, C, H, W) at a flow (h, w, 2)."""
        out = [[self.sample(image[0].numpy(), *at) for at in line] for line in flow]
        return torch.tensor(np.array(out)).permute(2, 0, 1)[None]

    def render(
        self,
        photo: Tensor,
        source: tuple[np.ndarray, ...],
        driving: tuple[np.ndarray, ...],
        levels: int,
        residuals: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Prediction, warped photo and occlusion of one pair."""  # fmt: skip
        name = "generator.dense_motion_network"
        small = self.quarter(photo, f"{name}.down")
        side = small.shape[-1]
        at = np.array([[(2 * i / (side - 1) - 1, 2 * j / (side - 1) - 1) for i in range(side)]
                       for j in range(side)])  # fmt: skip
        flows, seen = [at], [torch.zeros(1, 1, side, side), self.warp(small, at)]
        for p_s, j_s, p_d, j_d in zip(*source, *driving, strict=True):
            flow = np.zeros_like(at)
            heat = np.zeros((side, side))
            for row in range(side):
                for column in range(side):
                    z = at[row, column]
                    flow[row, column] = p_s + j_s @ np.linalg.inv(j_d) @ (z - p_d)  # eq. 4
                    heat[row, column] = np.exp(-((z - p_d) ** 2).sum() / 2 / self.variance)
                    heat[row, column] -= np.exp(-((z - p_s) ** 2).sum() / 2 / self.variance)
            flows.append(flow)
            seen += [torch.tensor(heat)[None, None], self.warp(small, flow)]
        x = self.hourglass(torch.cat(seen, 1), f"{name}.hourglass", levels)
        mask = torch.exp(self.conv(x, f"{name}.mask", 3))
        mask = (mask / mask.sum(1, keepdim=True))[0].numpy()
        occlusion = 1 / (1 + torch.exp(-self.conv(x, f"{name}.occlusion", 3)))
        flow = sum(m[..., None] * f for m, f in zip(mask, flows, strict=True))
        x = self.block(photo, "generator.first", 3)
        x = self.down(self.down(x, "generator.down_blocks.0"), "generator.down_blocks.1")
        x = self.warp(x, flow) * occlusion
        for i in range(residuals):
            r = f"generator.bottleneck.r{i}"
            y = self.conv(self.norm(x, f"{r}.norm1").clamp(min=0), f"{r}.conv1", 1)
            x = x + self.conv(self.norm(y, f"{r}.norm2").clamp(min=0), f"{r}.conv2", 1)
        x = self.up(self.up(x, "generator.up_blocks.0"), "generator.up_blocks.1")
        image = 1 / (1 + torch.exp(-self.conv(x, "generator.final", 3)))
        return image, self.warp(photo, enlarge(flow, photo.shape[-1])), occlusion


def enlarge(flow: np.ndarray, size: int) -> np.ndarray:
    """Bilinear resize of (h, h, 2) with pixel edges aligned, the border repeated."""
    at = np.clip((np.arange(size) + 0.5) * len(flow) / size - 0.5, 0, len(flow) - 1)
    low = np.floor(at).astype(int)
    high, part = np.minimum(low + 1, len(flow) - 1), (at - low)[:, None, None]
    rows = flow[low] * (1 - part) + flow[high] * part
    part = part[:, 0][None]
    return rows[:, low] * (1 - part) + rows[:, high] * part
