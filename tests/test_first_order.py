"""The published first-order network: its layout, its formulas written out plainly, its verbs."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from plain_first_order import Plain
from torch import Tensor
from torch.nn import functional as F

from animate.errors import AnimateError
from animate.models import build
from animate.models.first_order.blocks import hull_area
from animate.models.first_order.convert import PARTS
from animate.models.first_order.discriminator import Discriminator
from animate.models.first_order.model import FirstOrder, LocalMotion, relative_size

TINY = {
    "size": 64, "keypoints": 4, "detector_width": 4, "detector_limit": 16, "detector_levels": 2,
    "motion_width": 4, "motion_limit": 16, "motion_levels": 3, "width": 4, "limit": 16,
    "residuals": 2,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def tiny(align_corners: bool = True, **changed: int | bool) -> FirstOrder:
    """A small network with every tensor random, batch statistics included."""
    g = torch.Generator().manual_seed(0)
    model = FirstOrder(**{**TINY, "align_corners": align_corners, **changed})  # type: ignore[arg-type]
    for name, value in model.state_dict().items():
        if "norm" in name and value.is_floating_point():
            spread = torch.rand(value.shape, generator=g)
            value.copy_(0.5 + spread if name.endswith(("weight", "var")) else spread - 0.5)
        elif name.endswith(("kp.weight", "mask.weight", "occlusion.weight", "final.weight")):
            value.mul_(4)  # sharp maps, or there is little to compare
        elif "jacobian" in name:
            value.add_(0.05 * torch.randn(value.shape, generator=g))
    return model.eval()


def images(count: int, size: int = 64, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    noise = torch.rand(count, 3, size // 4, size // 4, generator=g)
    return F.interpolate(noise, size=size, mode="bilinear", align_corners=True)


# The layout ------------------------------------------------------------------------------------

Shapes = dict[str, tuple[int, ...]]


def conv(name: str, outputs: int, inputs: int, side: int = 3) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, side, side), f"{name}.bias": (outputs,)}


def norm(name: str, channels: int) -> Shapes:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{p}": (channels,) for p in parts} | {f"{name}.num_batches_tracked": ()}


def block(name: str, outputs: int, inputs: int, side: int = 3) -> Shapes:
    return conv(f"{name}.conv", outputs, inputs, side) | norm(f"{name}.norm", outputs)


def blocks(name: str, channels: list[tuple[int, int]]) -> Shapes:
    return {k: v for i, c in enumerate(channels) for k, v in block(f"{name}.{i}", *c).items()}


def published_layout() -> tuple[Shapes, Shapes]:
    """Names and shapes of the two parts of the published files."""
    dense = "dense_motion_network."
    down = [(128, 44), (256, 128), (512, 256), (1024, 512), (1024, 1024)]
    up = [(1024, 1024), (512, 2048), (256, 1024), (128, 512), (64, 256)]
    generator = blocks(f"{dense}hourglass.encoder.down_blocks", down)
    generator |= blocks(f"{dense}hourglass.decoder.up_blocks", up)
    generator |= conv(f"{dense}mask", 11, 108, 7) | conv(f"{dense}occlusion", 1, 108, 7)
    generator |= {f"{dense}down.weight": (3, 1, 13, 13)} | block("first", 64, 3, 7)
    generator |= blocks("down_blocks", [(128, 64), (256, 128)])
    generator |= blocks("up_blocks", [(128, 256), (64, 128)])
    for i in range(6):
        for j in (1, 2):
            generator |= conv(f"bottleneck.r{i}.conv{j}", 256, 256)
            generator |= norm(f"bottleneck.r{i}.norm{j}", 256)
    generator |= conv("final", 3, 64, 7)
    down = [(64, 3), (128, 64), (256, 128), (512, 256), (1024, 512)]
    up = [(512, 1024), (256, 1024), (128, 512), (64, 256), (32, 128)]
    detector = blocks("predictor.encoder.down_blocks", down)
    detector |= blocks("predictor.decoder.up_blocks", up)
    detector |= conv("kp", 10, 35, 7) | conv("jacobian", 40, 35, 7)
    return generator, detector | {"down.weight": (3, 1, 13, 13)}


def published_discriminator(spectral: bool, inputs: int) -> Shapes:
    layout: Shapes = {}
    for i, (outputs, before) in enumerate(
        [(64, inputs), (128, 64), (256, 128), (512, 256), (1, 512)]
    ):
        name = f"discs.1.down_blocks.{i}.conv" if i < 4 else "discs.1.conv"
        shape = (outputs, before, 4, 4) if i < 4 else (outputs, before, 1, 1)
        layout[f"{name}.bias"] = (outputs,)
        if spectral:
            layout[f"{name}.weight_orig"], layout[f"{name}.weight_u"] = shape, (outputs,)
            layout[f"{name}.weight_v"] = (int(np.prod(shape[1:])),)
        else:
            layout[f"{name}.weight"] = shape
        if 0 < i < 4:
            layout |= dict.fromkeys(
                [f"discs.1.down_blocks.{i}.norm.{p}" for p in ("weight", "bias")], (outputs,)
            )
    return layout


def shapes(module: torch.nn.Module) -> Shapes:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def test_the_layout_is_the_published_one() -> None:
    with torch.device("meta"):
        model = build("first_order")
    generator, detector = published_layout()
    assert (len(generator), len(detector)) == (196, 75)
    wanted = zip(PARTS, (generator, detector), strict=True)
    assert shapes(model) == {f"{part}.{n}": s for part, names in wanted for n, s in names.items()}
    assert model.parameter_count() == 45_575_391 + 14_215_368


@pytest.mark.parametrize(
    ("arguments", "inputs", "parameters"),
    [({"spectral": True}, 3, 2_758_849), ({"conditioned": True}, 13, 2_769_089)],
    ids=["vox-256", "vox-adv-256"],
)
def test_the_discriminators_layouts_are_the_published_ones(
    arguments: dict[str, bool], inputs: int, parameters: int
) -> None:
    judge = Discriminator(**arguments)  # type: ignore[arg-type]
    assert shapes(judge) == published_discriminator("spectral" in arguments, inputs)
    assert sum(p.numel() for p in judge.parameters()) == parameters


def test_the_heads_have_no_padding() -> None:
    with torch.device("meta"):
        heat, frame = FirstOrder().kp_detector.maps(torch.empty(1, 3, 256, 256))
    assert heat.shape == (1, 10, 58, 58)
    assert frame.shape == (1, 10, 2, 2, 58, 58)


@pytest.fixture
def _float64() -> Iterator[None]:
    """Without rounding in the way, equal formulas agree to many digits."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("align_corners", [True, False])
