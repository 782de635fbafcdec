"""The `animate` command: arguments in, one call, one line of result; all printing is done here.

Each command is a module with `register(commands)`; `COMMANDS` is the order of the help.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from animate import __version__
from animate.cli import streams
from animate.cli.arguments import Parser
from animate.errors import AnimateError
from animate.system.memory import keep_memory
from animate.system.text import safe

COMMANDS = (
    "run",
    "batch",
    "motion",
    "inspect",
    "verify",
    "keys",
    "ledger",
    "prepare",
    "train",
    "evaluate",
    "checkpoint",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 not verified, 2 a user's mistake.

    As a program (argv None) it exits with 141 where the reader of its output has gone, 74 where the
    output can't be written otherwise.
    """
    keep_memory()
    if argv is not None:
        return _run(argv)
    signal.signal(signal.SIGTERM, _stop)
    streams.guard()
    try:
        return _run(argv)
    finally:
        streams.flush()


def _run(argv: Sequence[str] | None) -> int:
    stays = "nothing was left behind"
    try:
        known, others = parser().parse_known_args(argv)
        stays = getattr(known, "stays", stays)
        _in_a_folder()
        return known.call(known, others)
    except AnimateError as error:
        _complain(str(error))
        return error.exit_code
    except OSError as error:  # of a path that nothing else has named
        what = f"{error.filename}: " if error.filename else ""
        _complain(f"{what}{error.strerror or error}: check the path, its rights and the disk")
        return 2
    except KeyboardInterrupt:
        print(f"animate: interrupted, {stays}", file=sys.stderr)
        return 130


def _complain(text: str) -> None:
    print(f"animate: {safe(' '.join(text.split()), 5000)}", file=sys.stderr)


def _in_a_folder() -> None:
    try:
        os.getcwd()
    except OSError as error:
        raise AnimateError("the current folder is gone: change to one that is there") from error


def parser() -> Parser:
    """The command line; it knows names and help texts and imports nothing that works."""
    top = Parser(prog="animate", description="Animate portraits, and verify what was animated.")
    top.add_argument("--version", action="version", version=f"animate {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"animate.cli.{name}").register(commands)
    return top


def _stop(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)  # unwinds, so that a draft is removed
