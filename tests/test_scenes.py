"""Scenes begin at cuts and after transitions, not with a flash, lamps, an exposure or a pan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest
from conftest import draw_calm, in_other_scene

from animate.faces import Box, Face, TrackedFrame
from animate.faces.scenes import LONGEST, Scenes, in_passages
from animate.faces.thumbs import differ, thumb_of
from animate.media.colours import linear, srgb

SIDE, RATE = 128, Fraction(25)
ONE = draw_calm(60)
OTHER = [in_other_scene(frame) for frame in draw_calm(90)[30:]]
Light = Callable[[np.ndarray], np.ndarray]
MARKS = np.array([[0.3, 0.42], [0.7, 0.42], [0.5, 0.62], [0.35, 0.8], [0.65, 0.8]])  # of a face


def begun(
    frames: list[np.ndarray], faces: Callable[[int], bool] = lambda i: True, other: int = 999
) -> list[int]:
    """The numbers of the frames that begin a new scene; the face is the other's from `other` on."""
    return [index for index, _ in scenes_of(frames, faces, other)]


def scenes_of(
    frames: list[np.ndarray], faces: Callable[[int], bool] = lambda i: True, other: int = 999
) -> list[tuple[int, int]]:
    """The same, each with how many frames the fade before it lasted."""
    scenes, found = Scenes(RATE), []
    for index, frame in enumerate(frames):
        cut = scenes.cut(frame)
        passage = scenes.passed(frame, face(index >= other) if faces(index) else None)
        if faces(index) and (cut or passage.another):
            found.append((index, passage.frames))
    return found


def face(other: bool) -> Face:
    """The place of the drawn face."""
    head = 0.7 * SIDE if other else SIDE
    left, top, width, height = SIDE - 0.75 * head, SIDE - 0.84 * head, 0.5 * head, 0.68 * head
    return Face(left, top, width, height, 0.9, (left, top) + MARKS * (width, height))


def lit(frame: np.ndarray, how: Light) -> np.ndarray:
    return np.rint(srgb(how(linear(frame / 255))) * 255).astype(np.uint8)


