"""The published first-order loss (Siarohin et al. 2019, section 3.3)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from animate.data.pairs import Pairs
from animate.models.contract import MotionModel
from animate.training.losses.adversarial import Adversary
from animate.training.losses.perceptual import backbone as perceptual_distance
from animate.training.losses.terms import Terms, deformation, equivariance


class FirstOrderLoss:
    """The losses of Siarohin et al. 2019, section 3.3, with the weights of their code.

    In every step: perceptual distance at four octaves, equivariance of points and frames and, if
    `adversarial` is not 0, a discriminator with feature matching. Differences from their code: the
    random deformation is a thin-plate spline with Euclidean distances and separate weights per
    axis, and its derivative is in closed form.
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
        self.discriminator = self.adversary.discriminator if self.adversary else None
        self.generated: tuple[Tensor, Tensor] | None = None  # image and keypoints of the last call

    def __call__(self, model: MotionModel, pairs: Pairs, step: int, seed: int) -> Terms:
        out, true = model(pairs.source, pairs.driving), pairs.driving
        distances = equivariance(true, out.driving, model, deformation(pairs, step, seed))
        terms = {name: self.weights[name] * value for name, value in distances.items()}
        if self.perceptual is not None:
            self.perceptual.to(true.device)
            terms["perceptual"] = self.weight * self.perceptual(out.image, true)
        if self.adversary:
            point = out.driving.point  # type: ignore[attr-defined]
            terms |= self.adversary.terms(out.image, true, point)
            self.generated = out.image.detach(), point.detach()
        return terms

    def discriminator_loss(self, discriminator: Any, pairs: Pairs, step: int, seed: int) -> Terms:
        assert self.adversary is not None
        assert self.generated is not None
        return self.adversary.discriminator_loss(
            discriminator, self.generated[0], pairs.driving, self.generated[1]
        )
