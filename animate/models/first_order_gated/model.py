"""First-order motion with a gate between the warped photo and painting: small, and the default.

Five small networks:
- A keypoint detector finds the facial landmarks of `mesh.TAUGHT`, which it learnt from an offline
  landmark model, and, if asked to, `free` unsupervised points (`keypoints`).
- Dense motion blends one affine map per keypoint into a flow (`dense_motion`).
- Layers split the photo into person and background (`foreground`).
- Synthesis warps the photo at full resolution and adds gated strokes, painted from warped features
  (`synthesis`).
- A mouth decoder draws the inside of a mouth that the photo does not show (`mouth`).

Hair moves with the skull (`hair`). Where photo and driver show one scene (absolute motion), the
camera's movement and what keypoints leave over are measured between small grey views (`camera`,
`flow_refinement`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from animate.faces import mesh
from animate.models.contract import Insight, Motion, MotionModel, Prediction
from animate.models.first_order_gated import eyes, retarget
from animate.models.first_order_gated.blocks import fuse, soften
from animate.models.first_order_gated.camera import SIDE, align, everywhere, pan
from animate.models.first_order_gated.covered import covered
from animate.models.first_order_gated.dense_motion import MAP, DenseMotion
from animate.models.first_order_gated.flow_refinement import correct, trust
from animate.models.first_order_gated.foreground import Layers, background, loose_hair, person
from animate.models.first_order_gated.hair import expression_mask, rigid_skull_flow
from animate.models.first_order_gated.int8 import pack
from animate.models.first_order_gated.keypoints import KeypointDetector
from animate.models.first_order_gated.light import Light
from animate.models.first_order_gated.mouth import Mouth
from animate.models.first_order_gated.synthesis import Synthesis
from animate.models.geometry import exact, inside, move, outline_distance, shape_distance

# About the distance of a crown from the middle of the steady landmarks, over their root mean square
# distance. Beyond `retarget.TURN` an eye tears: that turn
# counts as far as 0.2 half crops, which a pasted head may go.
OUTLINE, TURNED = 2.2, 3.0


@dataclass(frozen=True)
class Points(Motion):
    """T poses of K keypoints; the first `len(mesh.TAUGHT)` are facial landmarks."""

    point: Tensor  # (T, K, 2)
    view: Tensor  # (T, 1, SIDE, SIDE) uint8: the frame in grey, for the camera's motion
    spread: Tensor  # (T, K) uint8: of the heat maps in 255ths of a half crop, for `doubt`


@dataclass(frozen=True)
class Source:
    """The photo, encoded: all that `render` needs of it."""

    photo: Tensor  # (1, 3, S, S)
    small: Tensor  # (1, 3, MAP, MAP)
    features: tuple[Tensor, ...]  # at S/2, S/4 and S/8
    shapes: Tensor  # (1, 4, S/2, S/2): masks of mouth, eyes and person
    front: Tensor  # (1, 1, S, S) in [0, 1]: mask of the person
    behind: Tensor  # (1, 3, S, S): background, filled in behind the person
    pose: Points  # the photo's, of one
    look: Tensor  # (1, CODE): code of the mouth's looks
    light: Light | None = None  # the photo's; all above are in neutral light. None: it is neutral
    covered: bool = False  # whether the mouth is


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
    """Mask of the background beside a head at (B, K, 2), nothing below it: (B, 1, SIDE, SIDE)."""
    head = person(point, SIDE)[:, :1]
    return 1 - torch.maximum(head, head.cummax(2).values)


def openings(point: Tensor, side: int) -> Tensor:
    """Masks of the insides of mouth and eyes of poses (B, K, 2): (B, 3, side, side) in [0, 1]."""
    rims = point[:, mesh.OPENINGS]  # (B, 3, n, 2)
    return soften(inside(rims.flatten(0, 1), side, side).unflatten(0, rims.shape[:2]))


def shapes(point: Tensor, front: Tensor) -> Tensor:
    """Masks of openings at `point` and of the person `front` (B, 1, S, S): (B, 4, S/2, S/2)."""
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
        photo = photo if light is None else light.to_ordinary(photo)
        small = F.adaptive_avg_pool2d(photo, MAP)
        front, hole, behind = self.layers(photo, pose.point)
        features, ours = self.synthesis.encode(photo), shapes(pose.point, front)
        loose = loose_hair(photo, hole, pose.point)
        if loose.any():
            front, hole = torch.maximum(front, loose), torch.maximum(hole, loose)
            behind = background(photo, hole)
        look, hidden = self.mouth.look(photo, pose.point), covered(photo, pose.point)
        ours[:, 0] *= not hidden
        return Source(photo, small, features, ours, front, behind, pose, look, light, hidden)

    def track(self, frames: Tensor) -> Points:
        point, spread = self.keypoints.with_spread(frames)
        return Points(point, view(frames), spread.clamp(0, 1).mul(255).round().to(torch.uint8))

    def doubt(self, motion: Points) -> Tensor:
        hidden = retarget.doubt(motion.spread.float() / 255)
        return torch.maximum(hidden, retarget.beyond(motion.point, motion.view))

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
        own = source.pose  # its view, too: in relative motion the background stays still
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

    def tilt(self, own: Points, motion: Points) -> Tensor:
        away = retarget.roll(motion.point) - retarget.roll(own.point)
        return ((away + 180) % 360 - 180).abs().nan_to_num()

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
            if bool((sure < 1).any()):  # two scenes: a camera motion between them means nothing
                ground = torch.lerp(still, ground, sure)
                flow, x = self.motion(source.small, source.pose.point, motion.point, ground)
        flow, layers = self._refined(source, motion, flow, ground)
        side = source.photo.shape[-1]
        theirs = openings(motion.point, side // 2)
        theirs[:, 0] *= not source.covered
        mouth = self.mouth(source.look, source.pose.point, motion.point, side)
        seen = eyes.openings(source.pose.point, motion.point, side)
        image, warped, share, _ = self.synthesis(
            source.photo, layers, source.features, (source.shapes, theirs), flow, x, mouth, seen
        )
        return flow, image if source.light is None else source.light.to_photo(image, warped), share

    def _refined(
        self, source: Source, motion: Points, flow: Tensor, ground: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Flow and layers, refined by the frames' views where photo and driver show one scene."""
        held = rigid_skull_flow(flow, source.pose.point, motion.point)
        ours, theirs = source.pose.view.float() / 255, motion.view.float() / 255
        if torch.equal(ours.expand_as(theirs), theirs):  # relative motion keeps the photo's view
            return held, (source.front, source.behind)
        corrected = correct(flow, ours, theirs)
        sure = trust(flow, corrected, ours, theirs)
        flow = torch.lerp(held, corrected, sure * expression_mask(motion.point, MAP))
        back = everywhere(ground)
        light, behind = source.light, source.behind
        behind = behind if light is None else light.to_photo_unpainted(behind)
        back = torch.lerp(back, correct(back, view(behind).float() / 255, theirs), sure)
        return flow, (source.front, move(source.behind, back))

    def head_distance(self, own: Points, motion: Points) -> Tensor:
        steady = list(mesh.STEADY)
        return outline_distance(own.point[:, steady], motion.point[:, steady], OUTLINE, TURNED)

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

        `taught`: points (2B, K, 2) of the sources, then of the driving images, in place of detected
        ones.
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
        """Quantise all but layers near pixels or offsets, the finest keypoints, and the encoder."""
        points, motion, paint = self.keypoints.body, self.motion.body, self.synthesis
        pack(points.down, points.middle, points.reduce, points.up[:-1])
        pack(motion.down, motion.middle, motion.reduce, motion.up)
        pack(self.motion.weight, self.motion.shift)
        pack(paint.join8, paint.deep, paint.join4, paint.narrow, paint.join2)
        pack(paint.refine, paint.last)
