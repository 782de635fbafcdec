"""The first-order motion model of Siarohin et al. (NeurIPS 2019), tensor for tensor.

A keypoint detector finds K points and, around each, a local frame (jacobian) of the motion. Dense
motion blends the K affine maps that they define, and the identity for the background, into one flow
with an occlusion map. The generator encodes the photo, warps the features by the flow, multiplies
them by the occlusion map and decodes. Module names are those of the published checkpoints, so that
`animate checkpoint import` loads them strictly. Equation numbers are those of arXiv:2003.00196.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from animate.errors import AnimateError
from animate.models.contract import Insight, Motion, MotionModel, Prediction
from animate.models.first_order.blocks import (
    Blur,
    Down,
    Hourglass,
    Residual,
    Same,
    Up,
    fold,
    hull_area,
    widths,
)
from animate.models.geometry import (
    exact,
    expectation,
    gaussians,
    grid,
    inverse_2x2,
    precise,
    shape_distance,
    warp,
)


@dataclass(frozen=True)
class LocalMotion(Motion):
    """T poses: K keypoints, and the first-order motion around each."""

    point: Tensor  # (T, K, 2) in [-1, 1], (x, y)
    frame: Tensor  # (T, K, 2, 2): the jacobian of T_{frame <- reference} at the keypoint


@dataclass(frozen=True)
class Source:
    """Encoding of the photo (or of B photos): all that rendering needs."""

    features: Tensor  # (1, C, S / 2**downs, S / 2**downs)
    small: Tensor  # (1, 3, S/4, S/4): the photo
    heat: Tensor  # (1, K, S/4, S/4): a Gaussian at each keypoint
    motion: LocalMotion  # the photo's pose


class KeypointDetector(nn.Module):
    """Keypoints and their frames as expectations over heat maps; unpadded output convolutions."""

    def __init__(
        self,
        keypoints: int,
        temperature: float,
        width: int,
        limit: int,
        levels: int,
        shared_jacobian: bool,
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.predictor = Hourglass(3, width, limit, levels)
        self.kp = nn.Conv2d(self.predictor.outputs, keypoints, 7)
        maps = 1 if shared_jacobian else keypoints
        self.jacobian = nn.Conv2d(self.predictor.outputs, 4 * maps, 7)
        self.down = Blur()
        with torch.no_grad():  # training starts from identity frames
            self.jacobian.weight.zero_()
            self.jacobian.bias.copy_(torch.eye(2).flatten().repeat(maps))  # type: ignore[union-attr]

    def maps(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Heat maps (B, K, h, h) of images (B, 3, S, S), each summing to one, and frames at every
        place (B, K or 1, 2, 2, h, h); h = S/4 - 6, which is 58 for S = 256."""
        x = self.predictor(self.down(image))
        heat = precise(self.kp(x)) / self.temperature
        heat = heat.flatten(2).softmax(-1).view_as(heat)
        return heat, precise(self.jacobian(x)).unflatten(1, (-1, 2, 2))

    def forward(self, image: Tensor) -> LocalMotion:
        heat, frame = self.maps(image)
        return LocalMotion(expectation(heat), (heat[:, :, None, None] * frame).sum((-2, -1)))


