"""Argument parsing that the commands share: one-line errors, paths, `key=value` settings."""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from animate.errors import AnimateError

LINE = re.compile(r"(\w+): *(.*?) *(?:# *(.*))?")  # of YAML: "key: value  # about"
NARROWEST = 60  # smallest width of the help, columns
COLUMN = 30  # column where the explanation of a setting begins


def width() -> int:
    """Width of the help in columns: the terminal's, at least `NARROWEST`."""
    return max(NARROWEST, shutil.get_terminal_size().columns)


class Formatter(argparse.HelpFormatter):
    def __init__(self, prog: str):
        super().__init__(prog, width=width() - 2)


class Parser(argparse.ArgumentParser):
    """An argument parser with one-line errors, whose help lists the command's settings."""

    configs: str | None = None  # NAME of configs/NAME.yaml

    def __init__(self, **kwargs: Any):
        kwargs.setdefault("formatter_class", Formatter)
        super().__init__(**kwargs)

    def format_help(self) -> str:
        return super().format_help() + (explained(self.configs) if self.configs else "")

    def error(self, message: str) -> NoReturn:
        raise AnimateError(f"{message}: see `{self.prog} --help`")


def command(
    commands: Any, name: str, call: Callable[..., int], about: str, configs: str | None = None
) -> Parser:
    """Add a command, which runs `call(arguments, others)`; `configs` names its settings' file."""
    command: Parser = commands.add_parser(name, help=about, description=about)
    command.configs = configs
    command.set_defaults(call=call, parser=command)
    return command


def some_path(text: str) -> Path:
    """The path of an argument; refuses an empty one, which Path takes as the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty path was given, name a file or a folder")
    return Path(text)


def add_force(parser: argparse.ArgumentParser) -> None:
    """Let a command replace its result."""
    parser.add_argument(
        "--force", action="store_true", help="replace OUT if it exists (default: refuse)"
    )


def add_overrides(parser: Parser, about: str) -> None:
    """Let a command take settings, as `overrides` reads them."""
    parser.add_argument("overrides", nargs="*", default=[], metavar="KEY=VALUE", help=about)


def overrides(arguments: argparse.Namespace, others: list[str]) -> list[str]:
    """All overrides: those before the options, and those in `others`, after them."""
    refuse([text for text in others if text.startswith("-")], arguments)
    return [*arguments.overrides, *others]


def refuse(others: list[str], arguments: argparse.Namespace) -> None:
    """Raise AnimateError for the first of the unknown arguments `others`."""
    if others:
        arguments.parser.error(f"unknown argument {others[0]}")


def explained(command: str) -> str:
    """Help on a command's settings: from `animate.options`, and those of a loss or a model's
    constructor from the comments of their YAML."""
    wide = min(100, width()) - 2
    lines = ["", "settings, with their defaults:"]
    for key, value, about in rows(command):
        left = f"  {key}={value.replace('???', '(required)')}"
        words = textwrap.wrap(about, wide - COLUMN) or [""]
        if len(left) >= COLUMN:
            lines.append(left)
            left = ""
        lines += [
            f"{left:{COLUMN}}{words[0]}".rstrip(),
            *(" " * COLUMN + more for more in words[1:]),
        ]
    return "\n".join(lines) + "\n"


def rows(command: str) -> Iterator[tuple[str, str, str]]:
    """(key, default, explanation) of each setting of a command, and of each group with choices."""
    from animate.config import choices, usual_choices
    from animate.options import Live, settings_of
    from animate.system.settings import shown

    picks, known = usual_choices(command), settings_of(command)
    own = {key: (key, shown(one.default), one.metadata["about"]) for key, (_, one) in known.items()}
    if command == "live":
        own = {key: row for key, row in own.items() if not key.startswith(Live.without)}
    for group, choice in picks.items():
        names = choices(group)
        if len(names) > 1:
            yield group, shown(choice), f"one of {', '.join(names)}"
        within = [own.pop(key) for key in list(own) if key.split(".")[0] == group]
        yield from (row for row in within if row[0] != f"{group}.name")
        if not within and choice:
            yield from yaml_rows(command, group, choice)
    yield from own.values()


def yaml_rows(command: str, group: str, choice: str) -> Iterator[tuple[str, str, str]]:
    """The same of the settings in the file of a choice, except its name."""
    from animate.options import INSTEAD
    from animate.system.paths import folder

    path = folder("configs") / group / f"{choice}.yaml"
    for line in path.read_text(encoding="utf-8").splitlines():
        match = LINE.fullmatch(line)
        if match is None:
            continue
        key, value, about = match.groups()
        if key != "name" and f"{group}.{key}" not in INSTEAD[command]:
            yield f"{group}.{key}", value, about or ""
