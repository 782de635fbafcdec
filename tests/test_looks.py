"""The mark stays below what an eye sees, and most of all where there are no colours."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from conftest import draw_face
from test_payload import MARK

from animate.watermark import Embedder
from animate.watermark.carriers import FORWARD, GRID
from animate.watermark.looks import colour_masking, colourfulness, difference, lab
from animate.watermark.spectrum import reduced


@cache
def portrait(side: int, *, grey: bool = False) -> np.ndarray:
    """A face with film grain, (side, side, 3) uint8."""
    grain = np.random.default_rng(3).normal(0, 2, (side, side, 1))
    picture = np.clip(draw_face(side).astype(float) + grain, 0, 255)
    if grey:
        picture = np.repeat(picture @ FORWARD[0][:, None], 3, axis=-1)
    return picture.astype(np.uint8)


def test_lightness_and_colour_are_those_of_cielab() -> None:
    colours = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0], [119, 119, 119]]])
    known = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.2], [50.03, 0, 0]]
    assert lab(colours)[0] == pytest.approx(np.array(known), abs=0.1)


def test_the_difference_is_that_of_ciede2000() -> None:
    """Greys a lightness step apart, and a neutral colour beside its red neighbour."""
    grey = np.full((64, 64, 3), 119.0)
    lighter = np.full((64, 64, 3), 124.0)
    assert difference(grey, lighter, 0) == pytest.approx(1.99, abs=0.05)
    skin, redder = np.array([179.0, 109, 69]), np.array([3.0, -1.5, 0])
    more = [difference(one, one + redder, 0) for one in (grey, grey * 0 + skin)]
    assert more[0] > 2 * more[1]


def test_fine_change_is_seen_near_by_and_not_from_afar() -> None:
    plain = np.full((128, 128, 3), 120.0)
    stripes = plain + 6 * np.array([1, -1] * 64)[None, :, None]
    assert difference(plain, stripes, 0) > 2
    assert difference(plain, stripes, 3.2) < 0.5


@pytest.mark.parametrize("side", [256, 512])
@pytest.mark.parametrize("grey", [False, True])
def test_the_mark_stays_within_what_an_eye_sees(side: int, grey: bool) -> None:
    plain = portrait(side, grey=grey)
    marked = Embedder(MARK, side, side)(plain)
    seen = [reduced(picture, GRID) for picture in (plain, marked)]
    limit = 0.5 if grey else 1.3 if side == 256 else 1.0
    assert difference(*seen, 3.2) <= limit
    error = np.mean((plain.astype(float) - marked) ** 2)
    assert 10 * np.log10(255**2 / error) >= 42


def test_grey_hides_less_change_of_colour_than_skin() -> None:
    grey, skin = np.full((8, 8, 3), 150.0), np.full((8, 8, 3), [200.0, 150.0, 120.0])
    assert 2 * colour_masking(grey).max() < colour_masking(skin).min()
    assert colourfulness(grey) == pytest.approx(0, abs=0.01)
    assert colourfulness(skin) == 1
