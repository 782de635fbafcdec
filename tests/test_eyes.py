"""Irises keep their shape behind the lids, wherever they look."""

import pytest
import torch
from torch import Tensor

from animate.faces import mesh
from animate.models.first_order_gated.eyes import FARTHEST, GAZE, IRIS, openings
from animate.models.geometry import grid

SIDE, HALF = 128, 0.3  # pixels; half widths of the eyes
CENTRES = {33: -0.4, 263: 0.4}  # of the eyes, by outer corner


def eyes(look: float = 0.0, open_: float = 0.5, cross: float = 0.0) -> Tensor:
    """A face with eyes alone, (1, K, 2); `look`, `cross` and half the height in half widths."""
    point = torch.zeros(1, len(mesh.TAUGHT), 2)
    numbers = ((33, 133, 468, (160, 159, 158), (144, 145, 153)),
               (263, 362, 473, (387, 386, 385), (373, 374, 380)))  # fmt: skip
    for outer, inner, iris, upper, lower in numbers:
        middle, sign = CENTRES[outer], 1 if outer == 33 else -1
        places = {outer: (-sign, 0.0), inner: (sign, 0.0), iris: (look + sign * cross, 0.0)}
        for lids, side in ((upper, -1), (lower, 1)):
            for n, x in zip(lids, (-0.5, 0.0, 0.5), strict=True):
                places[n] = (sign * x, side * open_ * (1 - x * x))
        for n, (x, y) in places.items():
            point[0, mesh.TAUGHT.index(n)] = torch.tensor([middle + HALF * x, HALF * y])
    return point


def photo() -> Tensor:
    """White with black irises, (1, 3, SIDE, SIDE)."""
    x, y = grid(SIDE, SIDE).unbind(-1)
    away = torch.minimum(*(torch.hypot(x - c, y) for c in CENTRES.values()))
    return (away > IRIS * HALF).float().expand(1, 3, -1, -1)


def shown(theirs: Tensor, ours: Tensor | None = None) -> Tensor:
    """Grey skin with the eyes of the photo in it, (SIDE, SIDE)."""
    picture = torch.full((1, 3, SIDE, SIDE), 0.5)
    for opening in openings(eyes() if ours is None else ours, theirs, SIDE):
        picture = opening.behind(picture, photo())
    return picture[0, 0]


def irises(picture: Tensor) -> list[tuple[float, int, int]]:
    """Middle across in half widths, and width and height in pixels, of both irises."""
    found = []
    for part, middle in zip(picture.split(SIDE // 2, 1), CENTRES.values(), strict=True):
        rows, columns = (part < 0.25).nonzero().unbind(1)
        across = 2 * (columns.float().mean() + (SIDE // 2) * (middle > 0)) / (SIDE - 1) - 1
        found.append(((float(across) - middle) / HALF, len(columns.unique()), len(rows.unique())))
    return found


@torch.inference_mode()
def test_eyes_that_do_not_move_are_the_photos() -> None:
    picture, own = shown(eyes()), photo()[0, 0]
    for opening in openings(eyes(), eyes(), SIDE):
        whole = opening.cover[0] == 1
        assert whole.sum() > 200
        at = opening.rows, opening.columns
        assert (picture[at] - own[at])[whole].abs().mean() < 0.02


@torch.inference_mode()
@pytest.mark.parametrize("look", [-0.2, 0.1, 0.2])
def test_irises_move_as_discs(look: float) -> None:
    still, moved = irises(shown(eyes())), irises(shown(eyes(look)))
    for (_, wide, _), (middle, width, _) in zip(still, moved, strict=True):
        assert middle == pytest.approx(GAZE[0] * look, abs=0.08)
        assert abs(width - wide) <= 1


@torch.inference_mode()
def test_irises_stay_in_the_eyes() -> None:
    for middle, *_ in irises(shown(eyes(0.5))):
        assert middle < FARTHEST + 0.05


@torch.inference_mode()
def test_lids_cover_irises_and_do_not_squash_them() -> None:
    for (_, wide, high), (_, width, height) in zip(
        irises(shown(eyes())), irises(shown(eyes(open_=0.15))), strict=True
    ):
        assert abs(width - wide) <= 1
        assert height < high / 2


@torch.inference_mode()
def test_eyes_that_the_photo_shows_closed_are_left_to_paint() -> None:
    assert (shown(eyes(), eyes(open_=0.01)) == 0.5).all()


@torch.inference_mode()
def test_eyes_look_in_one_direction() -> None:
    """Keypoints that say otherwise are inexact."""
    for middle, *_ in irises(shown(eyes(0.1, cross=0.1))):
        assert middle == pytest.approx(GAZE[0] * 0.1, abs=0.08)
