"""Heads that are pasted back stay near their place: one limit for shift, roll, size and turn."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import draw_face

from animate import checkpoints
from animate.faces import mesh
from animate.inference.heads import AWAY, FREE, FULL, NEAR, allowed, leaving, limit_of
from animate.inference.predictor import Pose, Predictor
from animate.inference.stats import DriverStats
from animate.models.geometry import outline_distance
from animate.options import Retarget


@pytest.fixture(scope="module")
def predictor(world: Path) -> Predictor:
    return Predictor.of(checkpoints.load(world / "gated.safetensors")[0])


@pytest.fixture(scope="module")
def encoded(predictor: Predictor) -> Any:
    """A photo's encoding, with points that spread over the crop like those of a face."""
    source = predictor.encode(draw_face())
    spread = torch.rand(source.pose.point.shape, generator=torch.manual_seed(1)) - 0.5
    return replace(source, pose=replace(source.pose, point=spread))


def posed(
    point: torch.Tensor, shift: float = 0, degrees: float = 0, size: float = 1, yaw: float = 0
) -> torch.Tensor:
    """Points (1, K, 2) that are moved around the middle of their steady ones."""
    angle = torch.deg2rad(torch.tensor(degrees))
    roll = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    centre = point[:, list(mesh.STEADY)].mean(1, keepdim=True)
    turn = torch.tensor([[1 - yaw, 0.0], [0.0, 1.0]])
    return (point - centre) @ (size * roll @ turn).mT + centre + torch.tensor([shift, 0.0])


def test_a_limit_is_soft_and_never_passed() -> None:
    steps = [allowed(d / 100) for d in range(100)]
    assert steps[:21] == pytest.approx([d / 100 for d in range(21)])
    assert all(0 <= b - a < 0.0101 and b < FULL for a, b in pairwise(steps))
    assert [leaving(d) for d in (0, NEAR, AWAY, 1)] == [0, 0, 1, 1]
    assert all(0 <= leaving(d / 100 + 0.01) - leaving(d / 100) < 0.34 for d in range(40))


def test_hair_goes_as_far_as_its_head_shifts_and_farther_than_its_landmarks_roll() -> None:
    x = torch.linspace(0, 2 * torch.pi, 9)[:8]
    ring = 0.3 * torch.stack([x.cos(), x.sin()], -1)[None]
    assert outline_distance(ring, ring + torch.tensor([0.3, 0.4]), 2, 9).item() == pytest.approx(
        0.5
    )
    assert outline_distance(ring, ring * 1.5, 2, 9).item() == pytest.approx(0.3)
    quarter = ring @ torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    assert outline_distance(ring, quarter, 2, 9).item() == pytest.approx(0.6 * 2**0.5)
    narrow = ring * torch.tensor([0.8, 1.2])  # a turn changes shape, and not size
    assert outline_distance(ring, narrow, 9, 2).item() == pytest.approx(0.12)


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize(
    "far",
    [{"shift": 0.5}, {"degrees": 40.0}, {"degrees": -40.0}, {"size": 1.6}, {"size": 0.6},
     {"yaw": 0.5}, {"shift": 0.1, "degrees": 20.0, "size": 1.2}],
)  # fmt: skip
def test_a_head_in_a_photo_stays_near_its_place_unless_asked_to_go(
    predictor: Predictor,
    encoded: Any,
    monkeypatch: pytest.MonkeyPatch,
    relative: bool,
    far: dict[str, float],
) -> None:
    own = encoded.pose
    near = replace(own, point=posed(own.point, 0.02))
    driver = [own, near, replace(own, point=posed(own.point, **far))]
    shown: list[Any] = []

    def draw(source: Any, motion: Any) -> torch.Tensor:
        shown.append(motion)
        return torch.zeros(len(motion), 3, 128, 128)

    monkeypatch.setattr(predictor.model, "render", draw)
    for head in ("auto", 1.0) if relative else ("auto",):
        how, stats = Retarget(head=head, relative=relative), DriverStats()
        limit = limit_of(predictor, own, how, stats)
        poses = [Pose(pose) for pose in driver]
        asked = [away for _, away in predictor.animate(encoded, poses, own, how, limit)]
        plain = predictor.retarget(encoded, near, own, how).point
        assert torch.equal(shown[-1].point[1:2], plain)  # within the limit every bit stays
        gone = predictor.head_distance(own, shown[-1][2:3])
        assert asked[2] > FREE
        assert gone == pytest.approx(allowed(asked[2]) if head == "auto" else asked[2], abs=0.02)
        assert (stats.held, stats.strayed) == ((1, 0) if head == "auto" else (0, 1))
        word = "with limited head movement" if head == "auto" else "retarget.head=auto limits that"
        assert [word in line for line in stats.words()] == [True]
