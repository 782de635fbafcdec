"""Every setting has one home, and one that does nothing is refused in a line, not ignored."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from conftest import tiny

from animate.cli import main
from animate.config import choices, settings
from animate.data.prepare import prepare
from animate.errors import AnimateError
from animate.options import (
    Augment,
    Data,
    Faces,
    Label,
    Optim,
    Options,
    Paste,
    Preparation,
    Retarget,
    Training,
    Wanted,
    settings_of,
)
from animate.system.settings import Group
from animate.training.loop import train


def plain(values: dict[str, Any]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def defaults(group: type[Group]) -> dict[str, Any]:
    return plain({one.name: one.default for one in fields(group)})


def test_the_yaml_of_training_holds_the_defaults_of_its_options() -> None:
    tree = settings("train", ["out=o", "data.clips=c"])
    assert tree["optim"] == defaults(Optim)
    assert tree["data"].pop("augment") == defaults(Augment)
    assert tree["data"] == defaults(Data) | {"clips": "c"}
    assert {name: tree[name] for name in defaults(Training)} == defaults(Training) | {"out": "o"}
    assert set(tree) == {"data", "optim", "motion", "loss", *defaults(Training)}


def test_the_yaml_of_preparing_holds_the_defaults_of_its_options() -> None:
    tree = settings("prepare")
    assert tree.pop("wanted") == defaults(Wanted)
    assert tree == defaults(Preparation)


def test_the_training_loop_has_the_defaults_of_its_options() -> None:
    usual = defaults(Optim) | defaults(Training) | defaults(Data)
    own = inspect.signature(train).parameters.values()
    shared = {one.name: one.default for one in own if one.kind is one.KEYWORD_ONLY}
    shared = plain({name: value for name, value in shared.items() if name in usual})
    assert len(shared) > 15
    assert shared == {name: usual[name] for name in shared}


@pytest.mark.parametrize("command", ["run", "train", "evaluate", "prepare"])
def test_the_help_names_every_setting(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    said = capsys.readouterr().out
    hidden = {"motion.name", "faces.name", "paste.name"}  # listed as motion=, faces=, paste=
    absent = {key for key in settings_of(command) if f" {key}=" not in said}
    assert absent == (hidden if command == "run" else set())
    for _, one in settings_of(command).values():
        assert one.metadata["about"]


WRONG = {
    "train": {
        "motion.checkpoint=nowhere": "use start=CHECKPOINT",
        "hydra.run.dir=x": "unknown override",
        "experiment=foo": "experiment is one of gated_128",
        "optim.step=1": "did you mean optim.steps=?",
        "optim.rate=1e-3": "no setting optim.rate: use optim.lr",
        "+colour=1": "adds or removes",
        "~seed": "adds or removes",
        "keep=0": "keep is 0: use a whole number from 1 on",
        "hours=-1": "hours is -1: use a number above 0",
        "hours=x": "hours is x: use a number above 0",
        "seed=x": "seed is x",
        "optim.betas=[1]": "a list of 2 numbers",
        "freeze=mouth": "freeze is mouth: use a list of names",
        "data.size=0": "from 16 to 4096",
        "data.landmarks=/no": "data.landmarks does nothing with data.clips=drawn",
        "loss.pixels=x": "loss.pixels is x: use a number",
        "motion.arguments=5": "use a mapping",
        "data.cache=": "data.cache is empty",
    },
    "prepare": {
        "wanted.size=x": "wanted.size is x",
        "wanted.size=256.5": "wanted.size is 256.5",
        "wanted.sharpness=nan": "wanted.sharpness is nan",
        "wanted.outside=-1": "wanted.outside is -1",
        "wanted={}": "did you mean wanted.",
        "seed=x": "seed is x",
        "size=3": "did you mean wanted.size=?",
    },
    "evaluate": {
        "thread=2": "did you mean threads=?",
        "pairs=": "pairs is empty",
        "data=": "data is empty",
        "every=0": "every is 0",
    },
}
GIVEN = {"train": ["out=x", "data=drawn"], "prepare": [], "evaluate": ["data=d", "out=o"]}


@pytest.mark.parametrize(
    ("command", "override", "says"),
    [(command, *row) for command, found in WRONG.items() for row in found.items()],
)
def test_a_wrong_setting_is_refused_at_once(command: str, override: str, says: str) -> None:
    with pytest.raises(AnimateError) as caught:
        settings(command, [*GIVEN[command], override])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("group", "value", "says"),
    [
        (Optim, {"steps": -1}, "optim.steps is -1"),
        (Optim, {"batch": 0}, "optim.batch is 0"),
        (Optim, {"betas": (0.5, 1)}, "optim.betas is"),
        (Training, {"out": "o", "save_every": 0}, "save_every is 0"),
        (Training, {"out": "o", "log_every": 0}, "log_every is 0"),
        (Training, {}, "out is missing"),
        (Preparation, {"rate": "x"}, "rate is x"),
        (Preparation, {"workers": "x"}, "workers is x"),
        (Preparation, {"held_out": 1}, "held_out is 1: use a number from 0 below 1"),
        (Wanted, {"shortest": 3, "longest": 2}, "above wanted.longest"),
        (Paste, {"name": "crop", "mask": "oval"}, "paste.mask does nothing with paste=crop"),
        (Paste, {"name": "crop", "size": None}, "paste.size does nothing"),
        (Label, {"text": None, "size": 0.1}, "label.size does nothing without a label"),
        (Faces, {"name": "centre", "weights": "w"}, "faces.weights does nothing"),
        (Faces, {"name": "centre", "which": 2}, "faces.which does nothing with faces=centre"),
        (Faces, {"box": (0, 0, 50, 50), "which": "all"}, "faces.which does nothing"),
        (Faces, {"clip_box": (0, 0, 50, 50), "clip_which": 2}, "faces.clip_which does nothing"),
        (Retarget, {"relative": False, "reference": 3}, "retarget.reference does nothing"),
        (Retarget, {"relative": False, "adapt_scale": False}, "retarget.adapt_scale does"),
    ],
)
def test_a_wrong_value_of_a_group_is_refused(
    group: type[Group], value: dict[str, Any], says: str
) -> None:
    with pytest.raises(AnimateError) as caught:
        group(**value)
    assert says in str(caught.value)


def test_a_comparison_has_no_paste_and_no_columns() -> None:
    with pytest.raises(AnimateError, match=r"paste\.mask does nothing in a comparison"):
        Options().changed(compare="plain", mask="oval")
    with pytest.raises(AnimateError, match="columns does nothing in a comparison"):
        Options().changed(compare="plain", columns=2)


def test_the_order_of_keywords_does_not_matter() -> None:
    crop = Options().changed(paste="crop")
    assert crop.changed(mask="oval", paste="photo").paste == Paste(mask="oval")
    assert Options().changed(label={"size": 0.1}).changed(label=None).label == Label(text=None)


def test_infinity_is_for_settings_that_name_it() -> None:
    assert Optim(clip_norm=float("inf")).clip_norm == float("inf")
    with pytest.raises(AnimateError, match=r"optim\.lr is inf"):
        Optim(lr=float("inf"))
    assert choices("optim") == ["adam", "published"]


def test_a_folder_of_videos_takes_no_list_of_videos(tmp_path: Path) -> None:
    with pytest.raises(AnimateError, match="videos does nothing for a folder of videos"):
        prepare(tmp_path, tmp_path / "out", videos=tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def still(world: Path) -> list[str]:
    return ["run", str(world / "photo.png"), str(world / "photo.png"), *tiny(world)]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["clip.times=3"], "clip.times does nothing with a picture as driver"),
        (["clip.start=1"], "clip.start does nothing with a picture as driver"),
        (["retarget.smoothing=2"], "retarget.smoothing does nothing with a picture"),
        (["clip.truncated=accept"], "clip.truncated does nothing with a picture"),
        (["--columns", "2"], "--columns does nothing without --tile"),
    ],
)
def test_what_a_still_can_not_honour_is_refused(
    still: list[str], given: list[str], says: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert main([*still, "-o", str(tmp_path / "o.png"), *given]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
