"""All settings of a run, by group, and changing them by keyword."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from animate.errors import AnimateError
from animate.options.groups import (
    PHOTO_ONLY,
    Compute,
    Faces,
    Label,
    Layout,
    MotionModel,
    Paste,
    Playback,
    Retarget,
    Statement,
    Watermark,
)
from animate.system.settings import Group, changed

# Settings of earlier versions, and what to do instead.
RENAMED = {
    "model": "use motion=NAME",
    "seed": "leave it out: nothing at random happens in a run",
}


@dataclass(frozen=True)
class Options:
    """All settings of a run, by group."""

    motion: MotionModel = field(default_factory=MotionModel)
    faces: Faces = field(default_factory=Faces)
    retarget: Retarget = field(default_factory=Retarget)
    paste: Paste = field(default_factory=Paste)
    watermark: Watermark = field(default_factory=Watermark)
    label: Label = field(default_factory=Label)
    clip: Playback = field(default_factory=Playback)
    compute: Compute = field(default_factory=Compute)
    statement: Statement = field(default_factory=Statement)
    layout: Layout = field(default_factory=Layout)

    def __post_init__(self) -> None:
        if self.layout.compare:
            self.paste.refuse(PHOTO_ONLY, "in a comparison")
            self.layout.refuse(("columns",), "in a comparison")

    @property
    def visible_label(self) -> Label | None:
        """The label, or None for no label."""
        return None if self.label.text is None else self.label

    def changed(self, **keywords: Any) -> Options:
        """A copy of these options with some changed, by keyword.

        A keyword names a group or one setting. A group's value is an object, a mapping or a choice
        (`retarget=Retarget(mouth=1.3)`, `retarget={"mouth": 1.3}`, `faces="centre"`). A setting is
        given alone (`mouth=1.3`, `consent="..."`), those of the label only as a group. Raises
        AnimateError for any other keyword.
        """
        chosen: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        changes: dict[str, list[Any]] = {}
        for keyword, value in keywords.items():
            if keyword in RENAMED:
                raise AnimateError(f"there is no setting {keyword!r}: {RENAMED[keyword]}")
            if keyword in groups():
                changes.setdefault(keyword, []).insert(0, value)
            else:
                changes.setdefault(_group_of(keyword), []).append({keyword: value})
        chosen |= {name: _with(chosen[name], values) for name, values in changes.items()}
        return Options(**chosen)

    def refuse_others(self, honoured: Collection[str], what: str) -> None:
        """Raise AnimateError for a changed setting that has no effect on `what`."""
        others = [name for name in self.differing() if name not in honoured]
        if others:
            raise AnimateError(f"{others[0]} does nothing for {what}: leave it out")

    def differing(self) -> Iterator[str]:
        """The names of all settings that differ from their defaults."""
        for one in fields(self):
            group, default = getattr(self, one.name), type(getattr(self, one.name))()
            for inner in fields(group):
                if getattr(group, inner.name) != getattr(default, inner.name):
                    yield f"{group.prefix}{inner.name}"


def _with(group: Group, values: Sequence[Any]) -> Group:
    """A group changed by the values of keywords: an object, a choice, or mappings of settings."""
    changes: dict[str, Any] = {}
    for value in values:
        if isinstance(value, type(group)):
            group = value
        elif value is None and isinstance(group, Label):
            group = Label(text=None)
        elif isinstance(value, Mapping):
            changes |= value
        else:
            changes["text" if isinstance(group, Label) else "name"] = value
    return changed(group, changes)


def _group_of(keyword: str) -> str:
    """The name of the group that has this setting."""
    named = {name: {one.name for one in fields(group)} for name, group in groups().items()}
    holders = [
        name for name, known in named.items() if keyword in known - {"name"} and name != "label"
    ]
    if len(holders) != 1:
        raise AnimateError(f"there is no setting {keyword!r}: see animate/options/ for all")
    return holders[0]


def groups() -> dict[str, type[Group]]:
    """The groups of a run by name, in the order of the help."""
    return {one.name: one.default_factory for one in fields(Options)}  # type: ignore[misc]
