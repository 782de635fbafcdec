"""What a motion model is trained to make small; each loss is a callable with its weights inside."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from animate.data.pairs import Pairs
from animate.errors import AnimateError
from animate.models.contract import Motion, MotionModel
from animate.models.first_order_gated import retarget as landmarks
from animate.models.geometry import (
    ThinPlateSpline,
    exact,
    expectation,
    gaussians,
    grid,
    inside,
    inverse_2x2,
    warp,
)
from animate.training.losses.adversarial import Adversary
from animate.training.losses.perceptual import backbone as perceptual_distance

Terms = dict[str, Tensor]
FLAT = 0.1  # of a face's area: what a flow may press it to
FURTHER = 1.5  # how much further strangers move a head than their own


def deformation(pairs: Pairs, step: int, seed: int) -> ThinPlateSpline:
    """The random deformation of each pair's driver: drawn for the whole step, so that it does not
    depend on how the step is split."""
    noise = torch.Generator().manual_seed(seed * 1_000_003 + step)
    spline = ThinPlateSpline(pairs.total or len(pairs.driving), noise)
    return spline.rows(pairs.rows or slice(None)).to(pairs.driving.device)


def pyramid(image: Tensor, target: Tensor, weight: Tensor, levels: int = 3) -> Tensor:
    """Mean over octaves of the weighted L1 distance; images (B, 3, S, S), weight (B, 1, S, S)."""
    total = image.new_zeros(())
    for level in range(levels):
        if level:
            image, target, weight = (F.avg_pool2d(x, 2) for x in (image, target, weight))
        total = total + ((image - target).abs() * weight).mean() / weight.mean()
    return total / levels


@exact
def attention(points: Tensor, side: int, gain: float) -> Tensor:
    """1, rising to 1 + gain around mouth and eyes and four times that inside them.

    points (B, K, 2) -> (B, 1, side, side).
    """
    parts = points[:, list(landmarks.MOUTH + landmarks.EYES)].detach()
    near = gaussians(parts, min(side, 64), min(side, 64), 0.003).amax(1, keepdim=True)
    near = F.interpolate(near, side, mode="bilinear", align_corners=True)
    rims = [inside(points[:, list(rim)], side, side) for rim in landmarks.OPENINGS]
    return 1 + gain * (near + 3 * torch.stack(rims, 1).amax(1, keepdim=True))


@exact
def details(image: Tensor, points: Tensor, side: int) -> Tensor:
    """Close-ups of the mouth and both eyes, (3 B, 3, side, side), around landmarks (B, K, 2)."""
    crops = []
    for part in (landmarks.MOUTH, *landmarks.OPENINGS[1:]):
        at = points[:, list(part)]
        low, high = at.amin(1), at.amax(1)
        centre, reach = (low + high) / 2, 0.8 * (high - low).amax(-1)  # (B, 2), (B,)
        flow = centre[:, None, None] + reach[:, None, None, None] * grid(side, side, image.device)
        crops.append(warp(image.float(), flow, padding="border"))
    return torch.cat(crops)


@exact
def guidance(found: Tensor, taught: Tensor) -> Tensor:
    """Mean L1 distance of keypoints to the teacher's, eyes and mouth twice; NaN is not counted."""
    weight = torch.ones(taught.shape[1], device=found.device)
    weight[list(landmarks.MOUTH + landmarks.EYES)] = 2
    known = taught.isfinite().all(-1) & (taught.abs() < 1).all(-1)  # (B, K)
    weight = weight * known
    distance = (found[:, : taught.shape[1]] - taught.nan_to_num()).abs().mean(-1)
    return (distance * weight).sum() / weight.sum().clamp(min=1)


