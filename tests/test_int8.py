"""Convolutions of bytes give what the floats that those stand for would, to half a step."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from conftest import needs_vnni
from torch import Tensor, nn
from torch.nn import functional as F

from animate import checkpoints
from animate.faces import Centre, cut
from animate.inference.predictor import Predictor
from animate.media import clips
from animate.media.photos import read_photo
from animate.models.first_order_gated.blocks import (
    ConvNorm,
    Residual,
    UNet,
    WithPicture,
    beside,
    fuse,
)
from animate.models.first_order_gated.int8 import CEILING, STEP, Conv, pack, plus, real, to_bytes
from animate.options import Retarget


@pytest.fixture(autouse=True)
def _no_gradients():  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


def settled(module: nn.Module) -> nn.Module:
    """With batch statistics of its own, ready for inference."""
    with torch.no_grad():
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.running_mean.normal_(0, 0.3)  # type: ignore[union-attr]
                norm.running_var.uniform_(0.2, 0.5)  # type: ignore[union-attr]
                norm.weight.uniform_(0.5, 1.5)
    fuse(module.eval())
    return module


def features(channels: int = 8, side: int = 12) -> Tensor:
    """Floats that bytes stand for exactly."""
    return torch.randint(0, 120, (2, channels, side, side)) * STEP


def rounded(weight: Tensor) -> Tensor:
    """Weights as they are when packed."""
    scale = weight.abs().amax((1, 2, 3), keepdim=True) / 127
    return (weight / scale).round() * scale


def test_bytes_and_floats_stand_for_each_other() -> None:
    x = features()
    torch.testing.assert_close(real(to_bytes(x)), x)
    assert to_bytes(to_bytes(x)).dtype is torch.uint8
    assert real(x) is x
    between = torch.rand(1000) * CEILING
    assert (real(to_bytes(between)) - between).abs().max() <= STEP / 2 + 1e-6
    assert to_bytes(torch.tensor([-1.0, 2 * CEILING])).tolist() == [0, 255]


def test_sums_and_neighbours_stay_bytes_and_floats_stay_floats() -> None:
    x, y = features(), torch.rand(2, 8, 12, 12)
    assert torch.equal(plus(x, y), x + y)
    torch.testing.assert_close(real(plus(to_bytes(x), y)), x + y, atol=STEP / 2 + 1e-6, rtol=0)
    assert beside(x, y).dtype is torch.float32
    both = beside(to_bytes(x), y)
    assert both.dtype is torch.uint8
    torch.testing.assert_close(real(both), torch.cat([x, y], 1), atol=STEP / 2 + 1e-6, rtol=0)


@needs_vnni
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2)])
def test_a_packed_convolution_is_that_of_its_rounded_weights(kernel: int, stride: int) -> None:
    module, x = settled(ConvNorm(8, 5, kernel, stride)), features()
    conv = module.conv
    wanted = F.relu(F.conv2d(x, rounded(conv.weight), conv.bias, stride, (kernel - 1) // 2))
    assert wanted.max() < CEILING
    pack(module)
    for given in (x, to_bytes(x)):
        found = module(given)
        assert found.dtype is torch.uint8
        torch.testing.assert_close(real(found), wanted, atol=STEP / 2 + 1e-4, rtol=0)


@needs_vnni
def test_one_without_a_relu_gives_floats() -> None:
    conv, x = Conv(8, 3, 1), features()
    wanted = F.conv2d(x, rounded(conv.weight), conv.bias)
    assert wanted.min() < 0
    pack(conv)
    torch.testing.assert_close(conv(x), wanted, atol=1e-4, rtol=1e-4)


@needs_vnni
def test_a_shortcut_is_added_before_the_relu() -> None:
    module, x = settled(Residual(8)), features()
    one, two = (block.conv for block in module.body)
    inner = F.relu(F.conv2d(x, rounded(one.weight), one.bias, padding=1))
    inner = real(to_bytes(inner))
    wanted = F.relu(x + F.conv2d(inner, rounded(two.weight), two.bias, padding=1))
    pack(module)
    found = real(module(to_bytes(x)))
    torch.testing.assert_close(found, wanted.clamp(max=CEILING), atol=0.1, rtol=0)
    assert (found - wanted.clamp(max=CEILING)).abs().mean() < STEP


@needs_vnni
def test_a_packed_unet_is_about_what_it_was() -> None:
    module = settled(UNet(8, (8, 16, 24), 6))
    bytewise = copy.deepcopy(module)
    pack(bytewise)
    x = features(side=16)
    wanted = module(x)
    error = real(bytewise(to_bytes(x))) - wanted
    assert error.square().mean().sqrt() < 0.05 * wanted.square().mean().sqrt()


@pytest.mark.parametrize("packed", [False, pytest.param(True, marks=needs_vnni)])
def test_a_picture_beside_features_is_four_times_its_channels(packed: bool) -> None:
    module, x, picture = WithPicture(8, 5), features(), torch.rand(2, 3, 24, 24) - 0.5
    settled(module)
    pixels = module.pixels.weight.unflatten(3, (3, 2)).unflatten(2, (3, 2))  # (5, 3, y, 2, x, 2)
    pixels = pixels.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)  # (5, 12, 3, 3)
    shown = rounded(module.conv.weight) if packed else module.conv.weight
    weight = torch.cat([shown, pixels], 1)
    seen = torch.cat([x, F.pixel_unshuffle(picture, 2)], 1)
    wanted = F.relu(F.conv2d(seen, weight, module.conv.bias, padding=1))
    if packed:
        pack(module)
    torch.testing.assert_close(module(x, picture), wanted, atol=1e-4, rtol=1e-4)


@needs_vnni
def test_the_bundled_model_moves_as_in_floats() -> None:
    examples = Path(__file__).parent.parent / "docs" / "examples"
    face = Centre()
    photo = read_photo(examples / "photo.jpg")
    frames = list(clips.open_clip(examples / "clip.mp4").frames())[:80:20]
    results = []
    for precision in ("float32", "int8"):
        network, _ = checkpoints.load("first_order_gated")
        predictor = Predictor.of(network, precision)
        source = predictor.encode(cut(photo, face.locate(photo), network.size))
        motion = predictor.track([cut(f, face.locate(f), network.size) for f in frames])
        moved = predictor.retarget(source, motion, motion[:1], Retarget())
        results.append((motion.point, torch.from_numpy(predictor.render(source, moved)).float()))  # type: ignore[attr-defined]
    (point, image), (rough_point, rough_image) = results
    assert (rough_point - point).abs().mean() * 128 < 0.1  # pixels of 256
    assert (rough_image - image).square().mean() < 255**2 / 10**4  # 40 dB
