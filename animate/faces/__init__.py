"""Find a face, track it, cut it out, paste it back."""

from animate.faces.crop import Box, cut
from animate.faces.detect import Detector, Face
from animate.faces.locate import Centre, Detected, Given, Locator, quarter_turns
from animate.faces.locators import camera_locator, clip_locator, photo_locator
from animate.faces.track import TrackedFrame, follow

__all__ = [
    "Box",
    "Centre",
    "Detected",
    "Detector",
    "Face",
    "Given",
    "Locator",
    "TrackedFrame",
    "camera_locator",
    "clip_locator",
    "cut",
    "follow",
    "photo_locator",
    "quarter_turns",
]
