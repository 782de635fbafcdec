"""Which settings each command takes, by their names on the command line."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any

from animate.options.evaluation import Evaluation, EvaluationFolders
from animate.options.groups import Compute, MotionModel
from animate.options.live import Live
from animate.options.preparation import Preparation, Wanted
from animate.options.run import RENAMED, groups
from animate.options.training import Augment, Data, Optim, Training
from animate.system.settings import Group

Setting = tuple[type[Group], Field[Any]]

# Names that are no settings of a command, and what to do instead.
INSTEAD = {
    "run": RENAMED,
    "live": RENAMED,
    "train": {
        "motion.checkpoint": "use start=CHECKPOINT for weights to start from",
        "optim.rate": "use optim.lr",
    },
}


def settings_of(command: str) -> dict[str, Setting]:
    """The settings of `animate run`, `live`, `train`, `evaluate` or `prepare`, by name.

    Those of a loss or of a motion model's constructor are not among them: its class and its YAML
    declare them.
    """
    if command == "run":
        return _all(*run_groups().values())
    if command == "live":
        return _all(Live, *run_groups().values())
    if command == "train":
        return _all(Training, Data, Augment, Optim)
    if command == "prepare":
        return _all(Wanted, Preparation)
    one_model = {
        "checkpoint": _one(MotionModel, "checkpoint"),
        "motion": _one(MotionModel, "name"),
        **{name: _one(Compute, name) for name in ("device", "precision", "threads")},
    }
    return _all(EvaluationFolders) | one_model | _all(Evaluation)


def run_groups() -> dict[str, type[Group]]:
    """The groups of `animate run`; the layout is options of the command, such as --compare."""
    return {name: group for name, group in groups().items() if name != "layout"}


def _all(*those: type[Group]) -> dict[str, Setting]:
    return {f"{group.prefix}{one.name}": (group, one) for group in those for one in fields(group)}


def _one(group: type[Group], name: str) -> Setting:
    return group, next(one for one in fields(group) if one.name == name)
