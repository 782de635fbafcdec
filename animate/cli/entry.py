"""The program `animate`: pick the command, run it, and return its exit code.

Each command is a module with `register(commands)`; `COMMANDS` lists them in the order of the help.
"""

from __future__ import annotations

import os
import signal
import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from animate import __version__
from animate.cli import streams
from animate.cli.arguments import Parser
from animate.cli.warnings import warn
from animate.errors import AnimateError
from animate.system.memory import keep_memory

COMMANDS = (
    "run",
    "batch",
    "live",
    "template",
    "inspect",
    "verify",
    "serve",
    "keys",
    "ledger",
    "prepare",
    "train",
    "evaluate",
    "checkpoint",
)
FORMER = {"motion": "template"}  # commands of earlier versions, and their names today


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 not verified, 2 user error.

    As a program (argv None) it exits with 141 if the reader of its output has gone, and with 74 if
    the output can't be written for another reason.
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
    known = Namespace()
    try:
        _refuse_former(sys.argv[1:] if argv is None else argv)
        known, others = parser().parse_known_args(argv)
        _check_current_folder()
        return known.call(known, others)
    except AnimateError as error:
        warn(str(error))
        return error.exit_code
    except OSError as error:  # raised where no AnimateError names the path
        what = f"{error.filename}: " if error.filename else ""
        warn(f"{what}{error.strerror or error}: check the path, its permissions and the disk")
        return 2
    except KeyboardInterrupt:
        stays = getattr(known, "stays", "nothing was left behind")
        print(f"animate: interrupted, {stays}", file=sys.stderr)
        return 130


def _refuse_former(given: Sequence[str]) -> None:
    now = FORMER.get(given[0]) if given else None
    if now:
        raise AnimateError(f"`animate {given[0]}` is called `animate {now}` now: use that")


def _check_current_folder() -> None:
    try:
        os.getcwd()
    except OSError as error:
        raise AnimateError("the current folder was deleted: change to another") from error


def parser() -> Parser:
    """The parser of the command line; building it imports only names and help texts."""
    top = Parser(prog="animate", description="Animate portraits, and verify animated files.")
    top.add_argument("--version", action="version", version=f"animate {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"animate.cli.{name}").register(commands)
    return top


def _stop(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)  # unwinds the stack, so that drafts are removed
