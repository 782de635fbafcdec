"""`animate train`: train a motion model."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from animate.cli.arguments import add_overrides, command, overrides
from animate.cli.terminal import Terminal


def register(commands: Any) -> None:
    train = command(commands, "train", call, "train a motion model", "train")
    train.set_defaults(stays="saved states stay in out=: the same command resumes")
    train.add_argument(
        "--multirun",
        "-m",
        action="store_true",
        help="one run for each combination of values (key=a,b), in sequence or by hydra/launcher=; "
        "each has its own folder in out=; ends with a table of all",
    )
    add_overrides(train, "settings; all are listed below")


def call(arguments: argparse.Namespace, others: list[str]) -> int:
    from animate.config import settings, sweep

    given = overrides(arguments, others)
    if arguments.multirun:
        out = sweep("train", given, run_one)
        from animate.training.log import compare

        print(compare(out), end="")
        return 0
    chosen = settings("train", given)
    from animate.training.recipe import run

    print(run(chosen, Terminal()))
    return 0


def run_one(chosen: dict[str, Any]) -> None:
    """Run one combination of a sweep; an AnimateError goes to failed.json, and others still run."""
    from animate.errors import AnimateError
    from animate.training.recipe import run

    out = Path(chosen["out"])
    try:
        run(chosen, Terminal())
    except AnimateError as error:
        out.mkdir(parents=True, exist_ok=True)
        (out / "failed.json").write_text(json.dumps({"settings": chosen, "why": str(error)}))
        print(f"animate: run {out.name}: {error}", file=sys.stderr)
