"""The settings of `animate prepare`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from animate.errors import AnimateError
from animate.system.settings import Group, setting


@dataclass(frozen=True)
class Preparation(Group):
    """How videos become clips for training and validation."""

    videos: Path | None = setting(None, "folder with the videos of a CSV list")
    rate: int = setting(
        25,
        "approximate frames a second; of 50 every other frame is dropped, 30 stay",
        least=1,
        most=240,
    )
    held_out: float = setting(0.1, "share of people for val, from 0 to below 1", least=0, below=1)
    rights: str = setting("not stated", "a sentence that the manifest keeps", verbatim=True)
    workers: int = setting(2, "processes", least=1, most=256)
    seed: int = setting(0, "seed of the split", least=0)


@dataclass(frozen=True)
class Wanted(Group):
    """Requirements of a training clip."""

    prefix = "wanted."

    size: int = setting(256, "side of a clip's frames in pixels", least=16, most=4096)
    margin: float = setting(
        1.0, "side of the cut square over that of the square around all faces", least=1, most=10
    )
    wander: float = setting(
        1.4,
        "largest side of the square around all faces, over their median side; then the clip ends",
        least=1,
    )
    shortest: float = setting(1.0, "shortest clip in seconds", above=0)
    longest: float = setting(10.0, "longest clip in seconds", above=0)
    smallest: float = setting(
        0.75, "least side of the cut square in the video, over wanted.size", least=0
    )
    outside: float = setting(
        0.15, "largest share of the square's area beyond the picture", least=0, most=1
    )
    sharpness: float = setting(
        15.0, "least variance of the Laplacian, in grey levels squared", least=0
    )
    motion: float = setting(0.6, "least mean change over half a second, in grey levels", least=0)

    def check(self) -> None:
        if self.shortest > self.longest:
            raise AnimateError(
                f"wanted.shortest={self.shortest:g} is above wanted.longest={self.longest:g}: use "
                "a smaller one"
            )
