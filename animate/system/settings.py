"""Declare a setting: its default, what it may be, and its explanation, in one place."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Union, get_args, get_origin, get_type_hints

from animate.errors import AnimateError

KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    tuple: "a list of numbers",
    type(None): "null",
}


def setting(
    default: Any,
    about: str,
    *,
    words: Sequence[str] = (),
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    verbatim: bool = False,
) -> Any:
    """A field of a `Group`.

    `about` explains it in the help. Text has to be one of `words`, where there are some; a number
    lies in [`least`, `most`], or above `above`. A `verbatim` text is taken from the command line as
    it stands, with its commas, braces and quotes; so is a path.
    """
    rule = {"about": about, "words": words, "least": least, "most": most, "above": above,
            "verbatim": verbatim}  # fmt: skip
    return field(default=default, metadata=rule)


@dataclass(frozen=True)
class Group:
    """Settings that belong together, checked when made. Raises AnimateError for a wrong one."""

    prefix: ClassVar[str] = ""  # what their names begin with on the command line

    def __post_init__(self) -> None:
        for one in fields(self):
            value = checked(self, one)
            object.__setattr__(self, one.name, value)
        self.check()

    def check(self) -> None:
        """Raise AnimateError where settings don't go together."""


def rule(group: type[Group], name: str) -> Mapping[str, Any]:
    """What a group's setting is declared with: its words, bounds and explanation."""
    return next(one.metadata for one in fields(group) if one.name == name)


@cache
def hints(group: type) -> dict[str, Any]:
    return get_type_hints(group)


def kinds(group: type, name: str) -> tuple[type, ...]:
    """The types that a setting may have, without what is in them."""
    hint = hints(group)[name]
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return tuple(get_origin(part) or part for part in parts)


def checked(group: Group, one: Field[Any]) -> Any:
    """The value of a group's field, as it is kept. Raises AnimateError where it may not be."""
    value, allowed = getattr(group, one.name), kinds(type(group), one.name)
    if isinstance(value, (list, tuple)) and tuple in allowed:
        words = one.metadata["words"]
        if all(part in words if words else is_number(part) for part in value):
            return tuple(value)
    if isinstance(value, (str, Path)) and Path in allowed:
        return Path(value)
    if isinstance(value, Path) and one.metadata["verbatim"]:
        return os.fspath(value)
    if not (_fits(value, allowed) and _keeps(value, one.metadata)):
        raise AnimateError(
            f"{group.prefix}{one.name} is {shown(value)}: use {_wanted(allowed, one.metadata)}"
        )
    return value


def shown(value: Any) -> str:
    """A value as it is written on the command line and in YAML."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def is_number(value: Any) -> bool:
    """Whether a value is a number, which true and false are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _fits(value: Any, allowed: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in allowed
    return isinstance(value, allowed) or (isinstance(value, int) and float in allowed)


def _keeps(value: Any, rule: Mapping[str, Any]) -> bool:
    """Whether a value of a right type is a right one."""
    if isinstance(value, str):
        return not rule["words"] or value in rule["words"]
    if not is_number(value):
        return True
    low, high, above = rule["least"], rule["most"], rule["above"]
    return (
        math.isfinite(value)
        and (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or value > above)
    )


def _wanted(allowed: tuple[type, ...], rule: Mapping[str, Any]) -> str:
    """What a setting takes, in words."""
    parts = list(rule["words"])
    if tuple in allowed and parts:
        return f"a list of {', '.join(parts)}"
    for kind in allowed:
        if kind is str and rule["words"]:
            continue
        words = KINDS[kind]
        if kind in (int, float):
            low, high, above = rule["least"], rule["most"], rule["above"]
            words += f" from {low:g}" if low is not None else ""
            words += f" to {high:g}" if high is not None else " on" if low is not None else ""
            words += f" above {above:g}" if above is not None else ""
        parts.append(words)
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"
