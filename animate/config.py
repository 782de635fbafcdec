"""Turn overrides of the command line into options; no other module uses Hydra."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from animate.errors import AnimateError
from animate.options import INSTEAD, Live, Options, settings_of
from animate.options.commands import Setting, run_groups
from animate.system.paths import folder
from animate.system.settings import REQUIRED, Group, is_number, kinds, shown, verbatim

# Groups of a run with a folder in configs/ that holds one file for each choice.
GROUPS = ("motion", "faces", "retarget", "paste", "watermark", "label")


# Mappings of `animate train` with keys of their own: arguments of constructors.
OPEN = ("motion.arguments", "loss.discriminator")


def run_options(overrides: Sequence[str] = ()) -> Options:
    """The options of configs/run.yaml and its groups, changed by the overrides.

    An override is `key=value` with a key of `settings_of("run")`, or `group=choice`. Raises
    AnimateError for anything else: unknown keys and choices, additions (`+`), deletions (`~`),
    sweeps, and values that a setting can't have.
    """
    return Options(**_chosen("run", run_groups(), overrides))


def live_options(overrides: Sequence[str] = ()) -> tuple[Options, Live]:
    """The options of configs/live.yaml, which has all of a run's and its own; as `run_options`."""
    found = _chosen("live", {**run_groups(), "live": Live}, overrides)
    live = found.pop("live")
    return Options(**found), live


def _chosen(command: str, of: dict[str, type[Group]], overrides: Sequence[str]) -> dict[str, Any]:
    """The groups `of` a command, by name, changed by the overrides."""
    _refuse_former(command, overrides)
    known = settings_of(command)
    texts, others = _split(overrides, _is_verbatim(known))
    _refuse_references(others)
    _refuse_unknown(command, others, known)
    tree = _compose(command, others)
    values = {key: texts[key] if key in texts else _look_up(tree, key) for key in known}
    return {
        name: group(**{one.name: values[f"{group.prefix}{one.name}"] for one in fields(group)})
        for name, group in of.items()
    }


def _is_verbatim(known: Mapping[str, Setting]) -> Callable[[str, str], bool]:
    """Whether the value of a key is to be taken as it stands."""
    names = {name for name, (group, one) in known.items() if verbatim(group, one)}
    nullable = {name for name in names if type(None) in kinds(known[name][0], known[name][1].name)}
    return lambda key, value: key in names and (value != "null" or key not in nullable)


def _split(
    overrides: Sequence[str], is_text: Callable[[str, str], bool]
) -> tuple[dict[str, str], list[str]]:
    """Values by key of the overrides to take verbatim, and the other overrides.

    Hydra's grammar would misread paths and sentences with spaces, commas, `=`, braces or quotes.
    """
    texts: dict[str, str] = {}
    others = []
    for text in overrides:
        key, equals, value = text.partition("=")
        if equals and is_text(key, value):
            texts[key] = value
        else:
            others.append(text)
    return texts, others


