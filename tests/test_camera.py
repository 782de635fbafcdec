"""The camera's motion is found from the background, and made up of nothing."""

import pytest
import torch
from torch.nn import functional as F

from animate.models.first_order_gated.camera import SIDE, affine, align
from animate.models.geometry import warp


def scene(seed: int) -> torch.Tensor:
    """A smooth random picture, (1, 1, SIDE, SIDE) in [0, 1]."""
    coarse = torch.rand(1, 1, 10, 10, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, SIDE, mode="bicubic", align_corners=True).clamp(0, 1)


def seen_by(camera: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
    flow = F.affine_grid(camera, [len(camera), 1, SIDE, SIDE], align_corners=True)
    return warp(picture.expand(len(camera), -1, -1, -1), flow, padding="border")


EVERYWHERE = torch.ones(1, 1, SIDE, SIDE)


@pytest.mark.parametrize("seed", range(3))
def test_a_pan_a_zoom_and_a_roll_are_found(seed):
    truth = affine(torch.tensor([[0.0, 0.0, 0.2, -0.1], [0.1, 0, 0, 0], [-0.03, 0.06, 0.05, 0.05]]))
    found = align(seen_by(truth, scene(seed)), scene(seed), EVERYWHERE)
    assert (found - truth).abs().max() < 0.02  # two thirds of a small pixel


def test_exposure_and_somebody_who_walks_by_do_not_disturb():
    truth = affine(torch.tensor([[0.02, 0.01, 0.12, 0.06]]))
    theirs = 0.8 * seen_by(truth, scene(4)) + 0.1
    theirs[..., 20:40, 5:20] = 0.9
    assert (align(theirs, scene(4), EVERYWHERE) - truth).abs().max() < 0.03


def test_a_camera_that_stands_still_is_left_alone():
    noise = 0.01 * torch.randn(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    found = align(scene(5) + noise, scene(5), EVERYWHERE)
    assert torch.equal(found, torch.eye(2, 3)[None])


@pytest.mark.parametrize("seed", range(5))
def test_another_scene_or_none_is_no_motion(seed):
    still = torch.eye(2, 3)[None]
    other = align(scene(10 + seed), scene(20 + seed), EVERYWHERE)
    assert (other - still).abs().max() < 0.3
    flat = torch.full((1, 1, SIDE, SIDE), 0.5)
    assert torch.equal(align(flat, scene(seed), EVERYWHERE), still)
    hidden = torch.zeros(1, 1, SIDE, SIDE)
    moved = seen_by(affine(torch.tensor([[0, 0, 0.2, 0.0]])), scene(seed))
    assert torch.equal(align(moved, scene(seed), hidden), still)
