"""First-order motion with a gate between the warped photo and painting: small, and the default.

Five small networks. A keypoint detector finds the facial landmarks of `mesh.TAUGHT`, learnt
from an offline landmark model, and, if asked to, `free` points of its own. Dense motion blends one
affine map per keypoint (the first-order idea of Siarohin et al. 2019, eq. 4) with softmax weights
(eq. 7) that start from the distance to each keypoint. The affine parts are not predicted but fitted
to how the neighbouring landmarks move (moving least squares, Schaefer et al. 2006, eq. 5), so that
a turn of the head is a warp from the first training step on. Synthesis warps the photo itself, at
full resolution, and adds what a gate lets through of strokes painted from warped features. The
inside of a mouth that the photo does not show is drawn (`mouth`); hair goes with the skull
(`head`).

Where photo and driver show one scene (absolute motion), the camera's movement and what keypoints
leave over are seen between small grey views (`camera`, `residual`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from animate.faces import mesh
from animate.models.contract import Insight, Motion, MotionModel, Prediction
from animate.models.first_order_gated import retarget
from animate.models.first_order_gated.blocks import (
    ConvNorm,
    Residual,
    UNet,
    WithPicture,
    beside,
    fit,
    fuse,
    shuffle,
    smooth,
    soften,
    upsample,
    zero,
)
from animate.models.first_order_gated.camera import SIDE, align, everywhere, pan
from animate.models.first_order_gated.covered import covered
from animate.models.first_order_gated.flow_refinement import correct, trust
from animate.models.first_order_gated.foreground import Layers, person
from animate.models.first_order_gated.hair import (
    crown_mask,
    expression_mask,
    mirrored,
    rigid_skull_flow,
)
from animate.models.first_order_gated.int8 import Conv, pack, plus
from animate.models.first_order_gated.keypoints import KeypointDetector
from animate.models.first_order_gated.light import Light
from animate.models.first_order_gated.mouth import Inside, Mouth
from animate.models.geometry import (
    exact,
    fit_affine,
    gaussians,
    grid,
    inside,
    move,
    resize_flow,
    shape_distance,
    warp,
)

MAP = 64  # side of the dense-motion maps
MOTION_FEATURES = 32  # synthesis sees them, too


@dataclass(frozen=True)
class Points(Motion):
    """T poses of K keypoints; the first `len(mesh.TAUGHT)` are facial retarget."""

    point: Tensor  # (T, K, 2)
    view: Tensor  # (T, 1, SIDE, SIDE) uint8: the frame, small and grey, for the camera's motion
    spread: Tensor  # (T, K) uint8: of the heat maps in 255ths of a half crop, for `doubt`


@dataclass(frozen=True)
class Source:
    """All that rendering needs of the photo."""

    photo: Tensor  # (1, 3, S, S)
    small: Tensor  # (1, 3, MAP, MAP)
    features: tuple[Tensor, ...]  # at S/2, S/4 and S/8
    shapes: Tensor  # (1, 4, S/2, S/2): the openings, and the person
    front: Tensor  # (1, 1, S, S) in [0, 1]: the person, who moves ...
    behind: Tensor  # (1, 3, S, S): ... before this
    pose: Points  # of one
    look: Tensor  # (1, CODE) of the mouth
    light: Light | None = None  # all above are in ordinary light; None: so is the photo
    covered: bool = False  # is the mouth?


class DenseMotion(nn.Module):
    """Where each pixel of the driving frame comes from in the photo."""

    def __init__(self, points: int, variance: float) -> None:
        super().__init__()
        self.variance = variance
        self.taught = len(mesh.TAUGHT)
        self.body = UNet(points + 5, (32, 64, 128, 192), MOTION_FEATURES)
        self.weight = Conv(MOTION_FEATURES, points + 2, 1)
        self.shift = Conv(MOTION_FEATURES, 2, 1)
        zero(self.weight)
        zero(self.shift)
        # log-weight of a keypoint falls with its distance; of the face as a whole and of the
        # background it is level, so that they take over far from every keypoint
        self.sharpness = nn.Parameter(torch.full((points,), 4.5))
        self.level = nn.Parameter(torch.cat([torch.zeros(points), torch.tensor([-5.0, -6.0])]))
        with torch.no_grad():
            self.level[self.taught : points] = -3.0  # free points have to earn their say

    def forward(
        self, small: Tensor, source: Tensor, driving: Tensor, ground: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Photo (B, 3, MAP, MAP), points (B, K, 2) twice, the background's map (B, 2, 3) ->
        flow (B, MAP, MAP, 2), features."""
        maps = self.candidates(source, driving, ground)  # (B, K+2, 6)
        z = grid(MAP, MAP, small.device)  # (MAP, MAP, 2)
        prior = self.prior(driving)  # (B, MAP, MAP, K+2)
        coarse = blend(prior, maps, z)
        heat = gaussians(driving, MAP, MAP, self.variance) - gaussians(
            source, MAP, MAP, self.variance
        )
        offset = (coarse - z).permute(0, 3, 1, 2)
        seen = beside(warp(small.expand(len(driving), -1, -1, -1), coarse), offset, heat)
        x = self.body(seen)
        flow = blend(prior + self.weight(x).float().permute(0, 2, 3, 1), maps, z)
        shift = 0.2 * torch.tanh(self.shift(x).float())
        return flow + shift.permute(0, 2, 3, 1), x

    @exact
    def candidates(self, source: Tensor, driving: Tensor, ground: Tensor) -> Tensor:
        """One affine map z -> A z + b per keypoint, face and background: (A, b), (B, K+2, 6)."""
        s, d = source[:, : self.taught].expand(len(driving), -1, -1), driving[:, : self.taught]
        near = torch.cdist(d, d).square().mul(-0.5 / 0.15**2).exp() + 0.01  # (B, k, k)
        local, _, _ = fit_affine(d, s, near)  # (B, k, 2, 2): Schaefer eq. 5
        head, centre, home = fit_affine(d, s, torch.ones_like(near[:, :1]))
        free = head.expand(-1, source.shape[1] - self.taught, -1, -1)
        jacobian = torch.cat([local, free, head], 1)
        at = torch.cat([driving, centre], 1)
        to = torch.cat([source.expand_as(driving), home], 1)
        shift = to - (jacobian @ at[..., None])[..., 0]  # to + J (z - at), eq. 4
        maps = torch.cat([jacobian.flatten(2), shift], -1)
        behind = torch.cat([ground[..., :2].flatten(1), ground[..., 2]], 1)[:, None]
        return torch.cat([maps, behind.expand_as(maps[:, :1])], 1)

    @exact
    def prior(self, driving: Tensor) -> Tensor:
        """Log-weights before the network has its say: (B, MAP, MAP, K+2)."""
        z = torch.linspace(-1, 1, MAP, device=driving.device)[:, None]
        fall = -0.5 * self.sharpness.exp()
        across, down = (  # (B, MAP, K+2) each: the square of a distance is a sum
            F.pad((fall * (z - at[:, None]).square()).clamp(min=-30), (0, 2))  # no subnormals
            for at in driving.unbind(-1)
        )
        return across[:, None] + (down + self.level)[:, :, None]