def settings(name: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The settings of configs/NAME.yaml and its groups with the overrides, as nested dicts.

    Text is taken verbatim. Raises AnimateError for unknown keys and choices, values that a setting
    can't have, and if a required value (???) is missing.
    """
    _refuse_former(name, overrides)
    own, picks = settings_of(name), usual_choices(name)
    whole = _is_verbatim(own)
    _refuse_references(text for text in overrides if text.partition("=")[0] in picks)
    chosen = [text for text in overrides if text.partition("=")[0] in picks]
    _refuse_unknown(name, chosen, ())
    usual = dict(_leaves(_compose(name, chosen)))
    texts, others = _split(
        overrides,
        lambda key, value: key in usual and (whole(key, value) or _is_text(value)),
    )
    _refuse_references(others)
    _refuse_unknown(name, others, usual)
    tree = _compose(name, others)
    for place, value in texts.items():
        *above, last = place.split(".")
        node = tree
        for step in above:
            node = node[step]
        node[last] = value
    leaves = dict(_leaves(tree))
    missing = [place for place, value in leaves.items() if value == REQUIRED]
    if missing:
        raise AnimateError(f"`animate {name}` needs {missing[0]}: add {missing[0]}=VALUE")
    _refuse_unknown_in_files(name, own, leaves)
    _check_groups(own, leaves)
    _check_kinds({place: value for place, value in usual.items() if place not in own}, leaves)
    return tree


def _refuse_unknown_in_files(
    command: str, own: Mapping[str, Setting], leaves: Collection[str]
) -> None:
    """Raise AnimateError for a name in a YAML file that is no setting of its group."""
    groups = tuple({group.prefix for group, _ in own.values()} - {""})
    for place in leaves:
        if place.startswith(groups) and place not in own:
            hint = INSTEAD.get(command, {}).get(place) or _suggest(place, own)
            raise AnimateError(f"a file in configs/ sets {place}, which is no setting: {hint}")


def _check_groups(own: Mapping[str, Setting], leaves: Mapping[str, Any]) -> None:
    """Make each group of settings once, which raises AnimateError for a wrong value."""
    values: dict[type[Group], dict[str, Any]] = {}
    for place, (group, one) in own.items():
        values.setdefault(group, {})[one.name] = leaves[place]
    for group, chosen in values.items():
        group(**chosen)


def _check_kinds(usual: Mapping[str, Any], leaves: Mapping[str, Any]) -> None:
    """Raise AnimateError for a value of another kind than the YAML's, of a loss for example."""
    for place, value in ({key: {} for key in OPEN} | dict(usual)).items():
        new = leaves.get(place, value)
        if place in OPEN and not isinstance(new, dict):
            raise AnimateError(f"{place} is {shown(new)}: use a mapping, such as {{size: 128}}")
        if isinstance(value, bool) and not isinstance(new, bool):
            raise AnimateError(f"{place} is {shown(new)}: use true or false")
        if is_number(value) and not is_number(new):
            raise AnimateError(f"{place} is {shown(new)}: use a number")


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
    checked = [settings(name, one) for one in _single(overrides)]
    out = Path(checked[0]["out"])
    _store_defaults(name)

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


def _single(overrides: Sequence[str]) -> list[list[str]]:
    """Overrides without sweeps: the first value of each, then each other value beside those."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser, values = OverridesParser.create(), []
    for text in overrides:
        if text.startswith("hydra"):  # of Hydra itself, such as its launcher
            continue
        override = _parsed(parser, text)
        key = text.partition("=")[0]
        swept = override.is_sweep_override()
        each = [f"{key}={one}" for one in override.sweep_string_iterator()] if swept else [text]
        values.append([_unquoted(parser, one) for one in each])
    first = [each[0] for each in values]
    others = [
        [*first[:i], one, *first[i + 1 :]] for i, each in enumerate(values) for one in each[1:]
    ]
    return [first, *others]


def _unquoted(parser: Any, override: str) -> str:
    """An override of one value, without the quotes of `_quoted`."""
    key, _, value = override.partition("=")
    if not re.fullmatch("'.*'", value):
        return override
    return f"{key}=" + str(parser.parse_override(override).value()).replace("\\${", "${")


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
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def choices(group: str) -> list[str]:
    """The choices of a group: the names allowed after `group=`."""
    return sorted(path.stem for path in (folder("configs") / group).glob("*.yaml"))


def usual_choices(name: str) -> dict[str, str | None]:
    """The choice of each group that configs/NAME.yaml makes by default; None: no choice."""
    import yaml

    listed = yaml.safe_load((folder("configs") / f"{name}.yaml").read_text(encoding="utf-8"))
    picks: dict[str, str | None] = {}
    for item in listed["defaults"]:
        if isinstance(item, dict):
            picks |= {group.removeprefix("optional "): choice for group, choice in item.items()}
        elif item == "run":  # `animate live` begins with all of a run's
            picks |= usual_choices(item)
    return picks


def _refuse_references(overrides: Iterable[str]) -> None:
    """Raise AnimateError for `${...}`, by which OmegaConf reads the environment and other keys."""
    for text in overrides:
        if re.search(r"(?<!\\)(\\\\)*\$\{", text):  # an odd number of backslashes makes it text
            raise AnimateError(f"override {text!r} holds ${{...}}, which is not read: give a value")


def _refuse_unknown(command: str, overrides: Sequence[str], known: Collection[str]) -> None:
    """Raise AnimateError for an override that is not one value for one setting that there is."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser, picks = OverridesParser.create(), list(usual_choices(command))
    for text in overrides:
        override = _parsed(parser, text)
        key, value = override.key_or_group, override.value()
        adds = override.is_add() or override.is_force_add()
        if adds and command == "train" and key.startswith(tuple(f"{place}." for place in OPEN)):
            continue
        if adds or override.is_delete():
            raise AnimateError(f"override {text!r} adds or removes a setting: use key=value")
        if override.is_sweep_override() or override.package is not None:
            raise AnimateError(f"override {text!r} is not one value for one key: use key=value")
        if key in picks:
            names = choices(key)
            if value not in names:
                raise AnimateError(f"override {text!r}: {key} is one of {', '.join(names)}")
        elif key not in known and not (command == "train" and key in OPEN):
            raise AnimateError(f"unknown override {text!r}: {_suggest(key, [*picks, *known])}")


def _refuse_former(command: str, overrides: Sequence[str]) -> None:
    """Raise AnimateError for a name that is no setting, where it is known what to do instead."""
    for text in overrides:
        key = text.partition("=")[0].lstrip("+")
        if key in INSTEAD.get(command, {}):
            raise AnimateError(f"there is no setting {key}: {INSTEAD[command][key]}")


def _parsed(parser: Any, text: str) -> Any:
    from hydra.errors import HydraException

    try:
        return parser.parse_override(text)
    except HydraException as error:
        raise AnimateError(f"override {text!r} can't be read: use key=value") from error


def _suggest(key: str, known: Collection[str]) -> str:
    near = get_close_matches(key, known, n=1) or [k for k in known if k.split(".")[-1] == key]
    near = near or [k for k in known if k.startswith(f"{key}.")]
    return f"did you mean {near[0]}=?" if near else f"use one of {', '.join(known)}"


def _compose(name: str, overrides: list[str]) -> dict[str, Any]:
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    _store_defaults(name)
    try:
        with initialize_config_dir(str(folder("configs")), version_base="1.3"):
            tree = OmegaConf.to_container(compose(name, overrides), resolve=True)
    except (HydraException, OmegaConfBaseException, ValueError) as error:  # experiment=null
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise AnimateError(f"{' '.join(overrides)} makes no valid settings: {reason}") from error
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items()}


def _store_defaults(command: str) -> None:
    """Register the defaults of `animate.options` with Hydra.

    Each group in configs/ has its own as `base`; the others are in `COMMAND_options`.
    """
    from hydra.core.config_store import ConfigStore

    picks = usual_choices(command)
    nodes: dict[str, dict[str, Any]] = {}
    for place, (_, one) in settings_of(command).items():
        section, *steps = place.split(".")
        node = nodes.setdefault(section if section in picks else "", {})
        *above, last = steps if section in picks else (section, *steps)
        for step in above:
            node = node.setdefault(step, {})
        node[last] = one.default
    if command == "live":
        _store_defaults("run")
    store = ConfigStore.instance()
    for section, node in nodes.items():
        store.store("base" if section else f"{command}_options", node, group=section or None)


def _look_up(tree: dict[str, Any], place: str) -> Any:
    node: Any = tree
    for step in place.split("."):
        if not isinstance(node, dict) or step not in node:
            raise AnimateError(f"{place} is missing from the files in configs/: reinstall animate")
        node = node[step]
    return node
