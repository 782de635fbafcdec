"""Find a face and cut it out; the ways of finding one by name."""

from __future__ import annotations

from collections.abc import Sequence

from animate.errors import AnimateError
from animate.faces.crop import Box, cut
from animate.faces.locate import Centre, Given, Locator

LOCATORS = ("centre",)

__all__ = ["LOCATORS", "Box", "Centre", "Given", "Locator", "cut", "locator"]


def locator(name: str, box: Sequence[float] | None = None) -> Locator:
    """The locator called `name`, or the given `box` (x, y, width, height in pixels).

    Raises AnimateError when the name is unknown or the box is no rectangle.
    """
    if name not in LOCATORS:
        raise AnimateError(f"no way of finding faces is called {name}: use {', '.join(LOCATORS)}")
    return Centre() if box is None else Given(box)