class DenseMotion(nn.Module):
    """Combines K local motions into one flow and an occlusion map."""

    def __init__(
        self,
        keypoints: int,
        variance: float,
        width: int,
        limit: int,
        levels: int,
        align_corners: bool,
    ) -> None:
        super().__init__()
        self.variance = variance
        self.align_corners = align_corners
        self.hourglass = Hourglass((keypoints + 1) * 4, width, limit, levels)
        self.mask = nn.Conv2d(self.hourglass.outputs, keypoints + 1, 7, padding=3)
        self.occlusion = nn.Conv2d(self.hourglass.outputs, 1, 7, padding=3)
        self.down = Blur()

    def heat(self, point: Tensor, small: Tensor) -> Tensor:
        """A Gaussian at each keypoint (B, K, 2) over an image (B, 3, h, w): (B, K, h, w)."""
        height, width = small.shape[2:]
        return gaussians(precise(point), height, width, self.variance)

    @exact
    def candidates(self, small: Tensor, source: LocalMotion, driving: LocalMotion) -> Tensor:
        """Flows (T, K+1, h, w, 2): where each pixel would come from if it moved with the background
        or with one keypoint."""
        height, width = small.shape[2:]
        z = grid(height, width, small.device)  # (h, w, 2)
        jacobian = product(source.frame, inverse_2x2(driving.frame))  # (T, K, 2, 2): eq. 5
        away = (z - driving.point[:, :, None, None])[..., None, :]  # (T, K, h, w, 1, 2)
        near = source.point[:, :, None, None] + (jacobian[:, :, None, None] * away).sum(-1)  # eq. 4
        return torch.cat([z.expand_as(near[:, :1]), near], 1)

    def forward(self, source: Source, driving: LocalMotion) -> tuple[Tensor, Tensor]:
        """Flow (T, h, w, 2) and occlusion (T, 1, h, w) for T poses; 1 means visible."""
        flows = self.candidates(source.small, source.motion, driving)
        small = precise(source.small).expand(len(driving), -1, -1, -1)
        moved = warp(small, flows.flatten(1, 2), align_corners=self.align_corners)
        moved = moved.unflatten(2, (-1, small.shape[2])).transpose(1, 2)  # (T, K+1, 3, h, w)
        heat = self.heat(driving.point, small) - source.heat  # eq. 6
        heat = F.pad(heat, (0, 0, 0, 0, 1, 0))[:, :, None]  # 0 for the background
        x = self.hourglass(torch.cat([heat, moved], 2).flatten(1, 2))
        mask = precise(self.mask(x)).softmax(1)
        flow = (mask[..., None] * flows).sum(1)  # eq. 7
        return flow, precise(self.occlusion(x)).sigmoid()


class Generator(nn.Module):
    """Encodes the photo, warps its features and decodes them."""

    def __init__(
        self, dense_motion: DenseMotion, width: int, limit: int, downs: int, residuals: int
    ) -> None:
        super().__init__()
        self.dense_motion_network = dense_motion
        w = widths(width, limit, downs)
        steps = list(pairwise(w))
        self.first = Same(3, w[0], kernel=7)
        self.down_blocks = nn.ModuleList(Down(a, b) for a, b in steps)
        self.up_blocks = nn.ModuleList(Up(b, a) for a, b in reversed(steps))
        self.bottleneck = nn.Sequential()
        for i in range(residuals):
            self.bottleneck.add_module(f"r{i}", Residual(w[-1]))
        self.final = nn.Conv2d(w[0], 3, 7, padding=3)

    def encode(self, photo: Tensor) -> Tensor:
        x = self.first(photo)
        for down in self.down_blocks:
            x = down(x)
        return x

    def move(self, image: Tensor, flow: Tensor) -> Tensor:
        """Warp (1 or B, C, H, W) by a flow (B, h, w, 2) of any side.

        The flow is resized without aligned corners, whatever the checkpoint's convention: this is
        torch's default in every version, so the published weights were trained with it.
        """
        if flow.shape[1:3] != image.shape[2:]:
            flow = stretch(flow.permute(0, 3, 1, 2), image).permute(0, 2, 3, 1)
        wide = precise(image).expand(len(flow), -1, -1, -1)
        aligned = self.dense_motion_network.align_corners
        moved = warp(wide, flow, align_corners=aligned)
        return moved.to(image.dtype, memory_format=torch.channels_last)

    def forward(self, source: Source, driving: LocalMotion) -> tuple[Tensor, Tensor, Tensor]:
        """Images (T, 3, S, S) in [0, 1], flow (T, h, w, 2) and occlusion (T, 1, h, w)."""
        flow, occlusion = self.dense_motion_network(source, driving)
        x = self.move(source.features, flow)
        x = self.bottleneck(x * stretch(occlusion, x).to(x.dtype))  # eq. 8
        for up in self.up_blocks:
            x = up(x)
        return precise(self.final(x)).sigmoid(), flow, occlusion


def stretch(x: Tensor, like: Tensor) -> Tensor:
    """Resize (B, C, h, w) bilinearly to another map's size, without aligning corners."""
    if x.shape[2:] == like.shape[2:]:
        return x
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)


