"""`animate prepare`: cut raw videos into training clips."""

from __future__ import annotations

import argparse
from typing import Any

from animate.cli.arguments import add_overrides, command, overrides, some_path
from animate.cli.terminal import Terminal


def register(commands: Any) -> None:
    prepare = command(commands, "prepare", call, "cut raw videos into training clips", "prepare")
    prepare.set_defaults(stays="finished clips stay in DEST: the same command resumes")
    prepare.add_argument(
        "source",
        type=some_path,
        metavar="SOURCE",
        help="a folder of videos, a folder with one folder for each person, or a metadata CSV",
    )
    prepare.add_argument("dest", type=some_path, metavar="DEST", help="folder for train/ and val/")
    add_overrides(prepare, "settings; all are listed below")


def call(arguments: argparse.Namespace, others: list[str]) -> int:
    from animate.config import settings

    chosen = settings("prepare", overrides(arguments, others))
    from animate.data.prepare import prepare
    from animate.options import Preparation, Wanted

    wanted = Wanted(**chosen.pop("wanted"))
    how = Preparation(**chosen)
    summary = prepare(arguments.source, arguments.dest, how, wanted, observer=Terminal())
    print(summary.markdown(), end="")
    return 0
