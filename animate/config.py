"""Overrides of the command line in, options out; what lies behind never meets Hydra."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import Field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from animate.errors import AnimateError
from animate.options import RENAMED, Options, groups
from animate.system.paths import folder
from animate.system.settings import Group, kinds

# Groups of settings that are files in configs/, one for each choice.
GROUPS = ("motion", "faces", "retarget", "paste", "watermark", "label")


def run_settings() -> dict[str, tuple[type[Group], Field[Any]]]:
    """Every setting of `animate run` by its name on the command line."""
    return {
        f"{group.prefix}{one.name}": (group, one)
        for name, group in groups().items()
        if name != "layout"  # options of the command
        for one in fields(group)
    }


def run_options(overrides: Sequence[str] = ()) -> Options:
    """What configs/run.yaml, its groups and the overrides make.

    An override is `key=value` with a key of `run_settings`, or `group=choice`. Raises AnimateError
    for anything else: unknown keys and choices, additions (`+`), deletions (`~`), sweeps, values
    that a setting can't have.
    """
    known = run_settings()
    as_they_stand = {
        name
        for name, (group, one) in known.items()
        if one.metadata["verbatim"] or Path in kinds(group, one.name)
    }
    texts, others = _apart(overrides, as_they_stand, lambda value: value != "null")
    _refuse_references(others)
    _refuse_unknown(others, known)
    tree = _compose("run", others)
    values = {key: texts[key] if key in texts else _look_up(tree, key) for key in known}
    chosen = {
        name: group(**{one.name: values[f"{group.prefix}{one.name}"] for one in fields(group)})
        for name, group in groups().items()
        if name != "layout"
    }
    return Options(**chosen)  # type: ignore[arg-type]


def _apart(
    overrides: Sequence[str], names: Collection[str], is_text: Callable[[str], bool]
) -> tuple[dict[str, str], list[str]]:
    """The values of those overrides that are taken as they stand, and the other overrides.

    Paths and sentences hold spaces, commas, `=`, braces and quotes, which Hydra's grammar would
    take apart.
    """
    texts: dict[str, str] = {}
    others = []
    for text in overrides:
        key, equals, value = text.partition("=")
        if equals and key in names and is_text(value):
            texts[key] = value
        else:
            others.append(text)
    return texts, others


def settings(name: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The tree that configs/NAME.yaml, its groups and the overrides make, as plain containers.

    Text is taken as it stands. Raises AnimateError for unknown keys and choices and for required
    values (???) left open.
    """
    known = {place for place, _ in _leaves(_compose(name, []))}
    texts, others = _apart(overrides, known, _is_text)
    _refuse_references(others)
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
    _refuse_references(overrides)
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


def usual_choices(name: str) -> dict[str, str]:
    """The choice of each group that configs/NAME.yaml makes by default."""
    import yaml

    listed = yaml.safe_load((folder("configs") / f"{name}.yaml").read_text(encoding="utf-8"))
    return {k: v for item in listed["defaults"] if isinstance(item, dict) for k, v in item.items()}


def _refuse_references(overrides: Iterable[str]) -> None:
    """Raise AnimateError for `${...}`, by which OmegaConf reads the environment and other keys."""
    for text in overrides:
        if re.search(r"(?<!\\)(\\\\)*\$\{", text):  # an odd number of backslashes makes it text
            raise AnimateError(f"override {text!r} holds ${{...}}, which is not read: give a value")


def _refuse_unknown(overrides: list[str], known: Collection[str]) -> None:
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
        elif key in RENAMED:
            raise AnimateError(f"there is no setting {key}: {RENAMED[key]}")
        elif key not in known:
            raise AnimateError(f"unknown override {text!r}: {_suggest(key, known)}")


def _suggest(key: str, names: Collection[str]) -> str:
    known = [*GROUPS, *names]
    near = get_close_matches(key, known, n=1) or [k for k in known if k.split(".")[-1] == key]
    return f"did you mean {near[0]}=?" if near else f"use one of {', '.join(known)}"


def _compose(name: str, overrides: list[str]) -> dict[str, Any]:
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    _store_defaults()
    try:
        with initialize_config_dir(str(folder("configs")), version_base="1.3"):
            tree = OmegaConf.to_container(compose(name, overrides), resolve=True)
    except (HydraException, OmegaConfBaseException, ValueError) as error:  # experiment=null
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise AnimateError(f"{' '.join(overrides)} makes no valid settings: {reason}") from error
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items()}


def _store_defaults() -> None:
    """Tell Hydra the defaults of `animate.options`: `base` of each group, `options` of the rest."""
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    rest: dict[str, Any] = {}
    for name, group in groups().items():
        values = {one.name: one.default for one in fields(group)}
        if name in GROUPS:
            store.store("base", values, group=name)
        elif name != "layout":
            rest |= {name: values} if group.prefix else values
    store.store("options", rest)


def _look_up(tree: dict[str, Any], place: str) -> Any:
    node: Any = tree
    for step in place.split("."):
        if not isinstance(node, dict) or step not in node:
            raise AnimateError(f"the settings hold no {place}: is configs/ complete?")
        node = node[step]
    return node
