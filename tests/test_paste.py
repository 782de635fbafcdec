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
from animate.faces.paste import Paster, Spot, doubled, window
from animate.options import Paste

SIZE = 64
BOX = Box(40.5, 30.25, 160)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    fine = np.random.default_rng(0).integers(0, 60, (240, 260, 3), np.uint8)
    fine[20:220, 20:220] = fine[20:220, 20:220] // 3 + draw_face(200) // 2
    return fine


def pasted(
    box: Box, still: np.ndarray, photo: np.ndarray, paste: Paste, crop: np.ndarray
) -> np.ndarray:
    return Paster([Spot(box, still, photo.shape, paste)], photo)([crop])


def test_the_own_pose_gives_the_photo(photo: np.ndarray) -> None:
    still = cut(photo, BOX, SIZE)
    assert np.abs(pasted(BOX, still, photo, Paste(), still).astype(int) - photo).max() <= 1


def test_colours_that_the_model_gets_wrong_do_not_show(photo: np.ndarray) -> None:
    """What it does to the still face, too, is no movement."""
    pale = (cut(photo, BOX, SIZE) * 0.8 + 30).astype(np.uint8)
    result = pasted(BOX, pale, photo, Paste(), pale)
    assert np.abs(result.astype(int) - photo).max() <= 1


def test_around_the_face_every_bit_stays(photo: np.ndarray) -> None:
    still = cut(photo, BOX, SIZE)
    moved = np.roll(still, 4, 1)
    result = pasted(BOX, still, photo, Paste(), moved)
    outside = np.ones(photo.shape[:2], bool)
    outside[30:191, 40:202] = False
    assert (result[outside] == photo[outside]).all()
    assert (result[60:160, 80:160] != photo[60:160, 80:160]).any()


def test_movement_comes_to_rest_before_the_rim(photo: np.ndarray) -> None:
    smooth = np.repeat(np.repeat(cut(photo, Box(0, 0, 240), 60), 4, 0), 4, 1)
    still = cut(smooth, BOX, SIZE)
    result = pasted(BOX, still, smooth, Paste(margin=0.3), np.roll(still, 6, 0))
    change = np.abs(result.astype(int) - smooth).max(-1)
    middle, rim = change[80:140, 90:150].max(), change[32:36, 44:198].max()
    assert middle > 40
    assert rim < middle / 4


def test_detail_finer_than_the_crop_survives(photo: np.ndarray) -> None:
    still = cut(photo, BOX, 32)
    result = pasted(BOX, still, photo, Paste(), np.roll(still, 1, 1))
    fine = lambda p: np.abs(np.diff(p[80:140, 90:150].astype(int), axis=1)).mean()  # noqa: E731
    assert fine(result) > 0.8 * fine(photo)


def test_what_the_photo_does_not_show_gets_no_detail_of_it(photo: np.ndarray) -> None:
    """A mouth that opens is not to show the closed lips' texture."""
    still = cut(photo, BOX, SIZE)
    opened = still.copy()
    opened[24:40, 20:44] = 200
    result = pasted(BOX, still, photo, Paste(), opened)
    inside = result[98:122, 98:142].astype(int)  # two pixels of the crop within
    assert np.abs(inside - 200).max() <= 12
    assert photo[98:122, 98:142].astype(int).std() > 12


@given(st.floats(-80, 200), st.floats(-80, 200), st.floats(20, 300))
def test_a_square_may_leave_the_photo(left: float, top: float, side: float) -> None:
    photo = np.zeros((240, 260, 3), np.uint8)
    box = Box(left, top, side)
    still = np.full((16, 16, 3), 9, np.uint8)
    if left + side <= 1 or top + side <= 1:
        return
    result = pasted(box, still, photo, Paste(), still)
    assert result.shape == photo.shape
    assert not result.any()


@pytest.mark.parametrize("apart", [70, 100, 130])
def test_faces_whose_squares_overlap_are_as_sharp_as_alone(apart: int) -> None:
    photo = np.random.default_rng(1).integers(0, 255, (200, 340, 3), np.uint8)
    boxes = [Box(20, 20, 160), Box(20 + apart, 30, 140)]
    stills = [cut(cv2.blur(photo, (9, 9)), box, 128) for box in boxes]
    moved = [np.roll(still, (2, -3), (0, 1)) for still in stills]
    spots = [
        Spot(box, still, photo.shape, Paste()) for box, still in zip(boxes, stills, strict=True)
    ]
    together = Paster(spots, photo)(moved)
    sharp = lambda p: np.abs(np.diff(p[60:140, 60:240].astype(int), axis=1)).mean()  # noqa: E731
    for box, spot, crop in zip(boxes, spots, moved, strict=True):
        alone = Paster([spot], photo)([crop])
        assert sharp(together) > 0.7 * sharp(alone)
        y, x = round(box.top + box.side / 2), round(box.left + box.side / 2)
        near = slice(y - 12, y + 12), slice(x - 12, x + 12)
        assert np.array_equal(together[near], alone[near])
    turned = Paster(spots[::-1], photo)(moved[::-1])
    assert np.abs(turned.astype(int) - together).max() <= 12  # whoever comes first


