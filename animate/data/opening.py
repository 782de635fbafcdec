"""Open the clips of a folder for training, with landmarks and masks from teachers if any."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from animate.data.folders import Frames, identity_of, stored_clips
from animate.data.pairs import Clips
from animate.errors import AnimateError
from animate.faces import mesh
from animate.options import Augment
from animate.system.atomic import replacing


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
