"""The visible label can be read, keeps the legal floor, and leaves the picture around it alone."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from animate.config import choices, run_options
from animate.errors import AnimateError
from animate.inference.advice import of_label
from animate.options import Label
from animate.publish.publisher import _with_room
from animate.system.settings import rule
from animate.watermark.label import FONTS, Labeller, apart, fitting, label_patch

POSITIONS = rule(Label, "position")["words"]

GROUND = np.full((240, 320, 3), 128, np.uint8)


def ink(label: Label, ground: np.ndarray = GROUND) -> np.ndarray:
    """(H, W) where letters are."""
    drawn = Labeller(label, *ground.shape[:2], None)(ground)
    return (drawn > 220).all(-1)


@pytest.mark.parametrize("position", POSITIONS)
def test_a_label_is_where_it_was_asked_for(position: str) -> None:
    y, x = np.argwhere(ink(Label(position=position))).mean(0) / (240, 320)
    assert (y < 0.2) == ("top" in position)
    assert (x < 0.4) == ("left" in position)
    assert (x > 0.6) == ("right" in position)


LANGUAGES = ("AI-generated", "AI生成", "AI合成", "人工智能生成", "Створено ШІ", "AI 생성",
             "Με τεχνητή νοημοσύνη", "KI-erzeugt", "Généré par IA")  # fmt: skip


@pytest.mark.parametrize("text", LANGUAGES)
@pytest.mark.parametrize("size", [0.05, 0.08])
def test_letters_are_as_high_as_the_floor_in_every_language(text: str, size: float) -> None:
    rows = np.flatnonzero(ink(Label(text, size=size)).any(1))
    assert rows[-1] - rows[0] + 1 >= size * 240 - 1  # less the grey edge of a letter


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_letters_stand_out_from_any_ground(ground: int) -> None:
    label = Label()
    plain = np.full((256, 256, 3), ground, np.uint8)
    drawn = Labeller(label, 256, 256, None)(plain)
    rows, columns, _, _ = label_patch(label, 256, 256)
    patch = drawn[rows, columns, 0]
    assert patch.max() > 240
    assert np.median(patch) < 120
    drawn[rows, columns] = ground
    assert (drawn == ground).all()


def test_the_chinese_preset_is_that_of_gb_45438() -> None:
    label = run_options(["label=gb45438"]).label
    assert label is not None
    assert "AI" in label.text
    assert "生成" in label.text
    draw = Labeller(label, 240, 320, 10.0)
    shown = [(draw(GROUND) != GROUND).any() for _ in range(30)]
    assert shown == [True] * 20 + [False] * 10


def test_the_indian_preset_stays_and_covers_much_of_a_small_picture() -> None:
    label = run_options(["label=india"]).label
    assert label.text == "Synthetically generated"
    assert label.seconds is None
    assert fitting(label, 256, 256) == label
    rows, columns, _, _ = label_patch(label, 256, 256)
    assert (rows.stop - rows.start) * (columns.stop - columns.start) > 0.09 * 256**2


EU = ("AI", "AI GENERATED", "AI MODIFIED")


@pytest.mark.parametrize("text", EU)
@pytest.mark.parametrize("side", [256, 512])
def test_the_eu_icon_is_the_acronym_in_larger_letters_and_a_word(text: str, side: int) -> None:
    label = replace(run_options(["label=eu"]).label, text=text)
    assert fitting(label, side, side) == label
    drawn = ink(label, np.full((side, side, 3), 255, np.uint8))
    rows, columns, *_ = label_patch(label, side, side)
    round_off = (rows.stop - rows.start) // 2
    inside = drawn[rows, columns][:, round_off:-round_off]
    heights = [np.ptp(np.flatnonzero(run.any(1))) + 1 for run in _apart(inside)]
    assert len(heights) == len(text.replace(" ", ""))
    assert min(heights) >= 0.05 * side - 2
    assert all(tall > 1.25 * max(heights[2:], default=0) for tall in heights[:2])


def _apart(letters: np.ndarray) -> list[np.ndarray]:
    """The parts of a line between empty columns."""
    ends = np.flatnonzero(np.diff(letters.any(0).astype(int), prepend=0, append=0))
    return [letters[:, a:b] for a, b in zip(ends[::2], ends[1::2], strict=True)]


@pytest.mark.parametrize(("ground", "pill"), [(0, 255), (100, 255), (160, 0), (255, 0)])
def test_the_eu_icon_stands_out_from_its_first_picture_and_stays(ground: int, pill: int) -> None:
    label = run_options(["label=eu"]).label
    draw = Labeller(label, 256, 256, 25.0)
    rows, columns, _, _ = label_patch(label, 256, 256)
    for level in (ground, 255 - ground):  # the second picture changes nothing
        patch = draw(np.full((256, 256, 3), level, np.uint8))[rows, columns]
        middle = patch[len(patch) // 2, :8].mean()
        assert abs(middle - pill) < 60
        assert {int(patch.min()), int(patch.max())} == {0, 255}


@pytest.mark.parametrize("name", [n for n in choices("label") if n != "none"])
def test_every_preset_can_be_drawn(name: str) -> None:
    label = run_options([f"label={name}"]).label
    assert label is not None
    assert ink(label).sum() > 50


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("size", [0.05, 0.2])
@pytest.mark.parametrize("shape", [(256, 768, 3), (768, 768, 3), (512, 256, 3)])
def test_in_a_strip_of_its_own_a_label_hides_nothing(
    position: str, size: float, shape: tuple[int, int, int]
) -> None:
    picture = np.full(shape, 200, np.uint8)
    label = Label("AI", position, size)
    (wider,) = apart(label, [picture])
    drawn = Labeller(label, *wider.shape[:2], None)(wider)
    room = len(wider) - len(picture)
    assert ((drawn[room:] if "top" in position else drawn[:-room]) == picture).all()
    assert (drawn > 240).any()


def test_without_a_label_frames_pass_untouched() -> None:
    assert run_options(["label=none"]).visible_label is None
    assert Labeller(None, 240, 320, 25.0)(GROUND) is GROUND


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"size": 0.049}, "0.05 to 0.5"),
        ({"size": float("nan")}, "0.05 to 0.5"),
        ({"size": 0.9}, "0.5"),
        ({"seconds": 1.9}, "from 2 on"),
        ({"seconds": float("nan")}, "from 2 on"),
        ({"text": " "}, "empty"),
        ({"text": "a\nb"}, "printable"),
        ({"text": "x" * 201}, "long"),
        ({"position": "middle"}, "bottom right"),
        ({"style": "neon"}, "icon"),
    ],
)
def test_what_is_below_the_floor_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(AnimateError, match=says):
        Label(**changes)  # type: ignore[arg-type]


def test_a_script_that_no_font_here_has_asks_for_a_font() -> None:
    with pytest.raises(AnimateError, match=r"label\.font"):
        ink(Label("तैयार किया गया"))
    with pytest.raises(AnimateError, match="read as a font"):
        ink(Label(font=__file__))


def test_a_text_too_long_for_the_picture_says_so() -> None:
    with pytest.raises(AnimateError, match="shorter"):
        label_patch(Label("made by a machine, all of it"), 64, 64)


@pytest.mark.parametrize(
    ("text", "side", "says"),
    [
        ("AI-generated", 256, "AI-generated"),
        ("AI-generated", 74, "AI-generated"),
        ("AI-generated", 73, "AI"),
        ("AI-generated", 32, "AI"),
        ("made by a machine", 64, "made by a machine"),
    ],
)
def test_words_without_room_have_a_short_form_if_they_are_the_usual_ones(
    text: str, side: int, says: str
) -> None:
    label = fitting(Label(text), side, side)
    assert label.text == says
    assert bool(of_label(Label(text), label)) == (text != says)
    if text != "made by a machine":
        assert ink(label, np.full((side, side, 3), 128, np.uint8)).any()


@pytest.mark.parametrize(("side", "even", "says"), [(73, True, "AI-generated"), (73, False, "AI")])
def test_no_frame_is_lost_by_choosing_the_words(side: int, even: bool, says: str) -> None:
    given = [np.full((side, side, 3), level, np.uint8) for level in range(3)]
    frames, label = _with_room(iter(given), Label(), even)
    assert label is not None
    assert label.text == says
    assert all(a is b for a, b in zip(frames, given, strict=True))
    assert list(_with_room([], Label(), even)[0]) == []


def test_the_floor_is_the_laws() -> None:
    assert rule(Label, "size")["least"] == 0.05
    assert Label().seconds is None


@pytest.mark.parametrize("text", ["_", " ", "\u200b"])
def test_a_text_of_no_height_is_one_line(text: str) -> None:
    with pytest.raises(AnimateError):
        label_patch(Label(text=text), 64, 256)


def test_a_damaged_font_is_one_line_wherever_it_is_damaged(tmp_path: Path) -> None:
    font = (FONTS / "label-latin.ttf").read_bytes()
    dice = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(font)
        for at in dice.integers(len(font), size=40):
            damaged[at] = dice.integers(256)
        (tmp_path / "a.ttf").write_bytes(damaged)
        with contextlib.suppress(AnimateError):
            label_patch(Label(text="AI", font=tmp_path / "a.ttf"), 64, 256)
