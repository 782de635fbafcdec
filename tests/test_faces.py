"""Faces: the squares that are found, and what is cut out of them."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import pytest
from conftest import FakeAlignment, draw_face
from hypothesis import given
from hypothesis import strategies as st

from animate.errors import AnimateError
from animate.faces import (
    Box,
    Centre,
    Detected,
    Face,
    Given,
    cut,
    follow,
    photo_locator,
)
from animate.faces.detect import Remembered, Shrunk
from animate.faces.yunet import YuNet
from animate.options import Faces


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

    met = next(photo_locator(Faces("centre")).track(endless(), Fraction(25)))
    assert met.frame.shape == (32, 48, 3)
    assert met.box == Box(8, 0, 32)


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
    with pytest.raises(AnimateError, match="box"):
        photo_locator(Faces("centre", box=box)).locate(np.zeros((100, 100, 3), np.uint8))


def test_an_unknown_way_of_finding_faces_is_refused() -> None:
    with pytest.raises(AnimateError, match="centre"):
        photo_locator(Faces("guess"))


# ---------------------------------------------------------------- what is detected


def scene(*faces: tuple[int, int, int], shape: tuple[int, int] = (360, 640)) -> np.ndarray:
    """A picture with drawn faces of (left, top, side)."""
    picture = np.full((*shape, 3), 90, np.uint8)
    for left, top, side in faces:
        picture[top : top + side, left : left + side] = draw_face(side)
    return picture


@pytest.fixture(scope="module")
def detector() -> YuNet:
    return YuNet()


def test_a_face_is_found_where_it_is(detector: YuNet) -> None:
    (face,) = detector(scene((200, 60, 240)))
    x, y = face.centre
    assert abs(x - 320) < 12
    assert abs(y - 180) < 30
    right, left, nose, *mouth = face.marks
    assert right[0] < nose[0] < left[0]
    assert right[1] < nose[1] < mouth[0][1]
    assert face.square().side > face.height


def test_what_was_seen_is_known_again(detector: YuNet) -> None:
    asked: list[int] = []

    def counted(picture: np.ndarray) -> list[Face]:
        asked.append(picture.shape[0])
        return detector(picture)

    remembered = Remembered(counted, count=2)
    one, two, three = (scene((200, 60, side)) for side in (200, 220, 240))
    first = remembered(one)
    assert first
    remembered(two)
    assert remembered(one.copy())[0] is first[0]
    assert len(asked) == 2
    remembered(three)  # in place of the oldest
    remembered(one)
    assert len(asked) == 4


def test_a_large_picture_and_a_small_one_agree(detector: YuNet) -> None:
    small = scene((200, 60, 240))
    (one,), (other,) = detector(small), detector(small.repeat(3, 0).repeat(3, 1))
    assert np.allclose(other.marks / 3, one.marks, atol=3)


def test_nothing_is_found_in_noise(detector: YuNet) -> None:
    assert not detector(np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8))


def test_faces_are_chosen_by_size_or_from_the_left(detector: YuNet) -> None:
    picture = scene((20, 100, 150), (200, 60, 240), (460, 100, 150))

    def place(which: str | int) -> float:
        box = Detected(detector, which).locate(picture)
        return box.left + box.side / 2

    assert abs(place("largest") - 320) < 12
    assert place(1) < place(2) < place(3)
    with pytest.raises(AnimateError, match=r"3 faces, faces\.which is 4"):
        place(4)
    for wrong in ("biggest", 0, True):
        with pytest.raises(AnimateError, match="from the left"):
            Detected(detector, wrong)


def test_a_photo_without_a_face_names_the_ways_out(detector: YuNet) -> None:
    with pytest.raises(AnimateError, match=r"no face.*faces\.box.*faces=centre"):
        Detected(detector).locate(np.full((100, 100, 3), 128, np.uint8))
    with pytest.raises(AnimateError, match="on its side"):
        Detected(detector).locate(np.rot90(scene((200, 60, 240))).copy())


def sway(count: int, noise: float = 0.0, step: float = 0.0) -> Iterator[np.ndarray]:
    """A face that stands still in noise, or walks by `step` pixels a frame."""
    rng = np.random.default_rng(1)
    still = scene((100, 60, 240)).astype(np.float32)
    for index in range(count):
        frame = np.roll(still, round(step * index), 1) + noise * rng.standard_normal(still.shape)
        yield frame.clip(0, 255).astype(np.uint8)


def test_a_still_heads_square_is_perfectly_still(detector: YuNet) -> None:
    met = list(follow(detector, sway(12, noise=8), Fraction(25)))
    found = np.array([s.face.square().left for s in met if s.face])
    assert len(found) == 12
    assert np.std(found) > 0.05  # the detector does waver
    assert np.std([s.box.left for s in met][1:]) < 1e-6
    assert np.std([s.box.side for s in met][1:]) < 1e-6


def test_the_square_follows_a_head_that_walks(detector: YuNet) -> None:
    for s in follow(detector, sway(40, step=6), Fraction(25)):
        assert s.face is not None
        offset = s.face.square().left - s.box.left
        assert abs(offset) < 0.2 * s.box.side


def test_the_square_does_not_jump(detector: YuNet) -> None:
    left = np.array([s.box.left for s in follow(detector, sway(40, step=6), Fraction(25))])
    assert np.abs(np.diff(left, 2)).max() < 4


def test_a_hidden_face_is_found_again_and_a_cut_is_noticed(detector: YuNet) -> None:
    blank, black, one = scene(), scene() * 0, scene((100, 60, 240))
    other = scene((300, 30, 300)) // 2 + 120
    frames = [one, one, blank, black, one, black, other, other]
    met = list(follow(detector, frames, Fraction(25)))
    assert [s.found for s in met] == [True, True, False, False, True, False, True, True]
    assert met[2].box == met[1].box
    assert [i for i, s in enumerate(met) if s.scene_start] == [6]


def test_another_face_does_not_take_over_at_once(detector: YuNet) -> None:
    one, both = scene((20, 60, 240)), scene((20, 60, 240), (380, 60, 260))
    met = list(follow(detector, [one, both, both], Fraction(25)))
    assert all(s.face and s.face.centre[0] < 200 for s in met)


# ---------------------------------------------------------------- face-alignment


def test_landmarks_without_the_package_or_the_weights_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "face_alignment", None)
    with pytest.raises(AnimateError, match="pip install face-alignment"):
        photo_locator(Faces("landmarks"))
    monkeypatch.setitem(sys.modules, "face_alignment", FakeAlignment("TWO_D"))
    with pytest.raises(AnimateError, match=r"s3fd.* and no 2DFAN4.*faces\.weights"):
        photo_locator(Faces("landmarks", weights=tmp_path))


def test_landmarks_from_damaged_weights_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(kind: str, **others: Any) -> None:
        raise UnpicklingError("invalid load key\nand more")

    for name in ("s3fd-619a316812.pth", "2DFAN4-11f355bf06.pth.tar"):
        (tmp_path / name).touch()
    fake = FakeAlignment("TWO_D")
    fake.FaceAlignment = damaged  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "face_alignment", fake)
    with pytest.raises(AnimateError, match="can't be loaded"):
        photo_locator(Faces("landmarks", weights=tmp_path))


@pytest.mark.parametrize("kind", ["TWO_D", "_2D"])
def test_landmarks_take_weights_from_a_folder_and_download_nothing(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    for name in ("s3fd-619a316812.pth", "2DFAN4-11f355bf06.pth.tar"):
        (tmp_path / name).touch()
    fake = FakeAlignment(kind)
    monkeypatch.setitem(sys.modules, "face_alignment", fake)
    before = torch.hub.get_dir()
    blank = np.zeros((100, 100, 3), np.uint8)
    box = photo_locator(Faces("landmarks", weights=tmp_path)).locate(blank)
    assert fake.asked == {"compile": False, "type": "flat", "detector": True, "landmarks": True}
    assert torch.hub.get_dir() == before
    assert box.side > 60


def test_a_detector_of_shrunk_pictures_gives_the_same_face() -> None:
    photo = draw_face(320)
    (whole,) = YuNet()(photo)
    (small,) = Shrunk(YuNet(), 160)(photo)
    assert small.height == pytest.approx(whole.height, rel=0.1)
    assert math.dist(small.centre, whole.centre) < 0.05 * whole.height
    assert np.abs(small.marks - whole.marks).max() < 0.1 * whole.height
    assert Shrunk(YuNet(), 320)(photo)[0].score == whole.score
