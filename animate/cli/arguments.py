"""Argument parsing that the commands share: one-line errors, paths, `key=value` settings."""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from animate.errors import AnimateError

# A line of YAML: "  key: value  # about", or "  - group: choice" in the list of defaults.
LINE = re.compile(r"( *)(- )?(?:optional )?(\w+): *(.*?) *(?:# *(.*))?")
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


def explained(name: str) -> str:
    """Help on a command's settings: those of `run` and `live` from `animate.options`, another's
    from the comments of configs/NAME.yaml and its groups."""
    from animate.system.paths import folder

    tables = {"run": run_rows, "live": live_rows}
    rows = tables[name]() if name in tables else _yaml_rows(folder("configs") / f"{name}.yaml")
    wide = min(100, width()) - 2
    lines = ["", "settings, with their defaults:"]
    for key, value, about in rows:
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


def run_rows() -> Iterator[tuple[str, str, str]]:
    """(key, default, explanation) of each setting of a run, and of each group with choices."""
    from animate.config import GROUPS, choices, usual_choices
    from animate.options import groups
    from animate.system.settings import shown

    defaults = usual_choices("run")
    for name, group in groups().items():
        names = choices(name) if name in GROUPS else []
        if len(names) > 1:
            yield name, defaults[name], f"one of {', '.join(names)}"
        for one in fields(group):
            if name != "layout" and not (one.name == "name" and name in GROUPS):
                yield f"{group.prefix}{one.name}", shown(one.default), one.metadata["about"]


def live_rows() -> Iterator[tuple[str, str, str]]:
    """As `run_rows`, for `animate live`: its own settings, and those of a run that it heeds."""
    from animate.options import Live
    from animate.system.settings import shown

    for one in fields(Live):
        yield f"{Live.prefix}{one.name}", shown(one.default), one.metadata["about"]
    yield from (row for row in run_rows() if not row[0].startswith(Live.without))


def _yaml_rows(path: Path, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """(key, default, explanation) of each setting in a file of configs/ and its groups' files."""
    section = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        match = LINE.fullmatch(line)
        if match is None:
            continue
        indent, item, key, value, about = match.groups()
        if item:
            names = sorted(other.stem for other in (path.parent / key).glob("*.yaml"))
            if len(names) > 1:
                yield key, value, f"one of {', '.join(names)}"
            if value in names:
                yield from _yaml_rows(path.parent / key / f"{value}.yaml", f"{key}.")
        elif not value:
            section = f"{key}."
        elif key != "name" and not (indent and section in ("hydra.", "sweep.")):
            yield prefix + (section if indent else "") + key, value, about or ""
