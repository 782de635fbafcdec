"""Find a face, follow it, cut it out; the ways of finding one by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from animate.errors import AnimateError
from animate.faces.crop import Box, cut
from animate.faces.detect import Detector, Face, Remembered
from animate.faces.locate import Centre, Detected, Given, Locator, quarter_turns
from animate.faces.track import Sighting, follow
from animate.faces.yunet import YuNet

LOCATORS = ("auto", "landmarks", "centre")

__all__ = [
    "LOCATORS",
    "Box",
    "Centre",
    "Detected",
    "Detector",
    "Face",
    "Given",
    "Locator",
    "Sighting",
    "YuNet",
    "cut",
    "follow",
    "locator",
    "quarter_turns",
]


def locator(
    name: str,
    box: Sequence[float] | None = None,
    which: str | int = "largest",
    weights: str | Path | None = None,
) -> Locator:
    """The locator called `name`, or the given `box` (x, y, width, height in pixels).

    `which` face: "largest", or its number from the left, from 1; `weights` is the folder of those
    that "landmarks" needs. Raises AnimateError when the name is unknown, the box is no rectangle,
    or something that the locator needs is missing.
    """
    if name not in LOCATORS:
        raise AnimateError(f"no way of finding faces is called {name}: use {', '.join(LOCATORS)}")
    if box is not None:
        return Given(box)
    if name == "centre":
        return Centre()
    if name == "auto":
        return Detected(Remembered(YuNet()), which)
    from animate.faces.fan import Landmarks

    return Detected(Remembered(Landmarks(weights)), which)
