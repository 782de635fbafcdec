"""Adversarial losses of the model and its discriminator, with feature matching."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from animate.errors import AnimateError
from animate.models.first_order.discriminator import Discriminator
from animate.models.geometry import precise
from animate.training.losses.perceptual import shrink

# By kind: the discriminator's loss, given the scores of true and of generated images,
# and the model's loss, given the scores of generated images.
KINDS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "least_squares": (  # Mao et al. 2017, as Siarohin et al. 2019 use it
        lambda true, generated: ((1 - true) ** 2).mean() + (generated**2).mean(),
        lambda generated: ((1 - generated) ** 2).mean(),
    ),
    "hinge": (  # Lim and Ye 2017
        lambda true, generated: F.relu(1 - true).mean() + F.relu(1 + generated).mean(),
        lambda generated: -generated.mean(),
    ),
}


def gan_losses(kind: str) -> tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """The two losses of an adversarial `kind`. Raises AnimateError if the kind is unknown."""
    if kind not in KINDS:
        raise AnimateError(f"unknown loss.kind={kind}: use {' or '.join(KINDS)}")
    return KINDS[kind]


class Adversary:
    """Adversarial terms from a patch discriminator that sees images and their keypoints."""

    def __init__(
        self, kind: str, weight: float, features: float, discriminator: dict[str, Any]
    ) -> None:
        self.discriminator = Discriminator(**discriminator)
        self.octaves = [round(-torch.tensor(float(s)).log2().item()) for s in
                        discriminator.get("scales", (1,))]  # fmt: skip
        self.weight, self.features = weight, features
        self.of_discriminator, self.of_generator = gan_losses(kind)

    def views(self, image: Tensor) -> list[Tensor]:
        return [shrink(precise(image), octave) for octave in self.octaves]

    def terms(self, generated: Tensor, true: Tensor, point: Tensor) -> dict[str, Tensor]:
        """The model's terms: its adversarial loss, and the L1 distance between the discriminator's
        features of generated and true images (Wang et al. 2018, eq. 4)."""
        point = point.detach()
        ours = self.discriminator(self.views(generated), point)
        with torch.no_grad():
            theirs = self.discriminator(self.views(true), point)
        on_generated = torch.stack([self.of_generator(precise(score)) for _, score in ours]).sum()
        apart = [
            (precise(a) - precise(b)).abs().mean()
            for (features, _), (targets, _) in zip(ours, theirs, strict=True)
            for a, b in zip(features, targets, strict=True)
        ]
        return {
            "adversarial": self.weight * on_generated,
            "matching": self.features * torch.stack(apart).sum(),
        }

    def discriminator_loss(
        self, discriminator: Any, generated: Tensor, true: Tensor, point: Tensor
    ) -> dict[str, Tensor]:
        """The discriminator's loss."""
        ours = discriminator(self.views(generated.detach()), point.detach())
        theirs = discriminator(self.views(true), point.detach())
        losses = [
            self.of_discriminator(precise(true_score), precise(score))
            for (_, score), (_, true_score) in zip(ours, theirs, strict=True)
        ]
        return {"discriminator": torch.stack(losses).sum()}
