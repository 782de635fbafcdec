"""`animate serve`: open the page, and the API behind it."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from animate.cli.arguments import add_overrides, command, overrides
from animate.options import Serve
from animate.system.settings import kinds


def register(commands: Any) -> None:
    serve = command(
        commands, "serve", call, "open a page that animates, live or by files, and verifies", "run"
    )
    for one in fields(Serve):
        serve.add_argument(
            f"--{one.name}",
            type=next(kind for kind in kinds(Serve, one.name) if kind is not type(None)),
            default=one.default,
            metavar=one.name.upper(),
            help=f"{one.metadata['about']} (default: {one.default})",
        )
    add_overrides(serve, "settings of `animate run` that hold for all visitors")


def call(arguments: argparse.Namespace, others: list[str]) -> int:
    from animate.serve.server import run

    given = overrides(arguments, others)
    if given:
        from animate.config import run_options

        run_options(given)  # raises for a mistake, before the address is shown
    chosen = Serve(**{one.name: getattr(arguments, one.name) for one in fields(Serve)})
    run(chosen, given, announce)
    return 0


def announce(address: str) -> None:
    print(f"animate: {address} (Ctrl-C ends it)", flush=True)
