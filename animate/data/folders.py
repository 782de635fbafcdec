"""The layouts of folders that clips for training lie in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from animate.errors import AnimateError
from animate.faces import mesh

if TYPE_CHECKING:
    from animate.data.pairs import Augment, Clips
from animate.data.stores import Frames, Pictures, check_manifest, decoded, shard, who


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
    """The clips of a folder in any of the three layouts; `cache` is for decoded videos.

    by_person: draw a person first, then one of their clips (`who`). teacher: an npz that maps a
    clip's name to (T, 478, 2) landmarks in pixels (scripts/teach_landmarks.py). person: a folder of
    masks, NAME.npy (T, S, S), for those clips that have them (scripts/teach_person.py). by_length:
    see `Clips`. Raises AnimateError
    for an empty folder, a file that can't be read, a manifest that names a missing one, and frames
    that are not square or of several sizes.
    """
    from animate.data.pairs import Clips

    folder = Path(folder)
    paths = (
        sorted(p for p in folder.glob("*") if not p.name.startswith(".")) if folder.is_dir() else []
    )
    named = check_manifest(folder)
    frames: dict[str, Frames] = {}
    for path in paths:
        if path.suffix == ".tar":
            found = shard(path)
            frames |= {name: found[name] for name in found if named is None or name in named}
        elif path.is_dir():
            frames[path.stem] = Pictures(path)
        elif path.suffix not in (".csv", ".json", ".md", ".npz", ".txt"):
            if cache is None:
                raise AnimateError(f"{folder} holds videos: name a folder for their frames, cache=")
            Path(cache).mkdir(parents=True, exist_ok=True)
            frames[path.stem] = decoded(path, Path(cache))
    if not frames:
        raise AnimateError(f"no clips in {folder}: give a folder of videos or photos")
    side = frames[min(frames)][0].shape[0]
    for name, clip in frames.items():
        if clip[0].shape != (side, side, 3):
            height, width = clip[0].shape[:2]
            raise AnimateError(
                f"{folder}/{name} is {width}x{height}, others {side}x{side}: bring all to one "
                "square with `animate prepare`"
            )
    people = [who(folder, name) for name in frames] if by_person else None
    return Clips(
        list(frames),
        list(frames.values()),
        teach(teacher, frames),
        people,
        augment,
        masks(person, frames),
        by_length,
    )


def teach(teacher: Path | None, frames: dict[str, Frames]) -> list[np.ndarray] | None:
    """Taught landmarks (T, K, 2) in [-1, 1] of every clip; None without a teacher."""
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
            found = table[name][:, list(mesh.TAUGHT)]
            # MediaPipe's pixels run from edge to edge, ours from centre to centre of the corners
            points.append(((found - 0.5) * 2 / (clip[0].shape[1] - 1) - 1).astype(np.float32))
    return points


def masks(folder: Path | None, frames: dict[str, Frames]) -> list[np.ndarray | None] | None:
    """Where the person is, uint8 (T, S, S), for the clips whose masks are there; None for none."""
    if folder is None:
        return None
    if not Path(folder).is_dir():
        raise AnimateError(f"no masks at {folder}: make them with scripts/teach_person.py")
    found: list[np.ndarray | None] = []
    for name, clip in frames.items():
        path = Path(folder) / f"{name}.npy"
        mask = np.load(path, mmap_mode="r") if path.exists() else None
        if mask is not None and mask.shape != (len(clip), *clip[0].shape[:2]):
            raise AnimateError(f"{path} is not of the frames of {name}: make it again")
        found.append(mask)
    return found
