"""`animate evaluate`: measure a checkpoint on clips it has not seen."""

from __future__ import annotations

import argparse
from typing import Any

from animate.cli.arguments import command, overrides


def register(commands: Any) -> None:
    evaluate = command(commands, "evaluate", call, "measure a checkpoint on clips", "evaluate")
    evaluate.add_argument(
        "overrides",
        nargs="*",
        default=[],
        metavar="KEY=VALUE",
        help="settings: data=CLIPS out=FOLDER checkpoint=FILE ...; all are below",
    )


def call(arguments: argparse.Namespace, others: list[str]) -> int:
    from animate.config import settings

    chosen = settings("evaluate", overrides(arguments, others))
    from animate.evaluation.evaluate import evaluate

    report = evaluate(**chosen, progress=True)
    for method in report.methods:
        means = {m: report.mean(method, m) for m in ("l1", "lpips", "akd", "csim", "mouth_r")}
        shown = [f"{m} {v.value:.4f}" for m, v in means.items() if v is not None]
        print(f"{method}: {', '.join(shown)}")
    print(f"{chosen['out']}/report.md")
    return 0
