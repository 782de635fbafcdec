"""What will look bad is said before the work, and names the face."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import draw_face, draw_frames
from PIL import Image

from animate.errors import AnimateError
from animate.faces import (
    Detected,
    Face,
    photo_locator,
    quarter_turns,
)
from animate.faces.yunet import YuNet
from animate.inference import advice
from animate.options import Faces

# ---------------------------------------------------------------- what is said before the work


def head(turn: float = 0.0, height: float = 200, left: float = 100, score: float = 0.9) -> Face:
    """A face whose nose is `turn` eye distances off the middle."""
    marks = np.array([[-0.5, -0.5], [0.5, -0.5], [turn, 0], [-0.4, 0.5], [0.4, 0.5]]) * height / 2
    return Face(left, 100, 0.8 * height, height, score, marks + np.array([left + height / 2, 200]))


def test_what_looks_a_little_like_a_face_beside_a_clear_one_is_none() -> None:
    found = [head(left=300, score=0.94), head(left=10, score=0.7), head(left=150, score=0.8)]
    first = iter([found])
    detected = Detected(lambda picture: next(first, []))
    assert [face.score for face in detected.faces(np.zeros((500, 500, 3), np.uint8))] == [0.8, 0.94]


@pytest.mark.parametrize(
    ("face", "others", "words"),
    [
        (head(), 0, []),
        (head(turn=0.4), 0, []),
        (head(turn=0.7), 0, ["from the side"]),
        (head(height=40), 0, ["40 pixels"]),
        (head(left=-60), 0, ["edge"]),
        (head(score=0.7), 0, ["an animal"]),
        (head(score=0.7, turn=0.5), 0, []),
        (head(score=0.7, left=-60), 0, ["edge"]),
        (head(turn=-0.7, height=40), 2, ["40 pixels", "from the side", "3 faces"]),
    ],
)
def test_photos_that_will_look_bad_are_told_of(face: Face, others: int, words: list[str]) -> None:
    lines = advice.of_photo(face, others, (500, 500, 3))
    assert len(lines) == len(words)
    assert all(word in line for word, line in zip(words, lines, strict=True))


def test_what_is_said_of_a_face_names_it_among_others() -> None:
    faces = [head(left=x, height=40) for x in (300, 10, 150)]
    assert advice.named(faces[0], faces[:1]) is None
    names = [advice.named(face, faces) for face in faces]
    assert names == [f"the {n} face from the left" for n in ("third", "first", "second")]
    (line,) = advice.of_photo(faces[0], 0, (500, 500, 3), names[0])
    assert line.startswith("the third face from the left is 40 pixels")


def test_a_face_that_the_model_takes_for_another_is_told_of() -> None:
    face = head()
    assert not advice.of_marks(face, None)
    assert not advice.of_marks(face, face.marks + 10)
    assert not advice.of_marks(face, face.marks * np.nan)
    (line,) = advice.of_marks(face, face.marks[::-1], "the second face from the left")
    assert "second face" in line


def test_a_photo_lies_only_where_most_of_its_people_do() -> None:
    def group(*turns: int) -> np.ndarray:
        faces = [np.rot90(draw_face(200), k) for k in turns]
        return np.ascontiguousarray(np.concatenate(faces, 1))

    detected = Detected(YuNet())
    assert len(detected.faces(group(0, 0, 1))) >= 2
    for lying in (group(1), group(2), group(1, 1), np.rot90(group(0, 0, 1)).copy()):
        with pytest.raises(AnimateError, match="on its side"):
            detected.faces(lying)


@pytest.mark.parametrize(("upright", "turned"), [(None, 0.8), (0.7, 0.82)])
def test_what_is_no_persons_face_does_not_say_which_way_is_up(
    upright: float | None, turned: float
) -> None:
    views = iter([upright, None, turned, None])

    def dog(picture: np.ndarray) -> list[Face]:
        score = next(views)
        return [] if score is None else [head(score=score)]

    detected, photo = Detected(dog), np.zeros((400, 400, 3), np.uint8)
    if upright is None:
        with pytest.raises(AnimateError, match="no face found"):
            detected.faces(photo)
    else:
        assert len(detected.faces(photo)) == 1


@pytest.mark.parametrize("turns", range(4))
def test_a_clip_is_turned_upright_as_most_frames_say(turns: int) -> None:
    detected = photo_locator(Faces())
    frames = [np.rot90(frame, turns).copy() for frame in draw_frames(30)]
    grey = np.full((128, 128, 3), 90, np.uint8)
    assert quarter_turns(detected, frames) == -turns % 4
    assert quarter_turns(detected, [grey, *frames, grey]) == -turns % 4
    assert quarter_turns(photo_locator(Faces("centre")), frames) == 0
    assert quarter_turns(detected, [grey] * 9) == 0


@pytest.mark.parametrize("angle", [-35, 35])
def test_a_tilted_head_is_not_turned(angle: int) -> None:
    frames = [
        np.asarray(Image.fromarray(frame).rotate(angle, fillcolor=(90, 90, 90)))
        for frame in draw_frames(12, 200)
    ]
    assert quarter_turns(photo_locator(Faces()), frames) == 0


def test_a_driver_that_starts_another_way_is_told_of() -> None:
    assert not advice.of_pair(head(), head(turn=0.1))
    (line,) = advice.of_pair(head(), head(turn=0.4))
    assert "retarget.reference=auto" in line


def test_a_face_cut_off_within_its_outline_is_named() -> None:
    assert not advice.of_doubt(0.34)
    (line,) = advice.of_doubt(0.5)
    assert "faces.box" in line


def test_a_driver_that_never_looks_the_photos_way_is_told_of() -> None:
    assert not advice.of_reference(0.05, 0.09)
    (line,) = advice.of_reference(0.12, 0.09)
    assert "is never turned like the photo's" in line
