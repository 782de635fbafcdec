"""Turn overrides of the command line into options; no other module uses Hydra."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import Field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from animate.errors import AnimateError
from animate.options import RENAMED, Live, Options, groups
from animate.system.paths import folder
from animate.system.settings import Group, kinds

# Groups with a folder in configs/ that holds one file for each choice.
GROUPS = ("motion", "faces", "retarget", "paste", "watermark", "label")


def run_settings() -> dict[str, tuple[type[Group], Field[Any]]]:
    """All settings of `animate run` by their names on the command line."""
    return _settings_of(_run_groups())


def _run_groups() -> dict[str, type[Group]]:
    """The groups of `animate run`; the layout is options of the command, such as --compare."""
    return {name: group for name, group in groups().items() if name != "layout"}


def _settings_of(chosen: dict[str, type[Group]]) -> dict[str, tuple[type[Group], Field[Any]]]:
    return {
        f"{group.prefix}{one.name}": (group, one)
        for group in chosen.values()
        for one in fields(group)
    }


def run_options(overrides: Sequence[str] = ()) -> Options:
    """The options of configs/run.yaml and its groups, changed by the overrides.

    An override is `key=value` with a key of `run_settings`, or `group=choice`. Raises AnimateError
    for anything else: unknown keys and choices, additions (`+`), deletions (`~`), sweeps, and
    values that a setting can't have.
    """
    return Options(**_chosen("run", _run_groups(), overrides))


def live_options(overrides: Sequence[str] = ()) -> tuple[Options, Live]:
    """The options of configs/live.yaml, which has all of a run's and its own; as `run_options`."""
    found = _chosen("live", {**_run_groups(), "live": Live}, overrides)
    live = found.pop("live")
    return Options(**found), live


def _chosen(config: str, of: dict[str, type[Group]], overrides: Sequence[str]) -> dict[str, Any]:
    """The groups `of` configs/CONFIG.yaml, by name, changed by the overrides."""
    known = _settings_of(of)
    verbatim = {
        name
        for name, (group, one) in known.items()
        if one.metadata["verbatim"] or Path in kinds(group, one.name)
    }
    texts, others = _split(overrides, verbatim, lambda value: value != "null")
    _refuse_references(others)
    _refuse_unknown(others, known)
    tree = _compose(config, others)
    values = {key: texts[key] if key in texts else _look_up(tree, key) for key in known}
    return {
        name: group(**{one.name: values[f"{group.prefix}{one.name}"] for one in fields(group)})
        for name, group in of.items()
    }


def _split(
    overrides: Sequence[str], names: Collection[str], is_text: Callable[[str], bool]
) -> tuple[dict[str, str], list[str]]:
    """Values by key of the overrides to take verbatim, and the other overrides.

    Hydra's grammar would misread paths and sentences with spaces, commas, `=`, braces or quotes.
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
    """The settings of configs/NAME.yaml and its groups with the overrides, as nested dicts.

    Text is taken verbatim. Raises AnimateError for unknown keys and choices, and if a required
    value (???) is missing.
    """
    known = {place for place, _ in _leaves(_compose(name, []))}
    texts, others = _split(overrides, known, _is_text)
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
    """Whether a value is no number, null, boolean, list, mapping or quoted text."""
    if value in ("", "null", "true", "false") or value[0] + value[-1] in ("[]", "{}", "''", '""'):
        return False
    try:
        float(value)
    except ValueError:
        return True
    return False


def _quoted(text: str) -> str:
    """Quote a text for Hydra's grammar; a `${...}` in it stays literal."""
    text = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)  # OmegaConf's escape, then Hydra's
    text = re.sub(r"(\\*)'", r"\1\1\\'", text)
    text = re.sub(r"(\\+)$", r"\1\1", text)
    return f"'{text}'"


def sweep(name: str, overrides: Sequence[str], task: Callable[[dict[str, Any]], None]) -> Path:
    """Run `task` for every combination of the overrides' values (`key=a,b`) by Hydra's launcher.

    The `out` of each run is its own folder inside the one that is returned. Raises AnimateError for
    anything that `settings` refuses, before a run starts.
    """
    import sys

    import hydra
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    overrides = [_quoted_values(text) for text in overrides]
    _refuse_references(overrides)
    first = [text.split(",")[0] if "=" in text else text for text in overrides]
    plain = [text for text in first if not text.startswith(("hydra", "+", "~"))]
    out = Path(settings(name, plain)["out"])

    @hydra.main(config_path=str(folder("configs")), config_name=name, version_base="1.3")
    def run_one(tree: Any) -> None:
        chosen: Any = OmegaConf.to_container(tree, resolve=True)
        task(chosen | {"out": HydraConfig.get().runtime.output_dir})

    given, sys.argv = sys.argv, ["animate", "--multirun", *overrides]
    try:
        run_one()
    finally:
        sys.argv = given
    return out


def _quoted_values(override: str) -> str:
    """Quote each value of a sweep's override that is a path or a sentence."""
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
    """The choices of a group: the names allowed after `group=`."""
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
            raise AnimateError(f"override {text!r} adds or removes a setting: use key=value")
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
    """Register the defaults of `animate.options` with Hydra.

    Each group in `GROUPS` has its own as `base`; those of the other groups are in `options`.
    """
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
    store.store("live_options", {"live": {one.name: one.default for one in fields(Live)}})


def _look_up(tree: dict[str, Any], place: str) -> Any:
    node: Any = tree
    for step in place.split("."):
        if not isinstance(node, dict) or step not in node:
            raise AnimateError(f"{place} is missing from the files in configs/: reinstall animate")
        node = node[step]
    return node
