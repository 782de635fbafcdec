"""Adversarial and perceptual losses are their papers', and each teaches its own network alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from animate.errors import AnimateError
from animate.training.losses import perceptual
from animate.training.losses.adversarial import KINDS, Adversary


def test_the_two_kinds_on_scores_worked_out_by_hand() -> None:
    true, generated = torch.tensor([2.0, 0.0]), torch.tensor([-2.0, 1.0])
    of_discriminator, of_generator = KINDS["least_squares"]
    assert of_discriminator(true, generated) == 1 + 2.5  # ((-1)^2 + 1) / 2, (4 + 1) / 2
    assert of_generator(generated) == 4.5  # (9 + 0) / 2
    of_discriminator, of_generator = KINDS["hinge"]
    assert of_discriminator(true, generated) == 0.5 + 1  # (0 + 1) / 2, (0 + 2) / 2
    assert of_generator(generated) == 0.5


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_nothing_tells_a_true_picture_from_itself(kind: str) -> None:
    adversary = Adversary(kind, 1.0, 10.0, {"width": 4, "levels": 2, "scales": [1, 0.5]})
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    terms = adversary.terms(image, image, torch.zeros(1, 10, 2))
    assert terms["matching"] == 0


def test_who_judges_does_not_teach_the_painter() -> None:
    adversary = Adversary("hinge", 1.0, 10.0, {"width": 4, "levels": 2, "conditioned": True})
    drawn = torch.Generator().manual_seed(0)
    generated = torch.rand(1, 3, 32, 32, generator=drawn, requires_grad=True)
    point = torch.zeros(1, 10, 2, requires_grad=True)
    true = torch.rand(1, 3, 32, 32, generator=drawn)
    adversary.discriminator_loss(adversary.discriminator, generated, true, point)[
        "discriminator"
    ].backward()
    assert generated.grad is None
    assert point.grad is None
    sum(adversary.terms(generated, true, point).values()).backward()  # type: ignore[union-attr]
    assert generated.grad is not None
    assert point.grad is None  # keypoints don't move to please it


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(AnimateError, match="hinge"):
        Adversary("wasserstein", 1.0, 10.0, {})


def test_the_pyramid_is_the_published_low_pass() -> None:
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    x = torch.arange(13.0) - 6
    line = torch.exp(-(x**2) / (2 * 1.5**2))
    kernel = torch.outer(line, line)
    kernel = (kernel / kernel.sum()).expand(3, 1, 13, 13)
    expected = F.conv2d(image, kernel, padding=6, groups=3)[:, :, ::4, ::4]
    torch.testing.assert_close(perceptual.shrink(image, 2), expected)
    assert perceptual.shrink(image, 0) is image


def test_vgg_is_torchvisions_network_and_flat_where_pictures_agree() -> None:
    torch.manual_seed(0)
    vgg = perceptual.Vgg("random", octaves=2)
    names = [name for name in vgg.state_dict() if name.endswith("weight")]
    layers = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28)  # torchvision's numbers, to conv5_1
    assert names == [f"features.{i}.weight" for i in layers]
    image = torch.rand(1, 3, 32, 32)
    assert vgg(image, image) == 0
    assert vgg(image, 1 - image) > 0
    assert [tap.shape[1] for tap in vgg.taps(image)] == [64, 128, 256, 512, 512]


def test_vgg_weights_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(AnimateError, match=r"loss\.weights=download"):
        perceptual.vgg_weights(None)
    torch.save({}, tmp_path / "vgg.pth")
    with pytest.raises(AnimateError, match="sha256 begins with"):
        perceptual.vgg_weights(tmp_path / "vgg.pth")
    start = hashlib.sha256((tmp_path / "vgg.pth").read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(perceptual, "VGG", f"vgg19-{start}.pth")
    assert perceptual.vgg_weights(tmp_path / "vgg.pth") == {}
