"""Pasting back: the rest of the photo is untouched, the seam is none, detail is the photo's own."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from conftest import draw_face
from hypothesis import given
from hypothesis import strategies as st

from animate.errors import AnimateError
from animate.faces import Box, cut
from animate.faces.paste import Paste, Window, doubled

SIZE = 64
BOX = Box(40.5, 30.25, 160)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    fine = np.random.default_rng(0).integers(0, 60, (240, 260, 3), np.uint8)
    fine[20:220, 20:220] = fine[20:220, 20:220] // 3 + draw_face(200) // 2
    return fine


def test_the_own_pose_gives_the_photo(photo: np.ndarray) -> None:
    still = cut(photo, BOX, SIZE)
    assert np.abs(Paste(BOX, still, photo, Window())(photo, still).astype(int) - photo).max() <= 1


def test_colours_that_the_model_gets_wrong_do_not_show(photo: np.ndarray) -> None:
    """What it does to the still face, too, is no movement."""
    pale = (cut(photo, BOX, SIZE) * 0.8 + 30).astype(np.uint8)
    pasted = Paste(BOX, pale, photo, Window())(photo, pale)
    assert np.abs(pasted.astype(int) - photo).max() <= 1


def test_around_the_face_every_bit_stays(photo: np.ndarray) -> None:
    still = cut(photo, BOX, SIZE)
    moved = np.roll(still, 4, 1)
    pasted = Paste(BOX, still, photo, Window())(photo, moved)
    outside = np.ones(photo.shape[:2], bool)
    outside[30:191, 40:202] = False
    assert (pasted[outside] == photo[outside]).all()
    assert (pasted[60:160, 80:160] != photo[60:160, 80:160]).any()


def test_movement_comes_to_rest_before_the_rim(photo: np.ndarray) -> None:
    smooth = np.repeat(np.repeat(cut(photo, Box(0, 0, 240), 60), 4, 0), 4, 1)
    still = cut(smooth, BOX, SIZE)
    pasted = Paste(BOX, still, smooth, Window(margin=0.3))(smooth, np.roll(still, 6, 0))
    change = np.abs(pasted.astype(int) - smooth).max(-1)
    middle, rim = change[80:140, 90:150].max(), change[32:36, 44:198].max()
    assert middle > 40
    assert rim < middle / 4


def test_detail_finer_than_the_crop_survives(photo: np.ndarray) -> None:
    still = cut(photo, BOX, 32)
    pasted = Paste(BOX, still, photo, Window())(photo, np.roll(still, 1, 1))
    fine = lambda p: np.abs(np.diff(p[80:140, 90:150].astype(int), axis=1)).mean()  # noqa: E731
    assert fine(pasted) > 0.8 * fine(photo)


def test_what_the_photo_does_not_show_gets_no_detail_of_it(photo: np.ndarray) -> None:
    """A mouth that opens is not to show the closed lips' texture."""
    still = cut(photo, BOX, SIZE)
    opened = still.copy()
    opened[24:40, 20:44] = 200
    pasted = Paste(BOX, still, photo, Window())(photo, opened)
    inside = pasted[98:122, 98:142].astype(int)  # two pixels of the crop within
    assert np.abs(inside - 200).max() <= 12
    assert photo[98:122, 98:142].astype(int).std() > 12


@given(st.floats(-80, 200), st.floats(-80, 200), st.floats(20, 300))
def test_a_square_may_leave_the_photo(left: float, top: float, side: float) -> None:
    photo = np.zeros((240, 260, 3), np.uint8)
    box = Box(left, top, side)
    still = np.full((16, 16, 3), 9, np.uint8)
    if left + side <= 1 or top + side <= 1:
        return
    pasted = Paste(box, still, photo, Window())(photo, still)
    assert pasted.shape == photo.shape
    assert not pasted.any()


@pytest.mark.parametrize("mask", ["square", "oval"])
def test_windows_fade_from_one_to_nothing_except_at_the_photos_edge(mask: str) -> None:
    window = Window(mask, 0.2).draw(64, (False,) * 4)
    assert window[32, 32] == 1
    assert max(window[0].max(), window[-1].max(), window[:, 0].max(), window[:, -1].max()) < 0.05
    assert Window(mask, 0.2).draw(64, (True,) * 4).min() == 1


def test_windows_that_are_none_are_refused() -> None:
    for wrong in ({"mask": "star"}, {"margin": 0}, {"margin": 0.9}):
        with pytest.raises(AnimateError, match="paste"):
            Window(**wrong)
    with pytest.raises(AnimateError, match="paste"):
        Window.of("collage", "square", 0.2)
    assert Window.of("crop", "square", 0.2) is None


def test_pixels_between_pixels_are_cubic() -> None:
    picture = np.random.default_rng(3).integers(60, 190, (40, 30, 3), np.uint8)
    fine = doubled(picture)
    assert (fine[::2, ::2] == picture).all()
    y, x = np.mgrid[:79, :59].astype(np.float32) / 2
    cubic = cv2.remap(picture, x, y, cv2.INTER_CUBIC, None, cv2.BORDER_REPLICATE)
    assert np.abs(fine.astype(int) - cubic).max() <= 2  # rounded twice
    assert doubled(picture[:1, :1]).shape == (1, 1, 3)
