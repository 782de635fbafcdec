"""Fetch the frames of training clips, from their files or from a device's memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from animate.data.folders import Frames
from animate.errors import AnimateError


class Store:
    """Fetches frames from the files; an unreadable one is replaced by the next of its clip.

    `skipped` counts the replacements. Threads fetch, and one of them takes the `warnings`.
    """

    def __init__(self, names: Sequence[str], frames: Sequence[Frames]) -> None:
        self.names, self.frames = names, frames
        self.skipped = 0
        self.unreadable: set[tuple[int, int]] = set()
        self._warnings: list[str] = []

    def warnings(self) -> list[str]:
        """A sentence for each frame found unreadable since the last call."""
        taken, self._warnings = self._warnings, []
        return taken

    def fetch(self, clip: np.ndarray, frame: np.ndarray, device: torch.device | str) -> Tensor:
        """Frames frame[i] of clips clip[i]: uint8 (n, S, S, 3) on a device."""
        pixels = [self._one(int(c), int(t)) for c, t in zip(clip, frame, strict=True)]
        batch = torch.from_numpy(np.stack(pixels))
        if torch.device(device).type == "cuda":
            batch = batch.pin_memory().to(device, non_blocking=True)
        return batch

    def _one(self, clip: int, frame: int) -> np.ndarray:
        frames = self.frames[clip]
        for step in range(len(frames)):
            t = (frame + step) % len(frames)
            try:
                return frames[t]
            except (AnimateError, OSError) as error:
                self.skipped += 1
                if (clip, t) not in self.unreadable:
                    self.unreadable.add((clip, t))
                    self._warnings.append(
                        f"frame {t} of {self.names[clip]} is skipped ({error}); "
                        f"{len(self.unreadable)} such frames so far"
                    )
        raise AnimateError(f"no frame of {self.names[clip]} can be read: remove this clip")


class Resident:
    """Holds every frame in the memory of one device: fetching is a gather, and reads no file."""

    skipped = 0

    def __init__(self, frames: Sequence[Frames], device: torch.device | str) -> None:
        lengths = [len(f) for f in frames]
        self.starts = np.cumsum([0, *lengths[:-1]])
        side = frames[0][0].shape[0]
        size = sum(lengths) * side * side * 3
        try:
            self.pixels = torch.empty(sum(lengths), side, side, 3, dtype=torch.uint8, device=device)
        except RuntimeError as error:
            raise AnimateError(
                f"{size / 2**30:.1f} GiB of frames do not fit {device}: use data.resident=false"
            ) from error
        for start, clip in zip(self.starts, frames, strict=True):
            for t in range(len(clip)):
                self.pixels[start + t] = torch.from_numpy(np.array(clip[t]))

    def fetch(self, clip: np.ndarray, frame: np.ndarray, device: torch.device | str) -> Tensor:
        at = torch.from_numpy(self.starts[clip] + frame).to(self.pixels.device)
        return self.pixels[at].to(device)

    def warnings(self) -> list[str]:
        return []  # all frames were read
