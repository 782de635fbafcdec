"""Declare a setting in one place: its default, its allowed values and its explanation."""

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

KINDS = {  # types of settings, as error messages name them
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
    """Declare a field of a `Group`.

    `about` explains it in the help. Text must be one of `words`, if any are given; a number must
    lie in [`least`, `most`] and above `above`. A `verbatim` text is taken from the command line
    unchanged, with its commas, braces and quotes; so is a path.
    """
    rule = {"about": about, "words": words, "least": least, "most": most, "above": above,
            "verbatim": verbatim}  # fmt: skip
    return field(default=default, metadata=rule)


@dataclass(frozen=True)
class Group:
    """Settings that belong together, checked on creation. Raises AnimateError for a wrong one."""

    prefix: ClassVar[str] = ""  # of their names on the command line

    def __post_init__(self) -> None:
        for declared in fields(self):
            value = checked(self, declared)
            object.__setattr__(self, declared.name, value)
        self.check()

    def check(self) -> None:
        """Raise AnimateError for settings that contradict each other."""


def rule(group: type[Group], name: str) -> Mapping[str, Any]:
    """The declaration of a group's setting: its words, bounds and explanation."""
    return next(declared.metadata for declared in fields(group) if declared.name == name)


@cache
def hints(group: type) -> dict[str, Any]:
    return get_type_hints(group)


def kinds(group: type, name: str) -> tuple[type, ...]:
    """The types that a setting may have, without their arguments: `tuple`, not `tuple[float]`."""
    hint = hints(group)[name]
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return tuple(get_origin(part) or part for part in parts)


def checked(group: Group, declared: Field[Any]) -> Any:
    """The converted value of a group's field. Raises AnimateError for one that is not allowed."""
    value, allowed = getattr(group, declared.name), kinds(type(group), declared.name)
    if isinstance(value, (list, tuple)) and tuple in allowed:
        words = declared.metadata["words"]
        if all(part in words if words else is_number(part) for part in value):
            return tuple(value)
    if isinstance(value, (str, Path)) and Path in allowed:
        return Path(value)
    if isinstance(value, Path) and declared.metadata["verbatim"]:
        return os.fspath(value)
    if not (_has_type(value, allowed) and _in_bounds(value, declared.metadata)):
        wanted = _wanted(allowed, declared.metadata)
        raise AnimateError(f"{group.prefix}{declared.name} is {shown(value)}: use {wanted}")
    return value


def shown(value: Any) -> str:
    """A value as written on the command line and in YAML."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def is_number(value: Any) -> bool:
    """Whether a value is a number; true and false are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _has_type(value: Any, allowed: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in allowed
    return isinstance(value, allowed) or (isinstance(value, int) and float in allowed)


def _in_bounds(value: Any, rule: Mapping[str, Any]) -> bool:
    """Whether a value of an allowed type is one of the words or within the bounds."""
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
    """The allowed values of a setting, in words."""
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
