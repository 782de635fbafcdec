"""Loss of the drawn inside of the mouth, against what driving frames show between the lips."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from animate.data.pairs import Pairs
from animate.models.first_order_gated.mouth import AROUND, inner, mouth_crop, posed
from animate.models.first_order_gated.mouth_frame import opened
from animate.training.losses.adversarial import gan_losses

OPEN = 0.02  # mean lip gap of an open mouth, in half sides: 2.5 pixels of 256
WIDE = 0.06  # mean lip gap from which a mouth has full weight, in half sides


class MouthDiscriminator(nn.Module):
    """Scores whether mouth sheets (B, 3, h, w) are true, given the photo's mouth and the pose.

    The pose enters by projection (Miyato and Koyama 2018).
    """

    def __init__(self) -> None:
        super().__init__()
        steps = ((6, 48), (48, 96), (96, 128))
        self.steps = nn.ModuleList(spectral_norm(nn.Conv2d(a, b, 4, 2, 1)) for a, b in steps)
        self.score = spectral_norm(nn.Conv2d(128, 1, 3, padding=1))
        self.pose = nn.Sequential(
            nn.Linear(2 * len(AROUND), 128), nn.LeakyReLU(0.2), nn.Linear(128, 128)
        )

    def forward(self, sheet: Tensor, photo: Tensor, pose: Tensor) -> tuple[list[Tensor], Tensor]:
        """Features of every step, and the map of scores."""
        x, features = torch.cat([sheet, photo], 1) - 0.5, []
        for step in self.steps:
            x = F.leaky_relu(step(x), 0.2)
            features.append(x)
        fits = (x * self.pose(pose)[..., None, None]).mean(1, keepdim=True)
        return features, self.score(x) + fits / 4


class MouthLoss:
    """Loss of mouth sheets: pixels at full and quarter size, adversarial, and feature matching.

    Landmarks are the teacher's. Pairs without them, or with closed lips in the driving frame, are
    left out. `kind`: see adversarial.py.
    """

    def __init__(
        self,
        pixels: float = 10.0,
        adversarial: float = 0.3,
        matching: float = 0.6,
        kind: str = "hinge",
    ) -> None:
        self.weights = {"pixels": pixels, "adversarial": adversarial, "matching": matching}
        self.of_discriminator, self.of_generator = gan_losses(kind)
        self.discriminator = MouthDiscriminator()
        self.last: tuple[Tensor, ...] = ()  # sheets drawn and true, photo, pose of the last call

    def __call__(self, model: Any, pairs: Pairs, step: int, seed: int) -> dict[str, Tensor]:
        ours, theirs = pairs.source_points, pairs.driving_points
        known = ours.isfinite().all(2).all(1) & theirs.isfinite().all(2).all(1)
        gap = opened(theirs.nan_to_num())
        rows = known & (gap > OPEN)
        self.last = ()
        if not rows.any():
            return dict.fromkeys(self.weights, nothing(model.mouth))
        ours, theirs = ours[rows], theirs[rows]
        drawn = model.mouth.sheet(model.mouth.look(pairs.source[rows], ours), theirs)
        true, photo = inner(pairs.driving[rows], theirs), mouth_crop(pairs.source[rows], ours)
        weight = (gap[rows] / WIDE).clamp(max=1)[:, None, None, None]
        apart = [
            (weight * (F.avg_pool2d(drawn, n) - F.avg_pool2d(true, n)).abs()).mean() for n in (1, 4)
        ]
        self.last = drawn.detach(), true, photo, posed(theirs)
        features, score = self.discriminator(drawn, *self.last[2:])
        with torch.no_grad():
            targets, _ = self.discriminator(*self.last[1:])
        matched = [
            (a.float() - b.float()).abs().mean() for a, b in zip(features, targets, strict=True)
        ]
        terms = {
            "pixels": torch.stack(apart).sum(),
            "adversarial": self.of_generator(score.float()),
            "matching": torch.stack(matched).sum(),
        }
        return {name: self.weights[name] * value for name, value in terms.items()}

    def discriminator_loss(
        self, discriminator: Any, pairs: Pairs, step: int, seed: int
    ) -> dict[str, Tensor]:
        if not self.last:
            return {"discriminator": nothing(discriminator)}
        drawn, true, *shown = self.last
        (_, theirs), (_, ours) = discriminator(true, *shown), discriminator(drawn, *shown)
        return {"discriminator": self.of_discriminator(theirs.float(), ours.float())}


def nothing(network: nn.Module) -> Tensor:
    """A zero that depends on all weights: DDP needs a gradient of each in every process."""
    return 0 * torch.stack([p.sum() for p in network.parameters()]).sum()
