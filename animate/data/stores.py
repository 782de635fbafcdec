"""Open training clips, and fetch their frames from files or from a device's memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from animate.data.folders import Frames, identity_of, stored_clips
from animate.errors import AnimateError
from animate.faces import mesh
from animate.system.atomic import replacing

if TYPE_CHECKING:
    from animate.data.pairs import Clips
    from animate.options import Augment


def open_clips(
    folder: Path,
    cache: Path | None = None,
    teacher: Path | None = None,
    *,
    person: Path | None = None,
    by_person: bool = False,
    by_length: bool = False,
    augment: Augment | None = None,
) -> Clips:
    """Open the clips of a folder in any layout (`folders`); `cache` is a folder for decoded videos.

    by_person: draw a person first, then one of their clips (`identity_of`). teacher: an npz that
    maps a clip's name to (T, 478, 2) landmarks in pixels (scripts/teach_landmarks.py). person: a
    folder of masks, NAME.npy (T, S, S), for the clips that have one (scripts/teach_person.py).
    by_length: see `Clips`. Raises AnimateError for an empty folder, an unreadable file, a manifest
    that names a missing file, and frames that are not square or of several sizes.
    """
    from animate.data.pairs import Clips

    folder = Path(folder)
    frames: dict[str, Frames] = {}
    for stored in stored_clips(folder):
        if isinstance(stored.frames, Frames):
            frames[stored.name] = stored.frames
        elif cache is None:
            raise AnimateError(
                f"{folder} holds videos: name a folder for their decoded frames with data.cache="
            )
        else:
            frames[stored.name] = decoded(stored.name, stored.frames, Path(cache))
    if not frames:
        raise AnimateError(f"no clips in {folder}: give a folder of videos or photos")
    side = frames[min(frames)][0].shape[0]
    for name, clip in frames.items():
        if clip[0].shape != (side, side, 3):
            height, width = clip[0].shape[:2]
            raise AnimateError(
                f"{folder}/{name} is {width}x{height}, others {side}x{side}: make all one square "
                "size with `animate prepare`"
            )
    people = [identity_of(folder, name) for name in frames] if by_person else None
    return Clips(
        list(frames),
        list(frames.values()),
        load_landmarks(teacher, frames),
        people,
        augment,
        masks(person, frames),
        by_length,
    )


def decoded(name: str, clip: Iterable[np.ndarray], cache: Path) -> np.ndarray:
    """The frames of one clip as a memory-mapped array of the cache, decoded on first use."""
    stored = cache / f"{name}.npy"
    if not stored.exists():
        cache.mkdir(parents=True, exist_ok=True)
        frames = np.stack(list(clip))
        with (
            replacing(stored, draft=stored.with_suffix(".part")) as draft,
            draft.open("wb") as file,
        ):
            np.save(file, frames)
    return np.load(stored, mmap_mode="r")


def load_landmarks(teacher: Path | None, frames: dict[str, Frames]) -> list[np.ndarray] | None:
    """The taught landmarks (T, K, 2) in [-1, 1] of every clip; None without a teacher."""
    if teacher is None:
        return None
    if not Path(teacher).exists():
        raise AnimateError(f"no landmarks at {teacher}: make them with scripts/teach_landmarks.py")
    points = []
    with np.load(teacher) as table:
        for name, clip in frames.items():
            if name not in table or len(table[name]) != len(clip):
                raise AnimateError(
                    f"{teacher} has no landmarks for the {len(clip)} frames of {name}: make them "
                    "again with scripts/teach_landmarks.py"
                )
            taught = table[name][:, list(mesh.TAUGHT)]
            # MediaPipe measures from the image's edge; -1 and 1 are centres of the corner pixels
            points.append(((taught - 0.5) * 2 / (clip[0].shape[1] - 1) - 1).astype(np.float32))
    return points


def masks(folder: Path | None, frames: dict[str, Frames]) -> list[np.ndarray | None] | None:
    """The person's mask of each clip, uint8 (T, S, S), None for a clip without; None without a
    folder."""
    if folder is None:
        return None
    if not Path(folder).is_dir():
        raise AnimateError(f"no masks at {folder}: make them with scripts/teach_person.py")
    found: list[np.ndarray | None] = []
    for name, clip in frames.items():
        path = Path(folder) / f"{name}.npy"
        mask = np.load(path, mmap_mode="r") if path.exists() else None
        if mask is not None and mask.shape != (len(clip), *clip[0].shape[:2]):
            raise AnimateError(
                f"{path} is not of the frames of {name}: make it again with scripts/teach_person.py"
            )
        found.append(mask)
    return found


class Store:
    """Fetches frames from the files; an unreadable one is replaced by the next of its clip.

    `skipped` counts the replacements; each unreadable frame gives one warning.
    """

    def __init__(self, names: Sequence[str], frames: Sequence[Frames]) -> None:
        self.names, self.frames = names, frames
        self.skipped = 0
        self.warned: set[tuple[int, int]] = set()

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
                if (clip, t) not in self.warned:
                    self.warned.add((clip, t))
                    warnings.warn(
                        f"frame {t} of {self.names[clip]} is skipped ({error}); "
                        f"{len(self.warned)} such frames so far",
                        stacklevel=2,
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
