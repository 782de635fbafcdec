"""Losses of the default model: for its keypoints alone, and for reenactment as a whole."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from animate.data.pairs import Pairs
from animate.errors import AnimateError
from animate.models.contract import MotionModel
from animate.models.geometry import (
    expectation,
)
from animate.training.losses.landmark_terms import (
    attention,
    details,
    guidance,
    person,
    rims,
    silhouette,
    spotlight,
    strangers,
)
from animate.training.losses.perceptual import backbone as perceptual_distance
from animate.training.losses.terms import Terms, deformation, equivariance, pyramid


class KeypointLoss:
    """Trains the keypoint detector alone, on the teacher's landmarks of both images of a pair."""

    discriminator = None

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


class GatedLoss:
    """Compares the source in the driver's pose with the driving frame; both show one person.

    Terms with weight 0 are left out. `perceptual_every`: a perceptual term, which costs as much as
    the model, every so many steps; `perceptual_side`: its image side in pixels. In odd steps
    `details` compares close-ups of mouth and eyes, if all images of the batch have landmarks.
    `forced`: the default model gets the teacher's landmarks instead of its own keypoints, so that
    motion and synthesis learn from correct points. `strangers` then regularises the flow in odd
    steps, with the pairs of the batch driving each other.
    """

    discriminator = None

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
                raise AnimateError("this model has no foreground layer to train: use loss.person=0")
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