@exact
def rims(found: Tensor, taught: Tensor) -> Tensor:
    """Mean L1 distance of the shapes of the rims of mouth and eyes: how wide they stand open.

    Each rim is taken from its own centre, so that a shift of the whole costs nothing.
    """
    known = taught.isfinite().all(-1).all(-1)  # (B,)
    distance = found.new_zeros(len(found))
    for rim in landmarks.OPENINGS:
        ours, theirs = found[:, list(rim)], taught[:, list(rim)].nan_to_num()
        shape = (ours - ours.mean(1, keepdim=True)) - (theirs - theirs.mean(1, keepdim=True))
        distance = distance + shape.abs().mean((1, 2)) / len(landmarks.OPENINGS)
    return (distance * known).sum() / known.sum().clamp(min=1)


@exact
def person(front: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of the person and what she hides (B, 2, S, S) to a teacher's mask (B, 1, S, S).

    What has to be guessed behind her is a pixel wider than she is.
    """
    known = mask.isfinite()
    mask = mask.nan_to_num().clamp(0, 1)
    wanted = torch.cat([mask, F.max_pool2d(mask, 3, stride=1, padding=1)], 1)
    found = front.float().clamp(1e-4, 1 - 1e-4)
    return (F.binary_cross_entropy(found, wanted, reduction="none") * known).mean()


@exact
def silhouette(moved: Tensor, mask: Tensor) -> Tensor:
    """Mean L1 distance of the moved person (B, 1, S, S) to the driver's mask."""
    return ((moved - mask.nan_to_num()).abs() * mask.isfinite()).mean()


@exact
def folds(flow: Tensor, where: Tensor) -> Tensor:
    """How far a flow (B, S, S, 2) folds, weighted by `where` (B, S, S).

    What its determinant is below FLAT: a flow that turns back shows the same eye twice.
    """
    corner = flow[:, :-1, :-1]
    (a, b), (c, d) = (
        ((beyond - corner) * ((flow.shape[1] - 1) / 2)).unbind(-1)
        for beyond in (flow[:, :-1, 1:], flow[:, 1:, :-1])
    )
    where = where[:, :-1, :-1]
    return ((FLAT - (a * d - b * c)).clamp(min=0) * where).sum() / where.sum().clamp(min=1)


def strangers(model: Any, pairs: Pairs) -> Tensor:
    """What the flow does for a photo that another pair of the batch drives; there is no picture.

    It must not fold on the person, least of all on the face, and must lead from each moved landmark
    to the photo's own: people who drive each other go further than those who drive themselves.
    """
    ours = pairs.source_points
    first, motion = ours.roll(1, 0), pairs.driving_points.roll(1, 0)
    start = landmarks.shut(first, ours, adapt_scale=True)
    far = landmarks.transfer(ours, motion, start, adapt_scale=True, amplify={"head": FURTHER})
    moved = landmarks.untangle(far)
    still = torch.eye(2, 3, device=ours.device).expand(len(ours), -1, -1)
    flow = model.flow(pairs.source, ours, moved, still)
    where = inside(moved[:, list(landmarks.RIM)], *flow.shape[1:3])
    if pairs.source_person is not None:
        mask = F.adaptive_avg_pool2d(pairs.source_person.nan_to_num(), flow.shape[1])
        where = where + warp(mask, flow.detach(), padding="border")[:, 0]
    found = warp(flow.permute(0, 3, 1, 2), moved[:, None])[:, :, 0].mT  # (B, K, 2)
    seen = (moved.abs() < 1).all(-1)
    away = ((found - ours).abs().mean(-1) * seen).sum() / seen.sum().clamp(min=1)
    return away + 4 * folds(flow, where)


def equivariance(
    image: Tensor, motion: Motion, model: MotionModel, spline: ThinPlateSpline
) -> Terms:
    """Points, and frames where there are any, must follow a known deformation of the image.

    Siarohin et al. 2019, eq. 8 to 11: with Y(z) = X(T(z)), p_X = T(p_Y) and
    1 = J_X^-1 T'(p_Y) J_Y.
    """
    moved = model.track(spline.warp(image))
    terms = {"equivariance": (motion.point - spline.points(moved.point)).abs().mean()}  # type: ignore[attr-defined]
    if hasattr(motion, "frame"):
        terms["jacobian"] = from_identity(motion.frame, spline.jacobian(moved.point), moved.frame)  # type: ignore[attr-defined]
    return terms


@exact
def from_identity(frame: Tensor, slope: Tensor, moved: Tensor) -> Tensor:
    """Mean L1 distance of frame^-1 slope moved, (B, K, 2, 2) each, from the identity."""
    return (torch.eye(2, device=frame.device) - inverse_2x2(frame) @ slope @ moved).abs().mean()


@exact
def spotlight(heat: Tensor, taught: Tensor, variance: float = 0.001) -> Tensor:
    """Cross-entropy of heat maps to a Gaussian at each taught point, over its own entropy.

    heat (B, >= K, H, W) before the softmax, taught (B, K, 2). It teaches where to look long
    before the mean of a map can (compare Nibali et al. 2018, section 3.3).
    """
    known = taught.isfinite().all(-1) & (taught.abs() < 1).all(-1)  # (B, K)
    wanted = gaussians(taught.nan_to_num(), heat.shape[2], heat.shape[3], variance).flatten(2)
    wanted = wanted / wanted.sum(-1, keepdim=True).clamp(min=1e-6)  # outside there is none
    found = heat[:, : taught.shape[1]].flatten(2).log_softmax(-1)
    excess = (wanted * ((wanted + 1e-9).log() - found)).sum(-1)
    return (excess * known).sum() / known.sum().clamp(min=1)


class Guidance:
    """Keypoints alone: the detector learns the teacher's landmarks, on both images of a pair."""

    critic = None

    def __init__(self, guidance: float = 40.0, spotlight: float = 1.0, rims: float = 40.0) -> None:
        self.guidance = guidance
        self.spotlight = spotlight
        self.rims = rims

    def __call__(self, model: Any, pairs: Pairs, step: int, seed: int) -> Terms:
        heat = model.keypoints.logits(torch.cat([pairs.source, pairs.driving]))
        taught = torch.cat([pairs.source_points, pairs.driving_points])
        found = expectation(heat.flatten(2).softmax(-1).view_as(heat))
        return {
            "guidance": self.guidance * guidance(found, taught),
            "spotlight": self.spotlight * spotlight(heat, taught),
            "rims": self.rims * rims(found, taught),
        }


class Reenactment:
    """The source in the driver's pose must be the driving frame; both are of one person.

    Terms with weight 0 are left out. `perceptual_every`: steps between perceptual terms, which
    cost as much as the model; `perceptual_side`: pixels they are seen at. In the steps between,
    `details` compares close-ups of mouth and eyes, where landmarks are known in every image.
    `forced`: the default model is handed the teacher's landmarks instead of its own keypoints, so
    that motion and synthesis learn to follow points that are right. `strangers` then looks at its
    flow where the pairs of a batch drive each other, in every second step.
    """

    critic = None

    def __init__(
        self,
        pixels: float = 10.0,
        warped: float = 3.0,
        attention: float = 4.0,
        perceptual: float = 1.0,
        perceptual_every: int = 2,
        perceptual_side: int = 128,
        backbone: str = "efficientnet_lite0",
        weights: str | None = None,
        details: float = 1.0,
        guidance: float = 40.0,
        equivariance: float = 10.0,
        jacobian: float = 10.0,
        person: float = 0.0,
        forced: bool = False,
        strangers: float = 0.0,
    ) -> None:
        self.weights = {
            "pixels": pixels,
            "warped": warped,
            "perceptual": perceptual,
            "details": details,
            "guidance": guidance,
            "equivariance": equivariance,
            "jacobian": jacobian,
            "person": person,
            "strangers": strangers,
        }
        self.attention = attention
        self.forced = forced
        self.every = perceptual_every
        self.side = perceptual_side
        self.perceptual = perceptual_distance(backbone, weights) if perceptual else None

    def __call__(self, model: MotionModel, pairs: Pairs, step: int, seed: int) -> Terms:
        target = pairs.driving
        weight = torch.ones_like(target[:, :1])
        taught = torch.cat([pairs.source_points, pairs.driving_points])
        forced = self.forced and bool(taught.isfinite().all())
        out = model(pairs.source, target, *([taught] if forced else []))
        terms: Terms = {}
        if taught.isfinite().any():
            weight = attention(
                pairs.driving_points.nan_to_num(9.0), target.shape[-1], self.attention
            )
            found = torch.cat([out.source.point, out.driving.point])
            terms["guidance"] = guidance(found, taught)
        terms["pixels"] = pyramid(out.image.float(), target, weight)
        ours, theirs = pairs.source_person, pairs.driving_person
        if self.weights["person"] and ours is not None and theirs is not None:
            if out.front is None or out.silhouette is None:
                raise AnimateError("this model has no layers to teach: use loss.person=0")
            terms["person"] = person(out.front, ours) + silhouette(out.silhouette, theirs)
        terms["warped"] = pyramid(out.warped.float(), target, torch.ones_like(weight))
        if self.perceptual is not None and step % self.every == 0:
            self.perceptual.to(target.device)
            seen = (F.adaptive_avg_pool2d(x, self.side) for x in (out.image, target))
            terms["perceptual"] = self.every * self.perceptual(*seen)
        known = pairs.driving_points.isfinite().all()
        if self.perceptual is not None and self.weights["details"] and step % 2 and known:
            close = (details(x, pairs.driving_points, 64) for x in (out.image, target))
            terms["details"] = 2 * self.perceptual(*close)
        if self.weights["strangers"] and forced and step % 2:
            terms["strangers"] = strangers(model, pairs)
        if self.weights["equivariance"] and step % 2:
            spline = deformation(pairs, step, seed)
            terms |= equivariance(target, out.driving, model, spline)
        return {name: self.weights[name] * value for name, value in terms.items()}


class Published:
    """The losses of Siarohin et al. 2019, section 3.3, with the weights of their code.

    Perceptual distance at four octaves, equivariance of points and frames in every step and, where
    `adversarial` is not 0, a discriminator with feature matching. Differences from their code: the
    random deformation is a thin-plate spline with Euclidean distances and weights for each axis,
    and its derivative is in closed form.
    """

    def __init__(
        self,
        perceptual: float = 10.0,
        backbone: str = "vgg19",
        weights: str | None = None,
        equivariance: float = 10.0,
        jacobian: float = 10.0,
        adversarial: float = 0.0,
        matching: float = 10.0,
        kind: str = "least_squares",
        discriminator: dict[str, Any] | None = None,
    ) -> None:
        self.weights = {"equivariance": equivariance, "jacobian": jacobian}
        self.weight = perceptual
        self.perceptual = perceptual_distance(backbone, weights) if perceptual else None
        self.adversary = (
            Adversary(kind, adversarial, matching, discriminator or {}) if adversarial else None
        )
        self.critic = self.adversary.critic if self.adversary else None
        self.painted: tuple[Tensor, Tensor] | None = None  # of the last call, and keypoints

    def __call__(self, model: MotionModel, pairs: Pairs, step: int, seed: int) -> Terms:
        out, true = model(pairs.source, pairs.driving), pairs.driving
        found = equivariance(true, out.driving, model, deformation(pairs, step, seed))
        terms = {name: self.weights[name] * value for name, value in found.items()}
        if self.perceptual is not None:
            self.perceptual.to(true.device)
            terms["perceptual"] = self.weight * self.perceptual(out.image, true)
        if self.adversary:
            point = out.driving.point  # type: ignore[attr-defined]
            terms |= self.adversary.terms(out.image, true, point)
            self.painted = out.image.detach(), point.detach()
        return terms

    def criticise(self, critic: Any, pairs: Pairs, step: int, seed: int) -> Terms:
        assert self.adversary is not None
        assert self.painted is not None
        return self.adversary.criticise(critic, self.painted[0], pairs.driving, self.painted[1])