@exact
def blend(logits: Tensor, maps: Tensor, z: Tensor) -> Tensor:
    """Mean of affine maps at each z (eq. 7), weighted by the softmax of (B, MAP, MAP, K+2).

    A flow (B, MAP, MAP, 2).

    A mean of affine maps is the map of their mean parameters, which is far less to compute.
    """
    mean = logits.flatten(1, 2).softmax(-1) @ maps  # (B, MAP*MAP, 6)
    a, b, c, d, x, y = mean.unflatten(1, (MAP, MAP)).unbind(-1)
    right, down = z.unbind(-1)
    return torch.stack([a * right + b * down + x, c * right + d * down + y], -1)


class Synthesis(nn.Module):
    """The warped photo, and painting where it does not do."""

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
        """Features at half, quarter and an eighth of the side."""
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
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Image, moved photo (B, 3, S, S), the photo's share and the silhouette (B, 1, S, S).

        `layers` are the person (B, 1, S, S), whom the flow moves, and what is behind
        (B, 3, S, S), as the camera shows it. `shapes` are the photo's (`shapes`) and the driver's
        openings (B, 3, S/2, S/2).
        """
        (front, behind), (ours, openings) = layers, shapes
        half, quarter, eighth = (move(f, flow) for f in features)
        before, her = move(ours, flow).split([3, 1], 1)
        # what the photo can't show: the soft rim of a closed mouth, stretched, is not an open one
        shown = (2 * before - 1).clamp(min=0)
        shown[:, 0] *= 1 - mouth.stretch[:, None, None]
        fresh = (openings - shown).clamp(min=0)
        open2 = torch.cat([before, openings, her], 1)
        x = self.deep(self.join8(beside(eighth, fit(motion, eighth.shape[2]))))
        motion = fit(motion, quarter.shape[2])
        x = self.join4(beside(plus(upsample(x), quarter), motion, F.avg_pool2d(open2, 2)))
        x = self.join2(beside(plus(upsample(self.narrow(x)), half), open2))
        shift = 0.05 * torch.tanh(self.refine(x).float()).permute(0, 2, 3, 1)
        flow = resize_flow(resize_flow(flow, *x.shape[2:]) + shift, *photo.shape[2:])
        moved = move(torch.cat([photo, front], 1), mirrored(flow))
        silhouette = moved[:, 3:] * crown_mask(flow, front)
        warped = torch.lerp(behind, moved[:, :3], silhouette)
        x = shuffle(self.paint(self.last(x, warped - 0.5)).float())
        gate = (x[:, 3:] + 6 * smooth(fresh.amax(1, keepdim=True))).sigmoid()
        stroke = gate * x[:, :3].tanh()
        image, drawn = warped + stroke, smooth(fresh[:, :1])
        lips = ..., mouth.rows, mouth.columns
        painted = warped[lips] + stroke[lips]  # not image[lips]: gradients need what is replaced
        image[lips] = torch.lerp(painted, mouth.drawn, drawn[lips])
        return image, warped, 1 - torch.maximum(gate, drawn), silhouette


@exact
def view(frames: Tensor) -> Tensor:
    """Small grey pictures of frames (T, 3, S, S): (T, 1, SIDE, SIDE) uint8."""
    step = frames.shape[-1] // SIDE
    mean = torch.full((1, 3, step, step), 1 / (3 * step**2), device=frames.device)
    grey = F.conv2d(frames.float(), mean, stride=step)
    return grey.mul(255).round().to(torch.uint8)


def camera(ours: Points, theirs: Points) -> Tensor:
    """The map of the background from the driving frames into the photo, (T, 2, 3)."""
    if torch.equal(ours.view.expand_as(theirs.view), theirs.view):
        return torch.eye(2, 3, device=theirs.view.device).expand(len(theirs), -1, -1)
    behind = around(ours.point) * around(theirs.point)
    return align(theirs.view.float() / 255, ours.view.float() / 255, behind)


def around(point: Tensor) -> Tensor:
    """1 where neither a head at (B, K, 2) nor what may be below it is: (B, 1, SIDE, SIDE)."""
    head = person(point, SIDE)[:, :1]
    return 1 - torch.maximum(head, head.cummax(2).values)


def openings(point: Tensor, side: int) -> Tensor:
    """The insides of mouth and eyes of poses (B, K, 2), (B, 3, side, side) in [0, 1]."""
    rims = point[:, mesh.OPENINGS]  # (B, 3, n, 2)
    return soften(inside(rims.flatten(0, 1), side, side).unflatten(0, rims.shape[:2]))


def shapes(point: Tensor, front: Tensor) -> Tensor:
    """What the photo shows of openings and of the person (B, 1, S, S): (B, 4, S/2, S/2)."""
    return torch.cat([openings(point, front.shape[-1] // 2), F.avg_pool2d(front, 2)], 1)


class FirstOrderGated(MotionModel[Source, Points]):
    """The default motion model. `size` S is a multiple of 128; `free` points are unsupervised."""

    regions = ("head", *mesh.REGIONS)
    near = 0.02  # half crops
    far = 0.09
    tracks_under_autocast = True
    supports_int8 = True

    def __init__(self, size: int = 256, free: int = 0, variance: float = 0.005) -> None:
        super().__init__()
        self.size = size
        points = len(mesh.TAUGHT) + free
        self.keypoints = KeypointDetector(points)
        self.motion = DenseMotion(points, variance)
        self.layers = Layers()
        self.synthesis = Synthesis()
        self.mouth = Mouth()

    def encode(self, photo: Tensor) -> Source:
        pose = self.track(photo)
        light = Light.of(photo, pose.point)
        photo = photo if light is None else light.taken(photo)
        small = F.adaptive_avg_pool2d(photo, MAP)
        front, _, behind = self.layers(photo, pose.point)
        features, ours = self.synthesis.encode(photo), shapes(pose.point, front)
        look, hidden = self.mouth.look(photo, pose.point), covered(photo, pose.point)
        ours[:, 0] *= not hidden
        return Source(photo, small, features, ours, front, behind, pose, look, light, hidden)

    def track(self, frames: Tensor) -> Points:
        point, spread = self.keypoints.seen(frames)
        return Points(point, view(frames), spread.clamp(0, 1).mul(255).round().to(torch.uint8))

    def doubt(self, motion: Points) -> Tensor:
        return retarget.doubt(motion.spread.float() / 255)

    def retarget(
        self,
        source: Source,
        motion: Points,
        reference: Points,
        *,
        relative: bool = True,
        adapt_scale: bool = True,
        amplify: Mapping[str, float] = {},
    ) -> Points:
        own = source.pose  # whose background stays in relative motion, whatever the camera does
        if not relative:
            if not source.covered:
                return motion
            return replace(motion, point=retarget.without_mouth(own.point, motion.point))
        if source.covered:
            amplify = {**amplify, "mouth": 0.0}
        start = retarget.match_lips(reference.point, own.point, adapt_scale)
        theirs = retarget.within_reach(start, motion.point)
        point = retarget.transfer(own.point, theirs, start, adapt_scale, amplify)
        point = retarget.untangle(point)
        return Points(point, own.view.expand(len(motion), -1, -1, -1), motion.spread)

    def distance(self, own: Points, motion: Points) -> Tensor:
        return shape_distance(own.point, motion.point)

    def points(self, motion: Points) -> Tensor:
        return motion.point

    def render(self, source: Source, motion: Points) -> Tensor:
        return self._render(source, motion)[1].clamp(0, 1)

    def explain(self, source: Source, motion: Points) -> Insight:
        flow, _, share = self._render(source, motion)
        return Insight(flow, share)

    def _render(self, source: Source, motion: Points) -> tuple[Tensor, Tensor, Tensor]:
        """The flow, the image and the photo's share in it."""
        ground = camera(source.pose, motion)
        flow, x = self.motion(source.small, source.pose.point, motion.point, ground)
        if not torch.equal(
            ground, still := torch.eye(2, 3, device=ground.device).expand_as(ground)
        ):
            ours, theirs = source.pose.view.float() / 255, motion.view.float() / 255
            sure = trust(flow, correct(flow, ours, theirs), ours, theirs)[..., 0]
            if bool((sure < 1).any()):  # of two scenes the camera tells nothing
                ground = torch.lerp(still, ground, sure)
                flow, x = self.motion(source.small, source.pose.point, motion.point, ground)
        flow, layers = self._seen(source, motion, flow, ground)
        side = source.photo.shape[-1]
        theirs = openings(motion.point, side // 2)
        theirs[:, 0] *= not source.covered
        mouth = self.mouth(source.look, source.pose.point, motion.point, side)
        image, warped, share, _ = self.synthesis(
            source.photo, layers, source.features, (source.shapes, theirs), flow, x, mouth
        )
        return flow, image if source.light is None else source.light.given(image, warped), share

    def _seen(
        self, source: Source, motion: Points, flow: Tensor, ground: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Flow and layers: what frames show beyond keypoints and camera, else a stiff skull."""
        held = rigid_skull_flow(flow, source.pose.point, motion.point)
        ours, theirs = source.pose.view.float() / 255, motion.view.float() / 255
        if torch.equal(ours.expand_as(theirs), theirs):  # relative motion keeps our own view
            return held, (source.front, source.behind)
        corrected = correct(flow, ours, theirs)
        sure = trust(flow, corrected, ours, theirs)
        flow = torch.lerp(held, corrected, sure * expression_mask(motion.point, MAP))
        back = everywhere(ground)
        behind = source.behind if source.light is None else source.light.shown(source.behind)
        back = torch.lerp(back, correct(back, view(behind).float() / 255, theirs), sure)
        return flow, (source.front, move(source.behind, back))

    def head_distance(self, own: Points, motion: Points) -> Tensor:
        steady = list(mesh.STEADY)
        home, point = own.point[:, steady], motion.point[:, steady]
        return (point - home).square().sum(-1).mean(-1).sqrt()

    def marks(self, own: Points) -> Tensor:
        return retarget.marks(own.point)

    def remarks(
        self, own: Points, name: str | None = None, source: Source | None = None
    ) -> list[str]:
        hidden = []
        if source is not None and source.covered:
            whose = f"of {name}" if name else "in the photo"
            hidden.append(
                f"the mouth {whose} is covered, and moves with the head alone: use one that "
                "shows it"
            )
        return hidden + retarget.remarks(own.point, name)

    def forward(self, source: Tensor, driving: Tensor, taught: Tensor | None = None) -> Prediction:
        """Training pass over B pairs, (B, 3, S, S) each, in [0, 1].

        `taught` points (2B, K, 2) of the sources and then the driving images stand in for those
        that would be found.
        """
        both = torch.cat([source, driving])
        sharp = both.new_zeros(both.shape[0], self.motion.taught, dtype=torch.uint8)
        poses = self.track(both) if taught is None else Points(taught, view(both), sharp)
        s, d = poses[: len(source)], poses[len(source) :]
        ground = camera(s, d)
        flow, x = self.motion(F.adaptive_avg_pool2d(source, MAP), s.point, d.point, ground)
        front, hole, behind = self.layers(source, s.point)
        seen = shapes(s.point, front), openings(d.point, source.shape[-1] // 2)
        features = self.synthesis.encode(source)
        look = self.mouth.look(source, s.point)
        mouth = self.mouth(look, s.point, d.point, source.shape[-1])
        image, warped, kept, silhouette = self.synthesis(
            source, (front, pan(behind, ground)), features, seen, flow, x, mouth
        )
        front = torch.cat([front, hole], 1)
        return Prediction(image, warped, kept, s, d, front, silhouette)

    def flow(self, photo: Tensor, source: Tensor, driving: Tensor, ground: Tensor) -> Tensor:
        """(B, MAP, MAP, 2) from driving poses (B, K, 2) into photos (B, 3, S, S) of such poses."""
        return self.motion(F.adaptive_avg_pool2d(photo, MAP), source, driving, ground)[0]

    def fuse(self) -> FirstOrderGated:
        fuse(self)
        return self

    def pack(self) -> None:
        """All but what sees pixels or offsets, the finest keypoints, and what is done once."""
        points, motion, paint = self.keypoints.body, self.motion.body, self.synthesis
        pack(points.down, points.middle, points.reduce, points.up[:-1])
        pack(motion.down, motion.middle, motion.reduce, motion.up)
        pack(self.motion.weight, self.motion.shift)
        pack(paint.join8, paint.deep, paint.join4, paint.narrow, paint.join2)
        pack(paint.refine, paint.last)
