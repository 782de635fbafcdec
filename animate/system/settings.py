"""Declare a setting in one place: its default, its allowed values and its explanation."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

from animate.errors import AnimateError

REQUIRED = "???"  # default of a setting that must be given, as in YAML

KINDS = {  # types of settings, as error messages name them
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
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
    below: float | None = None,
    count: int | None = None,
    infinite: bool = False,
    verbatim: bool = False,
) -> Any:
    """Declare a field of a `Group`.

    `about` explains it in the help. Text must be one of `words`, if any are given; a number must
    lie in [`least`, `most`], above `above` and below `below`, and be finite unless `infinite`. All
    this holds for each item of a list, too, which has `count` items if that is given. A `verbatim`
    text is taken from the command line unchanged, with its commas, braces and quotes; so is a path.
    """
    rule = {"about": about, "words": words, "least": least, "most": most, "above": above,
            "below": below, "count": count, "infinite": infinite, "verbatim": verbatim}  # fmt: skip
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

    def refuse(self, names: Collection[str], why: str) -> None:
        """Raise AnimateError if one of these settings, which do nothing here, was changed.

        `why` says where they do nothing, as "with paste=crop" does.
        """
        for one in fields(self):
            if one.name in names and getattr(self, one.name) != one.default:
                raise AnimateError(f"{self.prefix}{one.name} does nothing {why}: leave it out")


AnyGroup = TypeVar("AnyGroup", bound=Group)


def changed(group: AnyGroup, values: Mapping[str, Any]) -> AnyGroup:
    """A group with some values changed. Raises AnimateError for unknown names and wrong values."""
    known = [one.name for one in fields(group)]
    unknown = [name for name in values if name not in known]
    if unknown:
        raise AnimateError(
            f"there is no setting {group.prefix}{unknown[0]}: use one of {', '.join(sorted(known))}"
        )
    return replace(group, **values)


def rule(group: type[Group], name: str) -> Mapping[str, Any]:
    """The declaration of a group's setting: its words, bounds and explanation."""
    return next(declared.metadata for declared in fields(group) if declared.name == name)


@cache
def _parts(group: type, name: str) -> tuple[Any, ...]:
    """The types that a setting may have: `tuple[float, ...]` and `NoneType`, for example."""
    hint = get_type_hints(group)[name]
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def kinds(group: type, name: str) -> tuple[type, ...]:
    """The types that a setting may have, without their arguments: `tuple`, not `tuple[float]`."""
    return tuple(get_origin(part) or part for part in _parts(group, name))


def verbatim(group: type, declared: Field[Any]) -> bool:
    """Whether a setting's value is taken from the command line as it stands."""
    return declared.metadata["verbatim"] or Path in kinds(group, declared.name)


def checked(group: Group, declared: Field[Any]) -> Any:
    """The converted value of a group's field. Raises AnimateError for one that is not allowed."""
    value, name, rule = getattr(group, declared.name), declared.name, declared.metadata
    allowed = kinds(type(group), name)
    if value == REQUIRED:
        raise AnimateError(f"{group.prefix}{name} is missing: add {group.prefix}{name}=VALUE")
    if Path in allowed and isinstance(value, (str, Path)):
        if value in rule["words"]:
            return value
        if not str(value):
            raise AnimateError(f"{group.prefix}{name} is empty: name a file or a folder")
        return Path(value)
    if isinstance(value, Path) and rule["verbatim"]:
        return os.fspath(value)
    if isinstance(value, (list, tuple)) and tuple in allowed:
        item, right = _item(type(group), name), rule["count"] in (None, len(value))
        if right and all(_has_type(v, (item,)) and _in_bounds(v, rule) for v in value):
            return tuple(value)
    elif _has_type(value, allowed) and _in_bounds(value, rule):
        return value
    wanted = _wanted(type(group), name, rule)
    raise AnimateError(f"{group.prefix}{name} is {shown(value)}: use {wanted}")


def _item(group: type, name: str) -> type:
    """The type of a list's items."""
    kind: type = next(get_args(p)[0] for p in _parts(group, name) if get_origin(p) is tuple)
    return kind


def shown(value: Any) -> str:
    """A value as written on the command line and in YAML."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(shown, value))}]"
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
    low, high, above, below = (rule[name] for name in ("least", "most", "above", "below"))
    return (
        (math.isfinite(value) or (rule["infinite"] and value == math.inf))
        and (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or value > above)
        and (below is None or value < below)
    )


def _wanted(group: type, name: str, rule: Mapping[str, Any]) -> str:
    """The allowed values of a setting, in words."""
    allowed, parts = kinds(group, name), list(rule["words"])
    for kind in allowed:
        if kind is tuple:
            item = _item(group, name)
            of = ", ".join(rule["words"]) or ("names" if item is str else "numbers" + _range(rule))
            count = f"{rule['count']} " if rule["count"] else ""
            parts = [f"a list of {count}{of}, in [brackets]"]
        elif kind in (int, float):
            parts.append(KINDS[kind] + _range(rule))
        elif kind is not str or not rule["words"]:
            parts.append(KINDS[kind])
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"


def _range(rule: Mapping[str, Any]) -> str:
    """The bounds of a number, in words."""
    low, high, above, below = (rule[name] for name in ("least", "most", "above", "below"))
    words = f" from {low:g}" if low is not None else ""
    words += f" to {high:g}" if high is not None else ""
    words += " on" if low is not None and high is None and below is None else ""
    words += f" above {above:g}" if above is not None else ""
    return words + (f" below {below:g}" if below is not None else "")
