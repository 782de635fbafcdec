"""What keypoints leave over is seen between pictures of one scene, and made up of nothing."""

import pytest
import torch
from torch.nn import functional as F

from animate.models.first_order_gated.camera import SIDE
from animate.models.first_order_gated.flow_refinement import correct, moved, trust
from animate.models.geometry import grid


def scene(seed: int, cells: int = 20) -> torch.Tensor:
    """A smooth random picture, (1, 1, SIDE, SIDE) in [0, 1]."""
    coarse = torch.rand(1, 1, cells, cells, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, SIDE, mode="bicubic", align_corners=True).clamp(0, 1)


def bend(seed: int, pixels: float) -> torch.Tensor:
    """The identity flow, bent by up to some pixels, (1, SIDE, SIDE, 2)."""
    coarse = torch.rand(1, 2, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    shift = F.interpolate(coarse, SIDE, mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    return grid(SIDE, SIDE) + shift * pixels * 2 / (SIDE - 1)


STILL = grid(SIDE, SIDE)[None]
WITHIN = slice(6, -6)  # what has come in at the rim can't be found


@pytest.mark.parametrize("seed", range(3))
def test_a_bend_is_found(seed: int) -> None:
    truth, ours = bend(seed, 2.5), scene(seed)
    theirs = moved(ours, truth)
    found = correct(STILL, ours, theirs)

    def off(flow: torch.Tensor) -> float:
        return float((flow - truth)[:, WITHIN, WITHIN].norm(dim=-1).mean())

    assert off(found) < off(STILL) / 4
    assert trust(STILL, found, ours, theirs) == 1


def test_what_fits_is_left_alone() -> None:
    flow, ours = bend(7, 3), scene(7)
    found = correct(flow, ours, moved(ours, flow))
    assert (found - flow)[:, WITHIN, WITHIN].abs().max() < 0.5 * 2 / SIDE


@pytest.mark.parametrize("seed", range(3))
def test_of_two_scenes_nothing_is_made(seed: int) -> None:
    ours, theirs = scene(seed), scene(seed + 50)
    found = correct(STILL, ours, theirs)
    assert trust(STILL, found, ours, theirs) == 0


def test_frames_do_not_mind_each_other() -> None:
    ours = scene(1)
    flows = torch.cat([STILL, bend(2, 1)])
    theirs = torch.cat([moved(ours, bend(3, 2)), scene(9)])
    both = correct(flows, ours, theirs)
    for i in range(2):
        assert torch.equal(both[i : i + 1], correct(flows[i : i + 1], ours, theirs[i : i + 1]))
