"""`animate batch`: animate many photos by many clips, with one report."""

from __future__ import annotations

import argparse
from collections.abc import Generator, Iterable
from typing import Any, TypeVar

from animate.cli.arguments import add_overrides, command, overrides, some_path
from animate.cli.terminal import Terminal
from animate.system.text import frames, safe

Item = TypeVar("Item")


def register(commands: Any) -> None:
    batch = command(
        commands, "batch", call, "animate the rows of a CSV or the photos of a folder", "run"
    )
    batch.set_defaults(
        stays="finished results and batch.jsonl stay: the same command without --force resumes"
    )
    batch.add_argument(
        "jobs",
        type=some_path,
        metavar="JOBS",
        help="a folder of photos, or a CSV in UTF-8 with the columns photo, clip (unless --clip is "
        "given), out (default: the photo's name) and any settings, such as faces.which; its paths "
        "are relative to it",
    )
    batch.add_argument(
        "-o",
        "--out",
        type=some_path,
        required=True,
        metavar="FOLDER",
        help="folder for the results, report.html and batch.jsonl; results already in it are kept",
    )
    batch.add_argument(
        "--clip",
        type=some_path,
        help="driver of rows without a clip: a video, or a motion template",
    )
    batch.add_argument(
        "--workers", type=int, default=1, help="processes in parallel, 1 or more (default: 1)"
    )
    batch.add_argument(
        "--force", action="store_true", help="do everything again, and replace existing results"
    )
    add_overrides(batch, "settings for every row; all are listed below")


def call(arguments: argparse.Namespace, others: list[str]) -> int:
    from animate.config import run_options

    settings = overrides(arguments, others)
    run_options(settings)  # raises once for a mistake that every row would repeat
    from animate.inference.batch import REPORT, read_jobs, run_jobs

    terminal = BatchTerminal()
    jobs = read_jobs(arguments.jobs, arguments.out, arguments.clip, settings, terminal)
    outcomes = run_jobs(
        jobs, arguments.out, workers=arguments.workers, force=arguments.force, observer=terminal
    )
    failed = sum(bool(outcome.error) for outcome in outcomes)
    print(f"{arguments.out / REPORT}: {len(outcomes) - failed} published, {failed} failed")
    return 2 if failed else 0


class BatchTerminal(Terminal):
    """Prints each outcome of a batch in a line of standard output."""

    def watch(
        self, items: Iterable[Item], total: int | None = None, unit: str = "frame"
    ) -> Generator[Item, None, None]:
        for outcome in super().watch(items, total, unit):
            self.print(summary(outcome))
            yield outcome


def summary(outcome: Any) -> str:
    """The outcome of a job in one line."""
    if outcome.error:
        return safe(f"{outcome.photo}: failed: {outcome.error}", 5000)
    kept = ", kept from before" if outcome.kept else f" in {outcome.seconds:.1f} s"
    return f"{outcome.out}: {frames(outcome.frames)}{kept}, {outcome.verdict}"
