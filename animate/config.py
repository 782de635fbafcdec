"""Overrides of the command line in, plain arguments out; what lies behind never meets Hydra."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from animate.errors import AnimateError
from animate.system.paths import folder

# The place of each value in configs/run.yaml, the argument of `portrait` it becomes and its types;
# "label.text" becomes the item "text" of the argument "label".
RUN: dict[str, tuple[str, tuple[type, ...]]] = {
    "motion.name": ("model", (str,)),
    "motion.checkpoint": ("checkpoint", (str, type(None))),
    "faces.name": ("faces", (str,)),
    "faces.which": ("which", (str, int)),
    "faces.clip_which": ("clip_which", (str, int)),
    "faces.missing": ("missing", (str,)),
    "faces.weights": ("weights", (str, type(None))),
    "faces.box": ("box", (list, type(None))),
    "faces.clip_box": ("clip_box", (list, type(None))),
    "retarget.relative": ("relative", (bool,)),
    "retarget.adapt_scale": ("adapt_scale", (bool,)),
    "retarget.reference": ("reference", (str, int)),
    "retarget.smoothing": ("smoothing", (float, int, type(None))),
    "retarget.head": ("head", (float, int, str)),
    "retarget.mouth": ("mouth", (float, int)),
    "retarget.eyes": ("eyes", (float, int)),
    "paste.name": ("paste", (str,)),
    "paste.mask": ("mask", (str,)),
    "paste.margin": ("margin", (float, int)),
    "paste.size": ("size", (int, type(None))),
    "watermark.strength": ("strength", (float, int)),
    "clip.start": ("start", (float, int)),
    "clip.end": ("end", (float, int, type(None))),
    "clip.times": ("times", (int,)),
    "clip.pingpong": ("pingpong", (bool,)),
    "clip.truncated": ("truncated", (str,)),
    "seed": ("seed", (int,)),
    "device": ("device", (str,)),
    "precision": ("precision", (str,)),
    "threads": ("threads", (int, str)),
    "consent": ("consent", (str,)),
    "key": ("key", (str,)),
    "producer": ("producer", (str,)),
    "label.text": ("label.text", (str, type(None))),
    "label.position": ("label.position", (str,)),
    "label.size": ("label.size", (float, int)),
    "label.seconds": ("label.seconds", (float, int, type(None))),
    "label.style": ("label.style", (str,)),
    "label.font": ("label.font", (str, type(None))),
}
GROUPS = ("motion", "faces", "retarget", "paste", "watermark", "label")
# Paths and sentences hold spaces, `=` and commas, which Hydra's grammar would take apart.
VERBATIM = ("motion.checkpoint", "faces.weights", "consent", "label.text", "label.font")
KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
}


def run_arguments(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The keyword arguments of `animate.portrait` that configs/run.yaml and the overrides make.

    An override is `key=value` with a key of RUN, or `group=choice`. Raises AnimateError for
    anything else: unknown keys and choices, additions (`+`), deletions (`~`), sweeps, wrong types.
    """
    verbatim, others = {}, []
    for text in overrides:
        key, equals, value = text.partition("=")
        if equals and key in VERBATIM:
            verbatim[key] = value
        else:
            others.append(text)
    _refuse_unknown(others)
    tree = _compose("run", others)
    arguments: dict[str, Any] = {}
    for place, (argument, types) in RUN.items():
        value = verbatim[place] if place in verbatim else _look_up(tree, place)
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            kind = next(KINDS[t] for t in types if t in KINDS)
            raise AnimateError(f"{place} is {_show(value)}: give {kind}")
        name, dot, item = argument.partition(".")
        if dot:
            arguments.setdefault(name, {})[item] = value
        else:
            arguments[name] = value
    return arguments


