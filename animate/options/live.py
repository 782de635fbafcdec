"""The settings of `animate live`, besides those of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from animate.system.settings import Group, setting


@dataclass(frozen=True)
class Live(Group):
    """A live session; its other settings are in `Options`."""

    prefix = "live."
    without: ClassVar = ("clip.", "paste.size", "faces.missing", "label.seconds")  # of `Options`

    size: int = setting(
        512,
        "longest side of the picture, pixels; with paste=crop it is the model's",
        least=128,
        most=1920,
    )
    mirror: bool = setting(False, "move like a mirror image; the photo itself is not mirrored")
    rate: float = setting(
        25, "frames a second of a recording or a virtual camera", least=1, most=60
    )
