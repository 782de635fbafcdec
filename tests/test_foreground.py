"""Loose hair goes with the head, and leaves nothing behind."""

import pytest
import torch
from torch import Tensor

from animate.faces import mesh
from animate.models.first_order_gated.foreground import background, loose_hair

SIDE = 128
GREY, HAIR = 0.8, 0.2
HEAD = slice(40, 88), slice(44, 84)  # rows and columns


def portrait(noise: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """A photo of a dark head with strands beside it and a thing far away, its hole, its points."""
    generator = torch.Generator().manual_seed(0)
    photo = GREY + noise * torch.randn(1, 3, SIDE, SIDE, generator=generator)
    photo[..., 46:60, 38:40] = HAIR  # strands
    photo[..., 35:37, 50:70] = HAIR
    photo[..., 90:100, 38:40] = HAIR  # below the chin
    photo[..., 10:14, 10:14] = HAIR
    hole = torch.zeros(1, 1, SIDE, SIDE)
    photo[..., HEAD[0], HEAD[1]], hole[..., HEAD[0], HEAD[1]] = HAIR, 1
    point = torch.zeros(1, len(mesh.TAUGHT), 2)
    point[:, mesh.TAUGHT.index(152), 1] = 2 * HEAD[0].stop / SIDE - 1
    return photo, hole, point


def test_strands_before_a_plain_background_are_the_persons() -> None:
    photo, hole, point = portrait()
    strands = loose_hair(photo, hole, point)
    assert strands[..., 46:60, 38:40].min() == strands[..., 35:37, 50:70].min() == 1
    assert strands[..., 89:, :].max() == strands[..., 8:16, 8:16].max() == 0
    behind = background(photo, torch.maximum(hole, strands))
    torch.testing.assert_close(
        behind[..., 30:80, 30:98], torch.full((1, 3, 50, 68), GREY), atol=0.02, rtol=0
    )


@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_nothing_tells_strands_from_a_busy_background(noise: float) -> None:
    photo, hole, point = portrait(noise)
    assert not loose_hair(photo, hole, point).any()