def test_the_network_computes_the_papers_formulas(align_corners: bool) -> None:
    model = tiny(align_corners)
    source, driving = images(2).split(1)
    plain = Plain(model)
    poses = [plain.keypoints(image, levels=2) for image in (source, driving)]
    image, warped, occlusion = plain.render(source, *poses, levels=3, residuals=2)
    got = model(source, driving)
    for pose, motion in zip(poses, (got.source, got.driving), strict=True):
        np.testing.assert_allclose(motion.point[0], pose[0], atol=1e-5)
        np.testing.assert_allclose(motion.frame[0], pose[1], atol=1e-5)
    for name, wanted in (("image", image), ("warped", warped), ("occlusion", occlusion)):
        torch.testing.assert_close(getattr(got, name), wanted, rtol=0, atol=1e-9)
    assert image.std() > 0.02, "the comparison needs a picture"
    assert np.abs(poses[0][0] - poses[1][0]).max() > 0.02, "and motion"


@pytest.mark.usefixtures("_float64")
def test_one_map_of_jacobians_may_serve_all_keypoints() -> None:
    model = tiny(shared_jacobian=True)
    image = images(1)
    point, frame = Plain(model).keypoints(image, 2)
    motion = model.track(image)
    np.testing.assert_allclose(motion.point[0], point, atol=1e-12)
    np.testing.assert_allclose(motion.frame[0], frame, atol=1e-12)


def test_a_fresh_network_has_identity_frames() -> None:
    motion = FirstOrder(**TINY).eval().track(images(1))  # type: ignore[arg-type]
    torch.testing.assert_close(motion.frame, torch.eye(2).expand(1, 4, 2, 2))


def test_a_discriminator_judges_each_scale_and_sees_the_keypoints() -> None:
    torch.manual_seed(0)
    judge = Discriminator((1, 0.5), width=4, limit=8, levels=2, conditioned=True, keypoints=2)
    assert {name.split(".")[1] for name in judge.state_dict()} == {"1", "0-5"}
    pyramid = [images(2, 32), images(2, 16)]
    point = torch.zeros(2, 2, 2)
    (features, score), (_, half) = judge(pyramid, point)
    assert [f.shape[1] for f in features] == [8, 8]
    assert score.shape == (2, 1, 11, 11)
    assert half.shape == (2, 1, 3, 3)
    assert not torch.equal(judge(pyramid, point + 0.5)[0][1], score)


def test_spectral_norm_bounds_the_convolutions() -> None:
    judge = Discriminator(width=4, limit=8, levels=2, spectral=True).train()
    for _ in range(50):  # power iterations
        judge([images(1, 32)])
    weight = judge.discs["1"].down_blocks[0].conv.weight  # type: ignore[index, union-attr]
    largest = torch.linalg.matrix_norm(weight.flatten(1), 2)  # type: ignore[operator]
    torch.testing.assert_close(largest, torch.tensor(1.0), rtol=1e-3, atol=0)


