"""Make the locator and the detector that the options name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from animate.errors import AnimateError
from animate.faces.crop import FRAMING, Framing
from animate.faces.detect import Detector, Remembered, Shrunk
from animate.faces.locate import Centre, Detected, Given, Locator
from animate.options import Faces

# Detectors by their name in configs/faces, as module:attribute; called with faces.weights, each
# returns a `Detector`.
DETECTORS = {
    "auto": "animate.faces.yunet:YuNet",
    "landmarks": "animate.faces.fan:FaceAlignment",
}
CAMERA = 320  # pixels: whoever sits before a camera is near it


def photo_locator(faces: Faces, framing: Framing = FRAMING) -> Locator:
    """A locator of the photo's face that the options choose, or of all faces (`Detected.faces`).

    `framing` is the motion model's. Raises AnimateError for a detector whose package or
    weights are missing.
    """
    which = "largest" if faces.which == "all" else faces.which
    return _locator(faces, "box", which, framing)


def clip_locator(faces: Faces, framing: Framing = FRAMING) -> Locator:
    """A locator of the clip's face that the options choose; errors as in `photo_locator`."""
    return _locator(faces, "clip_box", faces.clip_which, framing)


def camera_locator(faces: Faces, framing: Framing = FRAMING) -> Locator:
    """As `clip_locator`, for pictures that come once and fast: it searches them at CAMERA pixels a
    side, and remembers none."""
    if faces.clip_box is not None or faces.name == "centre":
        return clip_locator(faces, framing)
    return Detected(Shrunk(detector(faces), CAMERA), faces.clip_which, framing)


def _locator(faces: Faces, place: str, which: int | str, framing: Framing) -> Locator:
    box = getattr(faces, place)
    if box is not None:
        return Given(box, f"faces.{place}")
    if faces.name == "centre":
        return Centre()
    return Detected(Remembered(detector(faces)), which, framing)


def detector(faces: Faces) -> Detector:
    """The detector that the options name. Raises AnimateError for an unknown one."""
    if faces.name not in DETECTORS:
        known = ", ".join([*DETECTORS, "centre"])
        raise AnimateError(f"unknown faces={faces.name}: use one of {known}")
    module, attribute = DETECTORS[faces.name].split(":")
    made: Callable[..., Any] = getattr(import_module(module), attribute)
    return made(faces.weights)
