"""`animate train`: train a motion model."""

from __future__ import annotations

import argparse
from typing import Any

from animate.cli.arguments import command, overrides


def register(commands: Any) -> None:
    train = command(commands, "train", call, "train a motion model")
    train.add_argument(
        "overrides",
        nargs="*",
        default=[],
        metavar="KEY=VALUE",
        help="settings of configs/train.yaml",
    )


def call(arguments: argparse.Namespace, others: list[str]) -> int:
    from animate.config import settings

    paths = ("out", "start", "data.clips", "data.held_out", "data.landmarks", "data.cache")
    chosen = settings("train", overrides(arguments, others), paths)
    from animate.training.recipe import run

    print(run(chosen))
    return 0