def settings(name: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The tree that configs/NAME.yaml, its groups and the overrides make, as plain containers.

    Text is taken as it stands: paths and sentences hold spaces, commas, `=`, braces and quotes,
    which Hydra's grammar would take apart. Raises AnimateError for unknown keys and choices and for
    required values (???) left open.
    """
    known = {place for place, _ in _leaves(_compose(name, []))}
    texts, others = {}, []
    for text in overrides:
        key, equals, value = text.partition("=")
        if equals and key in known and _is_text(value):
            texts[key] = value
        else:
            others.append(text)
    tree = _compose(name, others)
    for place, value in texts.items():
        *above, last = place.split(".")
        node = tree
        for step in above:
            node = node[step]
        node[last] = value
    missing = [place for place, value in _leaves(tree) if value == "???"]
    if missing:
        raise AnimateError(f"`animate {name}` needs {missing[0]}: add {missing[0]}=VALUE")
    return tree


def _is_text(value: str) -> bool:
    if value in ("", "null", "true", "false") or value[0] + value[-1] in ("[]", "{}", "''", '""'):
        return False
    try:
        float(value)
    except ValueError:
        return True
    return False


def _quoted(text: str) -> str:
    """A text in quotes as Hydra's grammar has them; `${...}` in it names no variable."""
    text = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)  # OmegaConf's escape, then Hydra's
    text = re.sub(r"(\\*)'", r"\1\1\\'", text)
    text = re.sub(r"(\\+)$", r"\1\1", text)
    return f"'{text}'"


def sweep(name: str, overrides: Sequence[str], task: Callable[[dict[str, Any]], None]) -> Path:
    """Run `task` with the settings of every combination of values in the overrides (`key=a,b`), by
    Hydra's launcher; each gets as `out` a folder of its own. Returns the folder of all of them.

    Raises AnimateError for what `settings` refuses, before anything runs.
    """
    import sys

    import hydra
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    overrides = [_swept(text) for text in overrides]
    first = [text.split(",")[0] if "=" in text else text for text in overrides]
    plain = [text for text in first if not text.startswith(("hydra", "+", "~"))]
    out = Path(settings(name, plain)["out"])

    @hydra.main(config_path=str(folder("configs")), config_name=name, version_base="1.3")
    def one(tree: Any) -> None:
        chosen: Any = OmegaConf.to_container(tree, resolve=True)
        task(chosen | {"out": HydraConfig.get().runtime.output_dir})

    given, sys.argv = sys.argv, ["animate", "--multirun", *overrides]
    try:
        one()
    finally:
        sys.argv = given
    return out


def _swept(override: str) -> str:
    """An override of a sweep; each of its values in quotes where it is a path or a sentence."""
    key, equals, joined = override.partition("=")
    values = joined.split(",")
    odd = any(_is_text(value) and re.search(r"[\s=:'\"\\{}$]", value) for value in values)
    if not equals or not odd or re.match(r"\w+\(|[\[{]", joined):
        return override
    return f"{key}=" + ",".join(_quoted(v) if _is_text(v) else v for v in values)


def _leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def choices(group: str) -> list[str]:
    """The names that may stand behind `group=`."""
    return sorted(path.stem for path in (folder("configs") / group).glob("*.yaml"))


def _refuse_unknown(overrides: list[str]) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    for text in overrides:
        try:
            override = OverridesParser.create().parse_override(text)
        except HydraException as error:
            raise AnimateError(f"override {text!r} can't be read: use key=value") from error
        key, value = override.key_or_group, override.value()
        if override.is_add() or override.is_force_add() or override.is_delete():
            raise AnimateError(f"override {text!r} adds or removes a setting: only change one")
        if override.is_sweep_override() or override.package is not None:
            raise AnimateError(f"override {text!r} is not one value for one key: use key=value")
        if key in GROUPS:
            names = choices(key)
            if value not in names:
                raise AnimateError(f"override {text!r}: {key} is one of {', '.join(names)}")
        elif key not in RUN:
            raise AnimateError(f"unknown override {text!r}: {_suggest(key)}")


def _suggest(key: str) -> str:
    known = [*GROUPS, *RUN]
    near = get_close_matches(key, known, n=1) or [k for k in known if k.split(".")[-1] == key]
    return f"did you mean {near[0]}=?" if near else f"use one of {', '.join(known)}"


def _compose(name: str, overrides: list[str]) -> dict[str, Any]:
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_dir(str(folder("configs")), version_base="1.3"):
            tree = OmegaConf.to_container(compose(name, overrides), resolve=True)
    except (HydraException, OmegaConfBaseException, ValueError) as error:  # experiment=null
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise AnimateError(f"{' '.join(overrides)} makes no valid settings: {reason}") from error
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items()}


def _look_up(tree: dict[str, Any], place: str) -> Any:
    node: Any = tree
    for step in place.split("."):
        if not isinstance(node, dict) or step not in node:
            raise AnimateError(f"the settings hold no {place}: is configs/ complete?")
        node = node[step]
    return node


def _show(value: Any) -> str:
    return "null" if value is None else repr(value)
