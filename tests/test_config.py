"""Settings: what may be overridden becomes plain arguments, all else is one clear line."""

from __future__ import annotations

import inspect
from dataclasses import asdict
from pathlib import Path

import pytest

from animate.config import GROUPS, choices, run_arguments, settings, sweep
from animate.errors import AnimateError

# what options of the command say, or arguments that are no settings
COMMAND = ("compare", "columns", "force", "progress", "say")


def test_yaml_and_portrait_have_the_same_defaults() -> None:
    from animate.inference.portrait import portrait

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


ODD = ["a b", "a,b", "a=b", "it's", "{a}: [b] (c)", "x\\", "\\'", "${oc.env:HOME}", "~/ä", "#1"]
TEXTS = {
    "train": ("out", "start", "data.clips", "data.held_out", "data.landmarks", "data.person",
              "data.cache", "loss.weights"),
    "evaluate": ("checkpoint", "data", "out", "pairs", "landmarks_file", "lpips", "inception"),
    "prepare": ("videos", "rights"),
}  # fmt: skip


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("command", TEXTS)
def test_texts_of_the_other_commands_stay_as_they_are(command: str, text: str) -> None:
    tree = settings(command, [f"{key}={text}" for key in TEXTS[command]])
    for key in TEXTS[command]:
        node = tree
        for step in key.split("."):
            node = node[step]
        assert node == text


def test_numbers_and_choices_of_the_other_commands_are_none() -> None:
    tree = settings("train", ["out=x", "data=drawn", "hours=0.5", "start=null", "optim.rate=4e-4"])
    assert (tree["data"]["clips"], tree["hours"], tree["start"]) == ("drawn", 0.5, None)
    assert tree["optim"]["rate"] == 4e-4


def test_texts_of_a_sweep_stay_as_they_are(tmp_path: Path) -> None:
    met = []
    odd = tmp_path / "a b=c {d}"
    given = [f"out={tmp_path}/all runs", f"data.clips={odd},it's", "seed=1,2", "data.person=p (1)"]
    sweep("train", given, met.append)
    assert {(m["data"]["clips"], m["seed"]) for m in met} == {
        (clips, seed) for clips in (str(odd), "it's") for seed in (1, 2)
    }
    assert {m["data"]["person"] for m in met} == {"p (1)"}
