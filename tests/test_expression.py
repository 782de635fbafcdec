"""Turns and expressions are told apart by depth, and strengthened where they would arrive weak."""

import math

import pytest
import torch
from torch import Tensor

from animate.faces import mesh
from animate.models.first_order_gated.expression import (
    DEPTH,
    LARGE,
    LOWER_LIDS,
    TURNED,
    UPPER_LIDS,
    strengthened,
)
from animate.models.first_order_gated.retarget import head_and_expression

KNOWN = torch.tensor([DEPTH[n] for n in mesh.TAUGHT])
STEADY = list(mesh.STEADY)
FAR = 10.0  # a limit that no turn reaches


def upright() -> Tensor:
    """Landmarks at random places, the eyes level, (1, K, 2); the size of their steady ones is 1."""
    point = torch.rand(1, len(mesh.TAUGHT), 2, generator=torch.Generator().manual_seed(4)) - 0.5
    right, left = (mesh.TAUGHT.index(n) for n in (33, 263))
    point[0, right], point[0, left] = torch.tensor([-0.4, 0.0]), torch.tensor([0.4, 0.0])
    away = point[:, STEADY] - point[:, STEADY].mean(1, keepdim=True)
    return point / away.square().sum(-1).mean().sqrt()


def at(number: int) -> int:
    return mesh.TAUGHT.index(number)


def test_depths_are_those_of_a_face() -> None:
    torch.testing.assert_close(KNOWN, KNOWN[list(mesh.MIRROR)])
    assert KNOWN[STEADY].square().mean() == pytest.approx(1, abs=0.05)
    assert KNOWN[at(1)] == KNOWN.max()  # the tip of the nose
    assert KNOWN[at(1)] > KNOWN[at(13)] > KNOWN[at(61)] > KNOWN[at(93)]  # lips, corner, side


@pytest.mark.parametrize(("axis", "factor"), list(enumerate(TURNED)))
def test_a_shift_by_depth_is_a_turn_and_no_expression(axis: int, factor: float) -> None:
    change = torch.zeros(1, len(KNOWN), 2)
    change[..., axis] = 0.03 * KNOWN
    turn, expression = strengthened(upright(), change, FAR)
    assert expression.abs().max() < 1e-5
    torch.testing.assert_close(turn, factor * change)


@pytest.mark.parametrize("size", [0.05, 0.3])
def test_a_turn_is_not_strengthened_beyond_its_limit(size: float) -> None:
    change = size * KNOWN[None, :, None].expand(1, -1, 2) / math.sqrt(2)
    turn, _ = strengthened(upright(), change.clone(), 0.06)
    length = turn[:, STEADY].square().sum(-1).mean().sqrt()
    assert length == pytest.approx(max(size, 0.06), rel=0.06)


def moved(numbers: tuple[int, ...], way: tuple[float, float]) -> Tensor:
    """Which part of a movement of these landmarks is made of it, across and down, (2,)."""
    change = torch.zeros(1, len(KNOWN), 2)
    change[:, [at(n) for n in numbers]] = torch.tensor(way)
    turn, expression = strengthened(upright(), change, FAR)
    assert turn.abs().max() < 1e-6  # none of them is steady
    return expression[0, at(numbers[0])] / torch.tensor(way)


def test_small_movements_of_brows_and_lips_are_strengthened() -> None:
    assert moved(mesh.BROWS, (0.001, -0.01))[1] == pytest.approx(1.5, abs=0.01)
    assert moved((61, 291), (0.01, 0.01))[0] == pytest.approx(1.35, abs=0.01)


def test_large_movements_grow_by_a_little_at_most() -> None:
    grown = moved((0,), (1e-6, 0.5))[1]
    assert 0.5 * (grown - 1) == pytest.approx(0.8 * LARGE, rel=0.01)


def test_lids_that_close_are_strengthened_and_those_that_open_are_not() -> None:
    for lids, closing in ((UPPER_LIDS, 1), (LOWER_LIDS, -1)):
        assert moved(lids, (1e-6, 0.01 * closing))[1] == pytest.approx(1.5, abs=0.01)
        assert moved(lids, (1e-6, -0.01 * closing))[1] == pytest.approx(1, abs=1e-4)


def test_what_is_split_adds_up_to_the_heads_change() -> None:
    reference = upright()
    motion = reference + 1e-4 * torch.randn(3, len(KNOWN), 2)
    *_, change = head_and_expression(reference, motion)
    depth, expression = strengthened(reference, change, FAR)
    assert (depth + expression - change).abs().max() < 1e-3