def test_faces_apart_are_moved_as_each_alone(photo: np.ndarray) -> None:
    boxes = [Box(0, 0, 90), Box(120, 110, 100)]
    stills = [cut(photo, box, SIZE) for box in boxes]
    spots = [
        Spot(box, still, photo.shape, Paste()) for box, still in zip(boxes, stills, strict=True)
    ]
    one, other = (np.roll(still, 2, 1) for still in stills)
    both = Paster(spots, photo)([one, other])
    assert np.array_equal(both, Paster(spots[1:], Paster(spots[:1], photo)([one]))([other]))


def test_between_faces_there_is_no_seam() -> None:
    y, x = np.mgrid[:200, :340].astype(np.float32)
    photo = np.stack([x / 2 + y / 4, y, x / 3 + y / 3], -1).astype(np.uint8)
    boxes = [Box(20, 20, 160), Box(120, 20, 160)]
    stills = [cut(photo, box, 128) for box in boxes]
    spots = [
        Spot(box, still, photo.shape, Paste()) for box, still in zip(boxes, stills, strict=True)
    ]
    moved = [np.roll(stills[0], 5, 1), np.roll(stills[1], -5, 1)]
    change = Paster(spots, photo)(moved).astype(int) - photo
    steps = np.abs(np.diff(change[50:150, 60:240], axis=1))
    assert steps.max() <= 6


@pytest.mark.parametrize("mask", ["square", "oval"])
def test_windows_fade_from_one_to_nothing_except_at_the_photos_edge(mask: str) -> None:
    shape = window(Paste(mask=mask, margin=0.2), 64, (False,) * 4)
    assert shape[32, 32] == 1
    assert max(shape[0].max(), shape[-1].max(), shape[:, 0].max(), shape[:, -1].max()) < 0.05
    assert window(Paste(mask=mask, margin=0.2), 64, (True,) * 4).min() == 1


def test_windows_that_are_none_are_refused() -> None:
    for wrong in ({"mask": "star"}, {"margin": 0}, {"margin": 0.9}):
        with pytest.raises(AnimateError, match="paste"):
            Paste(**wrong)
    with pytest.raises(AnimateError, match="paste"):
        Paste("collage")


def test_pixels_between_pixels_are_cubic() -> None:
    picture = np.random.default_rng(3).integers(60, 190, (40, 30, 3), np.uint8)
    fine = doubled(picture)
    assert (fine[::2, ::2] == picture).all()
    y, x = np.mgrid[:79, :59].astype(np.float32) / 2
    cubic = cv2.remap(picture, x, y, cv2.INTER_CUBIC, None, cv2.BORDER_REPLICATE)
    assert np.abs(fine.astype(int) - cubic).max() <= 2  # rounded twice
    assert doubled(picture[:1, :1]).shape == (1, 1, 3)


@pytest.mark.parametrize("mask", ["square", "oval"])
def test_a_head_that_rises_far_keeps_its_crown(mask: str) -> None:
    """Hair leaves the square where it may; the square's window would cut it into a box."""
    photo = np.full((300, 260, 3), 200, np.uint8)
    texture = np.random.default_rng(0).integers(60, 140, (200, 100, 1), np.uint8)
    photo[100:, 80:180] = cv2.blur(texture, (5, 5))[..., None]
    box = Box(50, 90, 160)
    spot = Spot(box, cut(photo, box, 128), photo.shape, Paste(mask=mask))
    risen = cut(np.roll(photo, -20, 0), box, 128)
    crowns = []
    for far in (0.0, 0.5, 1.0):
        result = Paster([spot], photo)([risen], [far])
        assert (result[:50] == photo[:50]).all()  # above the rim
        assert (result[:, :50] == photo[:, :50]).all()
        same = np.array_equal(result, Paster([spot], photo)([risen]))
        assert same == (not far or mask == "oval")
        crowns.append(int(np.argmax(result[:, 130, 0] < 170)))
    if mask == "square":
        assert crowns[0] >= 90
        assert crowns == sorted(crowns, reverse=True)
        assert crowns[2] == pytest.approx(80, abs=2)


def test_hair_that_the_photos_top_cuts_off_leaves_no_gap_when_the_head_sinks() -> None:
    photo = np.full((260, 260, 3), 200, np.uint8)
    texture = np.random.default_rng(0).integers(60, 140, (260, 100, 1), np.uint8)
    photo[:, 80:180] = cv2.blur(texture, (5, 5))[..., None]
    photo[:60, 80:110] = photo[:60, 150:180] = 200  # a crown, which is narrow at the top
    box = Box(50, 10, 160)
    spot = Spot(box, cut(photo, box, 128), photo.shape, Paste())
    sunk = np.roll(photo, 16, 0)
    sunk[:16] = 200
    for far in (0.0, 1.0):
        result = Paster([spot], photo)([cut(sunk, box, 128)], [far])
        assert (result[:8] == photo[:8]).all()
    assert result[50, 95, 0] > 170  # its sides have sunk
    assert result[70, 95, 0] > 170
