"""Settings: what may be overridden becomes plain arguments, all else is one clear line."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from animate.config import GROUPS, choices, run_options, settings, sweep
from animate.errors import AnimateError
from animate.options import (
    Compute,
    Evaluation,
    MotionModel,
    Options,
    Recipe,
    Retarget,
    settings_of,
)


def test_the_yaml_changes_no_default() -> None:
    # but names the model, so that a checkpoint of another one is noticed
    assert run_options() == Options().changed(motion="first_order_gated")


def test_every_setting_explains_itself() -> None:
    for name, (group, one) in settings_of("run").items():
        assert one.metadata["about"], name
        assert name.startswith(group.prefix)


@pytest.mark.parametrize(
    ("override", "group", "name", "value"),
    [
        ("retarget.relative=false", "retarget", "relative", False),
        ("retarget.reference=12", "retarget", "reference", 12),
        ("faces.box=[1, 2, 30.5, 40]", "faces", "box", (1, 2, 30.5, 40)),
        ("clip.truncated=accept", "clip", "truncated", "accept"),
        ("watermark.strength=3", "watermark", "strength", 3),
        ("key=toolkit", "statement", "key", "toolkit"),
        ("producer=001191440300708461136T1308L", "statement", "producer",
         "001191440300708461136T1308L"),
        ("motion=first_order", "motion", "name", "first_order"),
        ("faces=centre", "faces", "name", "centre"),
        ("faces.weights=null", "faces", "weights", None),
        ("label=none", "label", "text", None),
        ("label=gb45438", "label", "text", "AI生成"),
        ("label=eu", "label", "style", "pill"),
        ("label.size=0.1", "label", "size", 0.1),
        ("label.text=Made by AI, in 2026 = fake", "label", "text", "Made by AI, in 2026 = fake"),
    ],
)  # fmt: skip
def test_an_override_becomes_a_setting(override: str, group: str, name: str, value: object) -> None:
    assert getattr(getattr(run_options([override]), group), name) == value


@pytest.mark.parametrize("text", ["my model (1), new=2.pt", "{a}", "~/x", "", "'quoted'", "a\\b"])
def test_paths_and_sentences_stay_as_they_are(text: str) -> None:
    options = run_options([f"motion.checkpoint={text}", f"consent={text}"])
    assert options.motion.checkpoint == text
    assert options.statement.consent == text


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
        ("++threads=1", "adds or removes"),
        ("~threads", "adds or removes"),
        ("threads=1,2", "not one value"),
        ("faces@x=centre", "not one value"),
        ("clip.times=yes please", "a whole number"),
        ("clip.times=true", "a whole number"),
        ("clip.times=0", "from 1 to 10000"),
        ("clip.times=${nothing}", "holds ${...}"),
        ("retarget.relative=maybe", "true or false"),
        ("retarget.smoothing=0", "above 0"),
        ("paste.mask=star", "square or oval"),
        ("paste.margin=0.9", "0.02 to 0.5"),
        ("faces.box=10", "faces.box is 10: use a list of 4 numbers"),
        ("faces.box=[1,2,3]", "faces.box is [1, 2, 3]: use a list of 4 numbers"),
        ("faces.box=[1,2,3,4]", "faces.box is [1, 2, 3, 4], which is too small"),
        ("producer=ä", "producer is 'ä': use 1 to 4096 printable ASCII"),
        (f"consent={'x' * 16_001}", "consent is longer than 16000 characters"),
        ("detector= ", "detector is ' ': give an address or a command"),
        ("detector=a\x1b[2J", "give an address or a command, printable"),
        ("clip.times=1000000000", "from 1 to 10000"),
        ("retarget.mouth=1e9", "from 0 to 5"),
        ("retarget.mouth=-1", "from 0 to 5"),
        ("label.font=", "label.font is empty"),
        ("faces.weights=", "faces.weights is empty"),
        ("seed=3", "nothing at random"),
        ("nonsense", "key=value"),
        ("", "key=value"),
        ("threads=[1", "key=value"),
    ],
)
def test_anything_else_is_one_clear_line(override: str, says: str) -> None:
    with pytest.raises(AnimateError) as caught:
        run_options([override])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "keywords",
    [
        {"retarget": Retarget(mouth=1.3)},
        {"retarget": {"mouth": 1.3}},
        {"mouth": 1.3},
    ],
)
def test_python_changes_settings_by_group_or_by_name(keywords: dict[str, Any]) -> None:
    options = Options().changed(**keywords, faces="centre", label=None, consent="Ada agreed")
    assert list(options.differing()) == [
        "faces.name", "retarget.mouth", "label.text", "consent",
    ]  # fmt: skip
    assert options.retarget.amplify == {"mouth": 1.3}
    assert options.visible_label is None


@pytest.mark.parametrize("keyword", ["mouths", "name", "size_", "position", "model"])
def test_a_keyword_that_is_no_setting_is_refused(keyword: str) -> None:
    with pytest.raises(AnimateError, match="no setting"):
        Options().changed(**{keyword: 1})


def test_a_setting_that_would_do_nothing_is_refused() -> None:
    options = Options().changed(times=2)
    with pytest.raises(AnimateError, match=r"clip\.times does nothing for a still"):
        options.refuse_others({"clip.start"}, "a still")
    options.refuse_others({"clip.times"}, "a still")


@pytest.mark.parametrize("group", GROUPS)
def test_every_choice_composes(group: str) -> None:
    assert choices(group)
    for choice in choices(group):
        assert run_options([f"{group}={choice}"])


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


def test_the_yaml_of_an_evaluation_holds_the_defaults_of_its_options() -> None:
    tree = settings("evaluate", ["data=d", "out=o"])
    usual = {one.name: getattr(Evaluation(), one.name) for one in fields(Evaluation)}
    usual |= {"checkpoint": MotionModel().checkpoint, "motion": None, "data": "d", "out": "o"}
    usual |= {name: getattr(Compute(), name) for name in ("device", "precision", "threads")}
    assert {k: tuple(v) if isinstance(v, list) else v for k, v in tree.items()} == usual


def test_numbers_and_choices_of_the_other_commands_are_none() -> None:
    tree = settings("train", ["out=x", "data=drawn", "hours=0.5", "start=null", "optim.lr=4e-4"])
    assert (tree["data"]["clips"], tree["hours"], tree["start"]) == ("drawn", 0.5, None)
    assert tree["optim"]["lr"] == 4e-4


def test_a_recipe_recorded_by_an_earlier_version_is_read() -> None:
    tree = settings("train", ["out=x", "data=drawn", "optim.lr=1e-3"])
    tree["optim"]["rate"] = tree["optim"].pop("lr")
    assert Recipe.of(tree).optim.lr == 1e-3


def test_a_file_that_sets_what_is_no_setting_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.setattr("animate.config.folder", lambda name: tmp_path / name)
    path = tmp_path / "configs/experiment/mine.yaml"
    for key, hint in (("rate", r"use optim\.lr"), ("stpes", r"did you mean optim\.steps=")):
        path.write_text(f"# @package _global_\noptim:\n  {key}: 1\n")
        with pytest.raises(AnimateError, match=rf"optim\.{key}, which is no setting: {hint}"):
            settings("train", ["out=x", "data=drawn", "experiment=mine"])


def test_texts_of_a_sweep_stay_as_they_are(tmp_path: Path) -> None:
    met = []
    odd = tmp_path / "a b=c {d}"
    given = [f"out={tmp_path}/all runs", f"data.clips={odd},it's", "seed=1,2", "data.person=p (1)"]
    sweep("train", given, met.append)
    assert {(m["data"]["clips"], m["seed"]) for m in met} == {
        (clips, seed) for clips in (str(odd), "it's") for seed in (1, 2)
    }
    assert {m["data"]["person"] for m in met} == {"p (1)"}


SECRET = "oc.env:ANIMATE_SECRET"
REFERENCES = [f"${{{SECRET}}}", f"a ${{{SECRET}}} b", f"[${{{SECRET}}}]", f"'${{{SECRET}}}'",
              f'"${{{SECRET}}}"', f"{{a: ${{{SECRET}}}}}", f"${{oc.decode:${{{SECRET}}}}}",
              f"\\\\${{{SECRET}}}", f"choice(${{{SECRET}}})", "${threads}"]  # fmt: skip


def told(call: Callable[[], Any]) -> str:
    """What a call returns or refuses, as text."""
    try:
        return str(call())
    except AnimateError as error:
        return str(error)


@pytest.mark.parametrize("reference", REFERENCES)
def test_no_text_reads_the_environment(
    reference: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANIMATE_SECRET", "81726354")
    options = run_options([f"{key}={reference}" for key in ("consent", "label.text")])
    assert "81726354" not in str(options)
    assert options.statement.consent == reference
    met: list[Any] = []
    with contextlib.suppress(AnimateError):
        sweep("train", [f"out={tmp_path}", f"data.clips={reference},it's"], met.append)
    assert "81726354" not in str([m["data"]["clips"] for m in met])


@pytest.mark.parametrize("key", ["producer", "motion.checkpoint", "threads", "faces"])
def test_no_setting_says_what_it_would_have_read(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMATE_SECRET", "81726354")
    said = told(lambda: run_options([f"{key}={REFERENCES[0]}"]))
    assert "81726354" not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("command", "key"), [("train", "out"), ("train", "experiment"), ("evaluate", "out")]
)
def test_no_setting_of_a_command_reads_the_environment(
    command: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANIMATE_SECRET", "81726354")
    assert "81726354" not in told(lambda: settings(command, [f"{key}={REFERENCES[0]}"]))