def product(a: Tensor, b: Tensor) -> Tensor:
    """Matrix product of broadcast (..., 2, 2), in full precision even under autocast."""
    return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)


class FirstOrder(MotionModel[Source, LocalMotion]):
    """Siarohin et al. 2019; the defaults are the published vox-256 and vox-adv-256 layouts.

    `align_corners` is how `grid_sample` read the grid in training: True for the published files
    (torch 1.0), False for weights trained by the same code under torch 1.3 or later. `size` S is a
    multiple of 4 * 2**detector_levels and of 4 * 2**motion_levels. Widths double with each level up
    to their limit. `shared_jacobian`: one frame for all keypoints, as in mgif-256.
    """

    near = 0.02  # half crops
    far = 0.09

    def __init__(
        self,
        size: int = 256,
        keypoints: int = 10,
        temperature: float = 0.1,
        variance: float = 0.01,
        align_corners: bool = True,
        shared_jacobian: bool = False,
        detector_width: int = 32,
        detector_limit: int = 1024,
        detector_levels: int = 5,
        motion_width: int = 64,
        motion_limit: int = 1024,
        motion_levels: int = 5,
        width: int = 64,
        limit: int = 512,
        downs: int = 2,
        residuals: int = 6,
    ) -> None:
        super().__init__()
        self.size = size
        self.align_corners = align_corners
        dense = DenseMotion(
            keypoints, variance, motion_width, motion_limit, motion_levels, align_corners
        )
        self.generator = Generator(dense, width, limit, downs, residuals)
        self.kp_detector = KeypointDetector(
            keypoints, temperature, detector_width, detector_limit, detector_levels, shared_jacobian
        )

    def encode(self, photo: Tensor) -> Source:
        return self._source(photo, self.track(photo))

    def track(self, frames: Tensor) -> LocalMotion:
        return self.kp_detector(frames)

    def retarget(
        self,
        source: Source,
        motion: LocalMotion,
        reference: LocalMotion,
        *,
        relative: bool = True,
        adapt_scale: bool = True,
        amplify: Mapping[str, float] = {},
    ) -> LocalMotion:
        """See MotionModel. Raises AnimateError if `adapt_scale` and the keypoints span no area."""
        if not relative:
            return motion
        own = source.motion
        scale = relative_size(own.point[0], reference.point[0]) if adapt_scale else 1.0
        change = product(motion.frame, inverse_2x2(reference.frame))
        return LocalMotion(
            own.point + scale * (motion.point - reference.point), product(change, own.frame)
        )

    def distance(self, own: LocalMotion, motion: LocalMotion) -> Tensor:
        return shape_distance(own.point, motion.point)

    def points(self, motion: LocalMotion) -> Tensor:
        return motion.point

    def render(self, source: Source, motion: LocalMotion) -> Tensor:
        return self.generator(source, motion)[0]

    def explain(self, source: Source, motion: LocalMotion) -> Insight:
        _, flow, occlusion = self.generator(source, motion)
        return Insight(flow, occlusion)

    def forward(self, source: Tensor, driving: Tensor) -> Prediction:
        """Training pass over B pairs, (B, 3, S, S) each, in [0, 1]."""
        poses = self.track(source), self.track(driving)
        image, flow, occlusion = self.generator(self._source(source, poses[0]), poses[1])
        return Prediction(image, self.generator.move(source, flow), occlusion, *poses)

    def fuse(self) -> FirstOrder:
        fold(self)
        return self

    def _source(self, photo: Tensor, motion: LocalMotion) -> Source:
        dense = self.generator.dense_motion_network
        small = dense.down(photo)
        return Source(self.generator.encode(photo), small, dense.heat(motion.point, small), motion)


def relative_size(source: Tensor, driving: Tensor) -> float:
    """Size of the photo's face over that of the driver's: the square root of the ratio of the areas
    of their keypoints' (K, 2) convex hulls."""
    areas = hull_area(source), hull_area(driving)
    if not min(areas) > 0:
        raise AnimateError(
            "the keypoints of the photo or of the driver's reference frame span no area: choose "
            "another frame with retarget.reference=, or retarget.adapt_scale=false"
        )
    return (areas[0] / areas[1]) ** 0.5