def blend(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    return np.rint(one * (1 - share) + other * share).astype(np.uint8)


LEFT = np.linspace(0, 1, SIDE)[:, None]
LIGHTS: dict[str, Light] = {
    "a flash": lambda light: 8 * light,
    "a flash from the side": lambda light: light * (1 + 9 * LEFT),
    "lamps that go off": lambda light: light / 10,
    "warm stage light": lambda light: light * np.array([4, 2, 1]),
    "haze": lambda light: 0.6 * light + 0.35,
}


@pytest.mark.parametrize("light", LIGHTS)
def test_a_change_of_light_is_no_cut(light: str) -> None:
    for start in (0, 7):
        frames = list(ONE[start : start + 12])
        for index in (3, 4, 8):
            frames[index] = lit(frames[index], LIGHTS[light])
            before = frames[index - 1].astype(int)
        assert np.abs(before - frames[8]).mean() > 25  # it is a great change
        assert not begun(frames)


@pytest.mark.parametrize("light", [None, *LIGHTS])
def test_a_cut_is_one_whatever_the_light(light: str | None) -> None:
    other = [f if light is None else lit(f, LIGHTS[light]) for f in OTHER[:6]]
    if light != "lamps that go off":  # there this wall is as dark as that ground
        assert begun([*ONE[:6], *other]) == [6]
    assert begun([*ONE[:6], *OTHER[:6], *ONE[6:12]]) == [6, 12]


def test_a_cut_while_no_face_is_seen_is_one_when_a_face_comes() -> None:
    black = [np.zeros_like(ONE[0])] * 3
    assert begun([*ONE[:6], *black, *OTHER[:6]], lambda i: i not in (6, 7, 8, 9)) == [10]
    assert not begun([*ONE[:6], *black, *ONE[6:12]], lambda i: i not in (6, 7, 8))


def fade(length: int, through: int | None = None) -> Iterator[np.ndarray]:
    """12 frames of one scene, a fade (through a grey level), and 20 of the other."""
    for index in range(32 + length):
        share = min(max((index - 11) / (length + 1), 0), 1)
        if through is None:
            yield blend(ONE[index], OTHER[index], share)
        else:
            scene = ONE if share < 0.5 else OTHER
            plain = np.full_like(ONE[0], through)
            yield blend(scene[index], plain, 1 - abs(2 * share - 1))


@pytest.mark.parametrize("length", [7, 10, 15, 24])
def test_a_cross_fade_begins_one_scene_when_it_ends(length: int) -> None:
    ((start, lasted),) = scenes_of(list(fade(length)), other=12 + length // 2)
    assert 12 + length - 1 <= start <= 12 + length + 5
    assert 12 <= start - lasted <= 14  # its first frames are nearly the old scene alone


@pytest.mark.parametrize("through", [0, 255])
def test_a_fade_through_black_or_white_begins_one_scene(through: int) -> None:
    frames = list(fade(15, through))
    middle = range(18, 22)  # of no face
    (start,) = begun(frames, lambda i: i not in middle, other=22)
    assert 22 <= start <= 32


def test_the_frames_of_a_fade_are_told_when_it_ends() -> None:
    """They come late, but not by more than LONGEST, and others come as they are."""
    taken = 0

    def tracked() -> Iterator[TrackedFrame]:
        nonlocal taken
        for taken in range(10**9):
            lasted = 7 if taken == 60 else 0
            yield TrackedFrame(np.zeros((0, 0, 3), np.uint8), Box(0, 0, taken), passage=lasted)

    found = []
    for index, (frame, is_mixed) in enumerate(islice(in_passages(tracked(), RATE), 200)):
        assert frame.box.side == index
        assert taken <= index + LONGEST * RATE + 1
        found += [index] * is_mixed
    assert found == list(range(53, 60))


def test_a_fade_to_black_or_out_of_it_begins_none() -> None:
    black = np.zeros_like(ONE[0])
    shares = [min(1, abs(index - 15) / 12) for index in range(30)]
    frames = [blend(black, ONE[i], share) for i, share in enumerate(shares)]
    assert not begun(frames)
    assert not begun(frames[15:])


def wide(seed: int = 0) -> np.ndarray:
    """A wall of things, 128 by 900 pixels."""
    import cv2

    noise = np.random.default_rng(seed).integers(0, 256, (4, 28, 3), np.uint8)
    return cv2.resize(noise, (900, SIDE), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("step", [1, 2, 5])
def test_a_pan_begins_none(step: int) -> None:
    wall = wide()
    frames = []
    for index, head in enumerate(ONE[:50]):
        frame = wall[:, step * index : step * index + SIDE].copy()
        frame[20:110, 30:98] = head[20:110, 30:98]
        frames.append(frame)
    assert any(differ(thumb_of(frames[0]), thumb_of(frame)) for frame in frames)
    assert not begun(frames)


def across(share: float) -> np.ndarray:
    """Where a wipe from the left has come to: (SIDE, SIDE, 1)."""
    return np.broadcast_to(np.arange(SIDE)[None, :, None] < share * SIDE, (SIDE, SIDE, 1))


def around(share: float) -> np.ndarray:
    """Where a circle has opened."""
    away = np.hypot(*(np.indices((SIDE, SIDE)) - SIDE / 2))[..., None]
    return away < share * 0.75 * SIDE


def squeezed(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    import cv2

    low = max(1, round(SIDE * (1 - share)))
    frame = other.copy()
    start = (SIDE - low) // 2
    frame[start : start + low] = cv2.resize(one, (SIDE, low), interpolation=cv2.INTER_AREA)
    return frame


DOTS = np.random.default_rng(0).random((SIDE, SIDE, 1))
PASSAGES: dict[str, Callable[[np.ndarray, np.ndarray, float], np.ndarray]] = {
    "fade": blend,
    "dissolve": lambda one, other, share: np.where(share > DOTS, other, one),
    "wipe to the right": lambda one, other, share: np.where(across(share), other, one),
    "wipe to the left": lambda one, other, share: np.where(across(1 - share), one, other),
    "wipe down": lambda one, other, share: np.where(across(share).swapaxes(0, 1), other, one),
    "circle": lambda one, other, share: np.where(around(share), other, one),
    "slide": lambda one, other, share: np.roll(np.hstack([one, other]), -round(share * SIDE), 1)[
        :, :SIDE
    ],
    "squeeze": squeezed,
}


@pytest.mark.parametrize("length", [8, 20])
@pytest.mark.parametrize("kind", PASSAGES)
def test_one_person_passes_into_another_once_and_is_held_meanwhile(kind: str, length: int) -> None:
    frames = [
        PASSAGES[kind](ONE[i], OTHER[i], min(max((i - 11) / (length + 1), 0), 1))
        for i in range(27 + length)
    ]
    scenes, starts, held = Scenes(RATE), set[int](), set[int]()
    for index, frame in enumerate(frames):
        starts |= {index} if scenes.cut(frame) else set()
        passage = scenes.passed(frame, face(index >= 12 + length // 2))
        during = set(range(index - passage.frames, index))
        starts, held = (starts - during) | ({index} if passage.another else set()), held | during
    (start,) = starts
    assert 12 + length - 2 <= start <= 12 + length + 6
    assert 11 <= min(held) < 12 + length // 2
    assert max(held) == start - 1


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_what_lies_over_a_scene_for_a_moment_belongs_to_none(share: float) -> None:
    frames = [blend(ONE[i], OTHER[i], share * (12 <= i < 15)) for i in range(24)]
    scenes = Scenes(RATE)
    found = []
    for index, frame in enumerate(frames):
        scenes.cut(frame)
        passage = scenes.passed(frame, face(share == 1 and 12 <= index < 15))
        found += [(index, *passage)] if passage.frames else []
    assert found == [(15, 3, False)]


GREY = np.full((SIDE, SIDE, 3), 120, np.uint8)


def before_grey(colour: tuple[int, int, int], seed: int, index: int, left: int = 0) -> np.ndarray:
    """A head of one colour before a grey ground, with a face drawn by chance, that nods a bit."""
    import cv2

    head = np.random.default_rng(seed).integers(0, 2, (9, 7, 1)) * 60 + np.array(colour)
    frame, top = GREY.copy(), 30 + round(2 * np.sin(index / 4))
    frame[top : top + 63, 40 + left : 89 + left] = cv2.resize(
        head.astype(np.uint8), (49, 63), interpolation=cv2.INTER_LINEAR
    )
    return frame


PALE, DARK = (190, 150, 130), (70, 50, 40)


def people(colour: tuple[int, int, int], seed: int, left: int = 0) -> list[np.ndarray]:
    """A still person, then another, with heads in the same place, before the same ground."""
    one = [before_grey(PALE, 0, index) for index in range(12)]
    return one + [before_grey(colour, seed, index, left) for index in range(12, 24)]


def test_a_cut_between_people_before_one_ground_is_one() -> None:
    frames = people(DARK, 1)
    assert not differ(thumb_of(frames[11]), thumb_of(frames[12]))  # most of it is the ground
    assert begun(frames) == [12]


@pytest.mark.parametrize("kind", PASSAGES)
def test_people_before_one_ground_pass_into_each_other(kind: str) -> None:
    one, other = people(DARK, 1)[:12], people(DARK, 1)[12:]
    shares = [min(max((index - 11) / 13, 0), 1) for index in range(36)]
    frames = [PASSAGES[kind](one[8], other[8], share) for share in shares]
    ((start, lasted),) = scenes_of(frames)
    assert 18 <= start <= 30
    assert 10 <= start - lasted <= 18


@pytest.mark.parametrize(
    ("colour", "seed", "left"), [(PALE, 0, 12), (PALE, 1, 0)], ids=["a jump", "another look"]
)
def test_one_person_who_is_elsewhere_at_once_is_no_cut(
    colour: tuple[int, int, int], seed: int, left: int
) -> None:
    """As where a part of a talk was cut out."""
    assert not begun(people(colour, seed, left))


def test_a_hand_before_a_face_begins_none() -> None:
    frames = [before_grey(PALE, 0, index) for index in range(30)]
    for index in range(12, 22):
        frames[index][64 - 8 * min(index - 11, 3) + 24 : 110, 50:100] = np.array(PALE) - 20
    assert not begun(frames)


def walked_by(frame: np.ndarray, index: int) -> np.ndarray:
    """A dark figure goes through the picture, behind the head."""
    frame, left = frame.copy(), 8 * index - 40
    frame[:, max(0, left) : max(0, left + 40)] //= 4
    frame[20:110, 30:98] = ONE[index][20:110, 30:98]
    return frame


def zoomed(frame: np.ndarray, index: int) -> np.ndarray:
    import cv2

    side = SIDE - min(index, 25)
    start = (SIDE - side) // 2
    return cv2.resize(frame[start : start + side, start : start + side], (SIDE, SIDE))


@pytest.mark.parametrize("moved", [walked_by, zoomed])
def test_who_walks_by_and_a_zoom_begin_none(moved: Callable) -> None:
    assert not begun([moved(frame, index) for index, frame in enumerate(ONE[:40])])


def test_at_a_low_rate_fades_are_not_looked_for() -> None:
    scenes = Scenes(Fraction(1))
    for frame in ONE[:5]:
        assert not scenes.cut(frame)
        assert not scenes.passed(frame, face(False)).frames
    assert scenes.cut(OTHER[0])
