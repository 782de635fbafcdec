"""A mouth behind cloth stays there; a bearded one is no mask."""

from dataclasses import replace

import pytest
import torch
from test_light import colour, face_of, inked
from torch import Tensor

from animate.faces import mesh
from animate.models.first_order_gated import retarget
from animate.models.first_order_gated.covered import CORNERS, covered
from animate.models.first_order_gated.model import FirstOrderGated
from animate.models.first_order_gated.mouth_frame import UPPER

SIDE = 128
SKINS = (0.78, 0.6, 0.52), (0.35, 0.22, 0.17), (0.93, 0.82, 0.76)
CLOTH = {
    "white": (0.93, 0.94, 0.96), "light blue": (0.5, 0.75, 0.9), "black": (0.08, 0.08, 0.09),
    "green": (0.4, 0.75, 0.6), "red": (0.7, 0.1, 0.15), "skin": (0.78, 0.6, 0.52),
}  # fmt: skip


def person(skin: tuple[float, float, float]) -> tuple[Tensor, Tensor]:
    """A face with a dark line between red lips, and its points, (1, 3, S, S) and (1, K, 2)."""
    photo, point = face_of(skin)
    for n, x in zip(CORNERS, (-0.26, -0.1, 0.26, 0.1), strict=True):
        point[0, n] = torch.tensor([x, -0.15])
    photo = torch.lerp(photo, photo * colour((0.4, 0.3, 0.3)), band(0.27, 0.29, 0.16))
    return photo, point


def band(top: float, bottom: float, half: float) -> Tensor:
    """1 in a rectangle in the middle of a picture, (S, S)."""
    z = torch.linspace(-1, 1, SIDE)
    return ((z[:, None] > top) & (z[:, None] < bottom) & (z.abs() < half)).float()


@pytest.mark.parametrize("skin", SKINS)
@pytest.mark.parametrize("grey", [False, True])
def test_a_mouth_that_is_seen_is_not_covered(skin: tuple[float, float, float], grey: bool) -> None:
    photo, point = person(skin)
    assert not covered(inked(photo, "grey") if grey else photo, point)


@pytest.mark.parametrize("skin", SKINS)
def test_a_beard_is_no_mask(skin: tuple[float, float, float]) -> None:
    photo, point = person(skin)
    beard = band(0.1, 0.6, 0.3)
    hairy = torch.lerp(photo, colour((0.12, 0.09, 0.07)), beard)
    z = torch.linspace(-1, 1, SIDE)
    lips = ((z / 0.16).square() + ((z[:, None] - 0.28) / 0.05).square() < 1).float()
    assert not covered(torch.lerp(hairy, photo, lips), point)


@pytest.mark.parametrize("name", CLOTH)
@pytest.mark.parametrize("skin", SKINS)
def test_cloth_over_the_mouth_is_a_mask(name: str, skin: tuple[float, float, float]) -> None:
    photo, point = person(skin)
    folds = 1 - 0.05 * torch.linspace(0, 40, SIDE).sin()[:, None]
    masked = torch.lerp(photo, colour(CLOTH[name]) * folds, band(0.03, 0.7, 0.35))
    assert covered(masked, point)


@torch.inference_mode()
def test_a_covered_mouth_does_not_part_and_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, (photo, point) = FirstOrderGated(size=SIDE).eval(), person(SKINS[0])
    masked = torch.lerp(photo, colour(CLOTH["light blue"]), band(0.03, 0.7, 0.35))
    seen = model.track(photo)
    own, said = replace(seen, point=point), point.clone()
    said[:, list(mesh.OPENINGS[0])[5:]] += torch.tensor([0.0, 0.15])
    monkeypatch.setattr(model, "track", lambda frames: own)
    open_, shut = model.encode(photo), model.encode(masked)
    for relative in (True, False):
        wide, still = (
            model.retarget(source, replace(seen, point=said), own, relative=relative)
            for source in (open_, shut)
        )
        gaps = [retarget.lip_gap(p.point) - retarget.lip_gap(point) for p in (wide, still)]
        assert gaps[0] > 0.1
        assert gaps[1].abs() < 0.02
    assert any("covered" in line for line in model.remarks(own, source=shut))
    assert not any("covered" in line for line in model.remarks(own, source=open_))
    at = ((point[0, UPPER[2]] + 1) / 2 * (SIDE - 1)).round().long()
    assert shut.shapes[0, 0, at[1] // 2, at[0] // 2] == 0  # nothing of it is an opening
