"""What the commands share: a parser of one-line complaints, and `key=value` settings."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from animate.errors import AnimateError


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        raise AnimateError(f"{message}: see `{self.prog} --help`")


def command(
    commands: Any, name: str, call: Callable[..., int], about: str
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
    command.set_defaults(call=call, parser=command)
    return command


def overrides(arguments: argparse.Namespace, others: list[str]) -> list[str]:
    """The overrides before and, in `others`, after the options."""
    refuse([text for text in others if text.startswith("-")], arguments)
    return [*arguments.overrides, *others]


def refuse(others: list[str], arguments: argparse.Namespace) -> None:
    if others:
        arguments.parser.error(f"unknown argument {others[0]}")


def frames(count: int) -> str:
    """A number of frames in words."""
    return f"{count} frame" + "s" * (count != 1)


def safe(text: str, most: int = 500) -> str:
    """Text that can't move a terminal's cursor or break a line, of `most` characters of it."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:most])
    return shown.encode("utf-8", "backslashreplace").decode() + ("..." if len(text) > most else "")
