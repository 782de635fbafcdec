"""The settings that a visitor may choose: their form, their check, and the command that does it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from animate.errors import AnimateError
from animate.options import Options, groups
from animate.system.settings import kinds, shown

# Groups in the order of the form. The others choose what runs on the server, and who signs.
OFFERED = ("retarget", "faces", "clip", "label", "paste", "statement")
HELD = {"faces.name", "faces.clip_box", "key", "producer", "detector"}  # settings of the server
NAMES = {bool: "flag", int: "whole", float: "number", str: "text", tuple: "numbers"}


def form(base: Options) -> list[dict[str, Any]]:
    """The groups of settings, each with its fields, as JSON values; `base` gives the defaults."""
    return [
        {
            "name": name,
            "about": (groups()[name].__doc__ or "").strip(),
            "fields": [field for field in _fields(name, base)],
        }
        for name in OFFERED
    ]


def _fields(name: str, base: Options) -> Iterator[dict[str, Any]]:
    group = getattr(base, name)
    for one in fields(group):
        key, types = f"{group.prefix}{one.name}", kinds(type(group), one.name)
        if key in HELD or Path in types:
            continue
        rule, default = one.metadata, getattr(group, one.name)
        yield {
            "key": key,
            "name": one.name,
            "about": rule["about"],
            "default": list(default) if isinstance(default, tuple) else default,
            "kinds": [NAMES[kind] for kind in types if kind in NAMES],
            "optional": type(None) in types,
            **{bound: rule[bound] for bound in ("least", "most", "above")},
            "words": list(rule["words"]),
        }


def offered(base: Options) -> dict[str, str]:
    """The group of each setting that a visitor may choose, by its key."""
    return {field["key"]: name for name in OFFERED for field in _fields(name, base)}


def changed(base: Options, settings: Mapping[str, Any]) -> Options:
    """The options with a visitor's settings, by key. Raises AnimateError for any other key."""
    known = offered(base)
    unknown = next((key for key in settings if key not in known), None)
    if unknown is not None:
        raise AnimateError(f"there is no setting {unknown!r} here: use one of {', '.join(known)}")
    chosen: dict[str, dict[str, Any]] = {}
    for key, value in settings.items():
        chosen.setdefault(known[key], {})[key.rpartition(".")[2]] = value
    made = {name: replace(getattr(base, name), **values) for name, values in chosen.items()}
    return base.changed(**made)


def command(photos: Sequence[str], clip: str, out: str, settings: Mapping[str, Any]) -> str:
    """The command line that does the same; photos after the first are tiles."""
    words = ["animate", "run", _argument(photos[0]), _argument(clip), "-o", out]
    for photo in photos[1:]:
        words += ["--tile", _argument(photo)]
    for key, value in settings.items():
        text = f"[{','.join(map(str, value))}]" if isinstance(value, list) else shown(value)
        words.append(f"{key}={text}")
    return shlex.join(words)


def _argument(name: str) -> str:
    """A file name that can't be taken for an option."""
    return f"./{name}" if name.startswith("-") else name
