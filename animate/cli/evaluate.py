"""`animate evaluate`: measure a checkpoint on held-out clips."""

from __future__ import annotations

import argparse
from typing import Any

from animate.cli.arguments import add_overrides, command, overrides


def register(commands: Any) -> None:
    evaluate = command(commands, "evaluate", call, "measure a checkpoint on clips", "evaluate")
    add_overrides(evaluate, "settings: data=CLIPS out=FOLDER checkpoint=FILE ...; all are below")


def call(arguments: argparse.Namespace, others: list[str]) -> int:
    from animate.config import settings

    chosen = settings("evaluate", overrides(arguments, others))
    from animate.cli.terminal import Terminal
    from animate.evaluation.evaluate import evaluate
    from animate.evaluation.report import movement_lines, summary_line

    report = evaluate(**chosen, observer=Terminal())
    for method in report.methods:
        print(f"{method}: {summary_line(report, method)}")
    for line in movement_lines(report):
        print(line)
    print(f"{chosen['out']}/report.md")
    return 0
