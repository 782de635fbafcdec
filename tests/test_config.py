"""Settings: what may be overridden becomes plain arguments, all else is one clear line."""

from __future__ import annotations

import inspect
from dataclasses import asdict

import pytest

from animate.config import GROUPS, choices, run_arguments
from animate.errors import AnimateError

# what options of the command say, or arguments that are no settings
COMMAND = ("compare", "columns", "force", "progress", "say")


def test_yaml_and_portrait_have_the_same_defaults() -> None:
    from animate.portrait import portrait

    defaults = {
        name: p.default
        for name, p in inspect.signature(portrait).parameters.items()
        if p.kind is p.KEYWORD_ONLY and name not in COMMAND
    }
    defaults["label"] = asdict(defaults["label"])
    # the YAML also names the model, so that a checkpoint of another one is noticed
    assert run_arguments() == {**defaults, "model": "first_order_gated"}


@pytest.mark.parametrize(
    ("override", "argument", "value"),
    [
        ("retarget.relative=false", "relative", False),
        ("retarget.reference=12", "reference", 12),
        ("faces.box=[1, 2, 30.5, 40]", "box", [1, 2, 30.5, 40]),
        ("clip.truncated=accept", "truncated", "accept"),
        ("watermark.strength=3", "strength", 3),
        ("key=toolkit", "key", "toolkit"),
        ("producer=001191440300708461136T1308L", "producer", "001191440300708461136T1308L"),
        ("motion=first_order", "model", "first_order"),
        ("faces=centre", "faces", "centre"),
    ],
)
def test_an_override_becomes_its_argument(override: str, argument: str, value: object) -> None:
    assert run_arguments([override])[argument] == value


@pytest.mark.parametrize(
    ("override", "item", "value"),
    [
        ("label=none", "text", None),
        ("label=gb45438", "text", "AI生成"),
        ("label=eu", "style", "icon"),
        ("label.size=0.1", "size", 0.1),
        ("label.text=Made by AI, in 2026 = fake", "text", "Made by AI, in 2026 = fake"),
    ],
)
def test_the_label_is_a_group_of_its_own(override: str, item: str, value: object) -> None:
    assert run_arguments([override])["label"][item] == value


@pytest.mark.parametrize("text", ["my model (1), new=2.pt", "{a}", "~/x", "", "'quoted'", "a\\b"])
def test_paths_and_sentences_stay_as_they_are(text: str) -> None:
    arguments = run_arguments([f"motion.checkpoint={text}", f"consent={text}"])
    assert arguments["checkpoint"] == text
    assert arguments["consent"] == text


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("retarget.relativ=false", "did you mean retarget.relative=?"),
        ("reference=3", "did you mean retarget.reference=?"),
        ("anything=1", "unknown override"),
        ("hydra.run.dir=x", "unknown override"),
        ("motion=dream", "first_order_gated"),
        ("motion=null", "first_order_gated"),
        ("+a=1", "adds or removes"),
        ("++seed=1", "adds or removes"),
        ("~seed", "adds or removes"),
        ("seed=1,2", "not one value"),
        ("faces@x=centre", "not one value"),
        ("seed=yes please", "a whole number"),
        ("seed=true", "a whole number"),
        ("seed=${nothing}", "nothing"),
        ("retarget.relative=maybe", "true or false"),
        ("faces.box=10", "a list"),
        ("nonsense", "key=value"),
        ("", "key=value"),
        ("seed=[1", "key=value"),
    ],
)
def test_anything_else_is_one_clear_line(override: str, says: str) -> None:
    with pytest.raises(AnimateError) as caught:
        run_arguments([override])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("group", GROUPS)
def test_every_choice_composes(group: str) -> None:
    assert choices(group)
    for choice in choices(group):
        assert run_arguments([f"{group}={choice}"])


def test_what_comes_out_is_plain() -> None:
    def plain(value: object) -> bool:
        if isinstance(value, list):
            return all(map(plain, value))
        if isinstance(value, dict):
            return all(map(plain, value.values()))
        return value is None or type(value) in (str, int, float, bool)

    assert all(map(plain, run_arguments(["faces.box=[1,2,3,4]"]).values()))
