"""The `animate` command: arguments in, one call, one line of result; all printing is done here.

Each command is a module with `register(commands)`; `COMMANDS` is the order of the help.
"""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from animate import __version__
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
    """Run the command and return its exit code: 0 done, 1 not verified, 2 a user's mistake."""
    keep_memory()
    if argv is None:
        signal.signal(signal.SIGTERM, _stop)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # names that its encoding lacks
    try:
        known, others = parser().parse_known_args(argv)
        return known.call(known, others)
    except AnimateError as error:
        print(f"animate: {safe(' '.join(str(error).split()), 5000)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("animate: interrupted, nothing was left behind", file=sys.stderr)
        return 130


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
