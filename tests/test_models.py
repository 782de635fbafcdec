"""The contract, held by every motion model in the registry."""

import pytest
import torch

from animate import models
from animate.errors import AnimateError
from animate.models.first_order_gated import model as first_order_gated

SMALL = {
    "first_order": {
        "size": 128,
        "detector_width": 4,
        "motion_width": 4,
        "width": 4,
        "detector_levels": 3,
        "motion_levels": 3,
        "residuals": 1,
    },
    "first_order_gated": {"size": 128},
}


@pytest.fixture(scope="module", params=models.REGISTRY)
def model(request):
    torch.manual_seed(0)
    return models.build(request.param, **SMALL[request.param]).eval()


@pytest.fixture(scope="module")
def frames(model):
    drawn = torch.rand(4, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(drawn, model.size, mode="bilinear")


@torch.inference_mode()
def test_every_frame_has_a_pose_and_every_pose_a_picture(model, frames):
    source = model.encode(frames[:1])
    motion = model.track(frames)
    image = model.render(source, motion)
    assert len(motion) == len(frames)
    assert image.shape[:2] == (4, 3)
    assert image.shape[2] == image.shape[3] >= model.size
    assert 0 <= image.min() <= image.max() <= 1


@torch.inference_mode()
def test_how_frames_are_grouped_never_shows(model, frames):
    source = model.encode(frames[:1])
    motion = model.track(frames)
    together = model.render(source, motion)
    apart = torch.cat([model.render(source, model.track(f[None])) for f in frames])
    close = {"atol": 5e-4, "rtol": 0}  # float32 rounds by how a processor splits a batch: to 1.5e-4
    torch.testing.assert_close(apart, together, **close)
    torch.testing.assert_close(model.render(source, motion[1:3]), together[1:3], **close)


@torch.inference_mode()
@pytest.mark.parametrize("adapt_scale", [True, False])
def test_a_driver_who_does_not_move_leaves_the_photo_as_it_is(model, frames, adapt_scale):
    source = model.encode(frames[:1])
    own = model.render(source, model.track(frames[:1]))
    still = model.track(frames[1:2])
    kept = model.retarget(source, still, still, relative=True, adapt_scale=adapt_scale)
    torch.testing.assert_close(model.render(source, kept), own, atol=1e-3, rtol=0)


@torch.inference_mode()
def test_absolute_motion_is_the_drivers(model, frames):
    source, motion = model.encode(frames[:1]), model.track(frames)
    assert model.retarget(source, motion, motion[:1], relative=False) is motion


@torch.inference_mode()
def test_training_sees_the_network_that_renders(model, frames, monkeypatch):
    monkeypatch.setattr(first_order_gated, "trust", lambda *pictures: 0.0)  # seen by no network
    monkeypatch.setattr(
        first_order_gated, "rigid_skull_flow", lambda flow, *points: flow
    )  # nor is this
    out = model(frames[:1], frames[1:2])
    image = model.render(model.encode(frames[:1]), model.track(frames[1:2]))
    torch.testing.assert_close(out.image.clamp(0, 1), image, atol=1e-4, rtol=0)
    assert out.warped.shape == frames[:1].shape


def test_an_unknown_model_or_argument_is_one_line():
    with pytest.raises(AnimateError, match="use one of first_order"):
        models.build("second_order")
    with pytest.raises(AnimateError, match="wrong arguments"):
        models.build("first_order", colour="blue")
