"""Faces: the squares that are found, and what is cut out of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from animate.errors import AnimateError
from animate.faces import Box, Centre, Given, cut, locator


def ramp(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, x + y], -1).astype(np.uint8)


@given(st.integers(16, 200), st.integers(16, 200))
def test_the_centre_is_the_largest_square(height: int, width: int) -> None:
    box = Centre().locate(np.zeros((height, width, 3), np.uint8))
    assert box.side == min(height, width)
    assert 0 <= box.left <= width - box.side
    assert 0 <= box.top <= height - box.side
    assert abs(2 * box.left + box.side - width) <= 1
    assert abs(2 * box.top + box.side - height) <= 1


def test_a_given_rectangle_is_widened_about_its_middle() -> None:
    assert Given([10, 20, 30, 50]).locate(np.zeros((100, 100, 3), np.uint8)) == Box(0, 20, 50)


def test_a_box_of_its_own_size_is_cut_exactly() -> None:
    frame = ramp(60, 80)
    assert (cut(frame, Box(7, 9, 32), 32) == frame[9:41, 7:39]).all()


@given(st.integers(-50, 70), st.integers(-50, 70))
def test_outside_the_frame_its_edge_goes_on(left: int, top: int) -> None:
    frame = ramp(40, 40)
    y, x = (np.clip(np.arange(32) + start, 0, 39) for start in (top, left))
    assert (cut(frame, Box(left, top, 32), 32) == frame[y][:, x]).all()


def test_shrinking_averages_instead_of_skipping() -> None:
    checks = np.indices((128, 128)).sum(0) % 2 * 255
    small = cut(np.repeat(checks[..., None], 3, -1).astype(np.uint8), Box(0, 0, 128), 16)
    assert np.abs(small[2:-2, 2:-2].astype(int) - 127).max() <= 2


def test_tracking_keeps_frames_with_their_boxes_and_is_lazy() -> None:
    def endless():
        while True:
            yield ramp(32, 48)

    frame, box = next(locator("centre").track(endless()))
    assert frame.shape == (32, 48, 3)
    assert box == Box(8, 0, 32)


@pytest.mark.parametrize(
    "box",
    [
        [90, 90, 30, 30],
        [-1, 0, 30, 30],
        [500, 0, 30, 30],
        [0, 0, 5, 30],
        [0, 0, -30, 30],
        [0, 0, 30],
        [0, 0, float("nan"), 30],
        [0, 0, "a", 30],
        [0, 0, True, 30],
        [],
    ],
)
def test_a_box_that_holds_no_face_is_refused(box: list) -> None:
    with pytest.raises(AnimateError, match="face box"):
        locator("centre", box).locate(np.zeros((100, 100, 3), np.uint8))


def test_an_unknown_way_of_finding_faces_is_refused() -> None:
    with pytest.raises(AnimateError, match="centre"):
        locator("guess")
