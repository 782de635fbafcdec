"""Refuse settings that this subject or these drivers can't honour, instead of ignoring them."""

from __future__ import annotations

from collections.abc import Sequence

from animate.errors import AnimateError
from animate.inference.compose import Subject
from animate.inference.driver import Driver
from animate.inference.templates import Template
from animate.options import Options

STILL = {  # settings without effect on a picture as driver
    "clip.start", "clip.end", "clip.times", "clip.pingpong", "clip.truncated",
    "retarget.smoothing", "retarget.reference",
}  # fmt: skip
TEMPLATE = {  # the same for a motion template, whose poses are tracked already
    "faces.clip_which", "faces.clip_box", "faces.missing", "clip.truncated",
}  # fmt: skip
PASTED = {"paste.mask", "paste.margin", "paste.size"}


def check_honoured(options: Options, subject: Subject | None, drivers: Sequence[Driver]) -> None:
    """Raise AnimateError for a changed setting, or a layout, that has no effect here.

    With several drivers one that heeds the setting is enough. `subject` None: nothing is animated.
    """
    video = subject.video if subject else None
    without = set.intersection(*({*_ignored(driver)} for driver in drivers))
    if video:  # a source video repeats a picture's pose, and may itself be cut short
        without -= {"clip.times", "clip.truncated"}
    what = "a motion template" if isinstance(drivers[0].media, Template) else "a picture"
    _refuse(options, without, f"with {what} as driver")
    if video:
        _refuse(options, {"paste.size"}, "for a source video, which keeps its size")
        _refuse(options, {"columns"}, "for a source video")
    elif subject and not subject.tiled(options):
        _refuse(options, {"columns"}, "without --tile")
    elif subject and len(subject.photos) > 1:
        _refuse(options, PASTED, "with --tile, which shows the faces alone")


def _ignored(driver: Driver) -> set[str]:
    if driver.still:
        return STILL
    return TEMPLATE if isinstance(driver.media, Template) else set()


def _refuse(options: Options, names: set[str], why: str) -> None:
    for name in options.differing():
        if name in names:
            shown = "--columns" if name == "columns" else name
            raise AnimateError(f"{shown} does nothing {why}: leave it out")