# The four verbs --------------------------------------------------------------------------------


def test_rendering_an_image_by_its_own_pose_is_the_forward_pass() -> None:
    model, photo = tiny(), images(1)
    own = model.render(model.encode(photo), model.track(photo))
    assert torch.equal(own, model(photo, photo).image)


def test_chunks_do_not_show() -> None:
    model, photo, frames = tiny(), images(1), images(5, seed=1)
    source, motion = model.encode(photo), model.track(frames)
    moved = model.retarget(source, motion, motion[:1])
    whole = model.render(source, moved)
    assert whole.shape == (5, 3, 64, 64)
    for start, end in ((0, 2), (2, 5)):
        part = model.track(frames[start:end])
        part = model.retarget(source, part, motion[:1])
        torch.testing.assert_close(model.render(source, part), whole[start:end], rtol=0, atol=1e-5)


def test_the_first_frame_gives_the_photos_own_pose() -> None:
    model, photo, frames = tiny(), images(1), images(1, seed=1)
    source, first = model.encode(photo), model.track(frames)
    for adapt_scale in (True, False):
        own = model.retarget(source, first, first, adapt_scale=adapt_scale)
        torch.testing.assert_close(own.point, source.motion.point)
        torch.testing.assert_close(own.frame, source.motion.frame, rtol=0, atol=1e-5)


def test_absolute_motion_is_the_drivers_own() -> None:
    model, photo, frames = tiny(), images(1), images(3, seed=1)
    motion = model.track(frames)
    assert model.retarget(model.encode(photo), motion, motion[:1], relative=False) is motion


def test_relative_motion_is_the_scaled_change() -> None:
    """Against the plain formulas, scale by an independent hull (scipy where it is at hand)."""
    model, photo, frames = tiny(), images(1), images(3, seed=1)
    source, motion = model.encode(photo), model.track(frames)
    for adapt_scale in (True, False):
        moved = model.retarget(source, motion, motion[:1], adapt_scale=adapt_scale)
        own, first = source.motion, motion[0:1]
        scale = (area(own.point[0]) / area(first.point[0])) ** 0.5 if adapt_scale else 1
        for t in range(3):
            for k in range(4):
                point = own.point[0, k] + scale * (motion.point[t, k] - first.point[0, k])
                frame = motion.frame[t, k] @ first.frame[0, k].inverse() @ own.frame[0, k]
                torch.testing.assert_close(moved.point[t, k], point, rtol=0, atol=1e-5)
                torch.testing.assert_close(moved.frame[t, k], frame, rtol=1e-4, atol=1e-5)


def area(points: Tensor) -> float:
    """Hull area as the sum over all edges that have every point on their left."""
    total = 0.0
    for a in points.double():
        for b in points.double():
            side = (b - a)[0] * (points - a)[:, 1] - (b - a)[1] * (points - a)[:, 0]
            if not torch.equal(a, b) and bool((side >= -1e-9).all()):
                total += float(a[0] * b[1] - a[1] * b[0]) / 2
    return total


def test_the_hulls_area() -> None:
    square = torch.tensor([[0.0, 0], [2, 0], [2, 2], [0, 2], [1, 1], [1, 0], [0, 0]])
    assert hull_area(square) == 4
    assert hull_area(square.flip(0)) == 4
    assert hull_area(square[:2]) == 0
    assert hull_area(torch.ones(3, 2)) == 0
    for seed in range(20):
        points = torch.randn(10, 2, generator=torch.Generator().manual_seed(seed))
        assert hull_area(points) == pytest.approx(area(points), rel=1e-5)


def test_a_scale_without_area_is_an_error() -> None:
    with pytest.raises(AnimateError, match="adapt_scale=false"):
        relative_size(torch.rand(4, 2), torch.ones(4, 2))


def test_fusing_changes_nothing_but_the_speed() -> None:
    model, (photo, frame) = tiny(), images(2).split(1)
    fused = copy.deepcopy(model).fuse()
    assert sum("norm" in name for name in fused.state_dict()) == 2 * 5  # norm1 of residual blocks
    torch.testing.assert_close(
        fused(photo, frame).image, model(photo, frame).image, rtol=0, atol=1e-5
    )
    assert fused.fuse() is fused


def test_training_reaches_every_parameter() -> None:
    model = tiny().train()
    with torch.enable_grad():
        got = model(*images(4).split(2))
        (got.image.mean() + got.warped.square().mean()).backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None]
    assert not idle


def test_poses_are_sliced_together() -> None:
    motion = LocalMotion(torch.rand(3, 4, 2), torch.rand(3, 4, 2, 2))
    assert len(motion[1:]) == 2
    assert torch.equal(motion[1:].frame, motion.frame[1:])
