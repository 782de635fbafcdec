"""Keypoint detector of the default motion model, trained on the output of a landmark model."""

from __future__ import annotations

from torch import Tensor, nn

from animate.models.first_order_gated.blocks import ConvNorm, UNet, fit
from animate.models.first_order_gated.int8 import real
from animate.models.geometry import exact, moments

VIEW = 256  # side of the image that the detector sees, pixels


class KeypointDetector(nn.Module):
    """Keypoints as expectations of heat maps; the image is seen at VIEW x VIEW pixels.

    The finest level stays in float32: in fewer bits keypoints jitter visibly more
    (scripts/benchmarks/jitter.py measures it).
    """

    def __init__(self, points: int) -> None:
        super().__init__()
        self.stem = ConvNorm(3, 32, kernel=6, stride=4)  # lids and lips need every pixel
        self.body = UNet(32, (32, 64, 128, 192), 32)
        self.heat = nn.Conv2d(32, points, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.with_spread(image)[0]

    def with_spread(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Keypoints (B, K, 2) and the spread of their heat maps (B, K), in half images."""
        heat = self.logits(image)
        return moments(heat.flatten(2).softmax(-1).view_as(heat))

    def logits(self, image: Tensor) -> Tensor:
        """Heat maps before the softmax, (B, K, VIEW/4, VIEW/4)."""
        finest = self._finest(image)
        return self._heat(self.body.below(finest), finest)

    @exact
    def _finest(self, image: Tensor) -> Tensor:
        return self.body.first(self.stem(fit(image, VIEW) - 0.5))

    @exact
    def _heat(self, below: Tensor, finest: Tensor) -> Tensor:
        return self.heat(self.body.join(real(below).float(), finest))
