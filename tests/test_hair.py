"""Hair goes with the skull, and a head that the photo cuts ends round."""

import pytest
import torch

from animate.faces import mesh
from animate.models.first_order_gated.hair import (
    BRIDGE,
    CHIN,
    SIDES,
    SPEAKING,
    crown_mask,
    expression_mask,
    face_surroundings,
    mirrored,
    rigid_skull_flow,
)
from animate.models.geometry import grid

SIDE = 64
HAIR = (slice(None), slice(0, 8))  # above a face in the middle
JUNK = torch.rand(1, SIDE, SIDE, 2, generator=torch.Generator().manual_seed(1))


def face() -> torch.Tensor:
    """Landmarks on an oval, (1, K, 2): the rim in its order from the forehead, the rest within."""
    point = torch.rand(1, len(mesh.TAUGHT), 2, generator=torch.Generator().manual_seed(2)) / 5
    turn = torch.arange(len(mesh.RIM)) * (2 * torch.pi / len(mesh.RIM))
    point[0, list(mesh.RIM)] = torch.stack([0.4 * turn.sin(), -0.5 * turn.cos()], -1)
    point[0, BRIDGE] = torch.tensor([0.0, -0.1])
    return point


def similarity(point: torch.Tensor) -> torch.Tensor:
    turn = torch.tensor([[0.96, 0.28], [-0.28, 0.96]])
    return 1.1 * point @ turn.T + torch.tensor([0.1, -0.05])


def test_hair_follows_the_sides_of_the_head() -> None:
    driving = face()
    flow = rigid_skull_flow(JUNK, similarity(driving), driving)
    torch.testing.assert_close(flow[HAIR], similarity(grid(SIDE, SIDE))[None][HAIR])


def test_a_face_that_turns_leaves_hair_where_it_is() -> None:
    driving = face()
    source = driving.clone()
    rest = [n for n in range(driving.shape[1]) if n not in SIDES]
    source[:, rest] += 0.2
    torch.testing.assert_close(
        rigid_skull_flow(JUNK, source, driving)[HAIR],
        grid(SIDE, SIDE)[None][HAIR],
        atol=1e-5,
        rtol=0,
    )


def test_the_face_and_what_is_below_are_left_alone() -> None:
    driving = face()
    flow = rigid_skull_flow(JUNK, similarity(driving), driving)
    kept = (face_surroundings(driving, SIDE) == 0).expand_as(flow)
    assert kept.any()
    torch.testing.assert_close(flow[kept], JUNK[kept])
    below = int((driving[0, CHIN, 1] + 1) / 2 * SIDE) + 1
    torch.testing.assert_close(flow[:, below:], JUNK[:, below:])


@pytest.mark.parametrize("cut", [0.0, 0.3, 0.5])
def test_a_cut_head_ends_round(cut: float) -> None:
    """A disc of radius 0.5, of which a part is above the photo, is continued as that disc."""
    middle = torch.tensor([0.2, -1 + 0.5 * (1 - cut)])
    side = 256
    front = ((grid(side, side) - middle).norm(dim=-1) < 0.5).float()[None, None]
    above = grid(side, side)[None] - torch.tensor([0.0, 1.0])  # half a photo further up
    shown = crown_mask(above, front)[0, 0] * (above[0, ..., 1] < -1)
    truth = ((above[0] - middle).norm(dim=-1) < 0.5).float() * (above[0, ..., 1] < -1)
    assert (shown - truth).abs().mean() < 0.005 + 0.05 * truth.mean()
    assert (crown_mask(grid(side, side)[None], front) == 1).all()


def test_above_the_photo_it_is_mirrored() -> None:
    flow = torch.tensor([[[[0.3, -1.2], [0.3, -1.0], [0.3, 1.4]]]])
    expected = torch.tensor([[[[0.3, -0.8], [0.3, -1.0], [0.3, 1.4]]]])
    torch.testing.assert_close(mirrored(flow), expected)


def test_the_chin_is_below_the_sides() -> None:
    assert mesh.TAUGHT[CHIN] == 152
    assert (face()[0, SIDES, 1] < face()[0, CHIN, 1]).all()


def test_what_speaks_is_left_to_the_landmarks() -> None:
    point = face()
    free = expression_mask(point, SIDE)[0, ..., 0]
    column, row = ((point[0, SPEAKING] + 1) / 2 * (SIDE - 1)).round().long().unbind(-1)
    assert (free[row, column] < 0.1).all()
    assert (free[:4] > 0.99).all()
