"""The two evaluation protocols: which clip drives which photo, and by what kind of motion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from animate.data.folders import identity_of, open_frames, stored_clips
from animate.errors import AnimateError
from animate.faces import Box, cut
from animate.media import clips, files
from animate.media.tables import read_table

RECONSTRUCTION = (
    "reconstruction: the first frame of each clip is moved to its other frames by absolute motion "
    "(Siarohin et al. 2019, section 4); the first frame itself is not counted"
)
CROSS = (
    "cross-identity: each photo of the list is moved by its clip of another person, by motion "
    "relative to the clip's first frame, scaled to the photo's face"
)


@dataclass(frozen=True)
class Case:
    """A photo and the clip that drives it; `photo` None is the clip's own first frame."""

    name: str
    identity: str  # of the person in the photo
    clip: Path
    photo: Path | None = None


def reconstruction(data: Path) -> list[Case]:
    """A case for every clip of a folder: the clip drives its own first frame.

    Any layout of a data folder will do; layouts and identities are those of training
    (data/folders.py). Raises AnimateError for an empty folder.
    """
    data = Path(data)
    cases = [Case(c.name, identity_of(data, c.path.name), c.path) for c in stored_clips(data)]
    if not cases:
        raise AnimateError(f"no clips in {data}: give a folder of videos or of folders of frames")
    return cases


def cross(data: Path, pairs: Path) -> list[Case]:
    """A case for each row of a CSV with the columns source and driving: paths within `data`.

    A source is a photo, or a clip whose first frame is used. Raises AnimateError for a missing
    column or file, naming the line.
    """
    data, cases = Path(data), []
    columns, rows = read_table(pairs, "use columns source, driving")
    if not {"source", "driving"} <= set(columns):
        raise AnimateError(f"{pairs} lacks a column: use the columns source and driving")
    for row in rows:
        photo, clip = (data / row.cells[key] for key in ("source", "driving"))
        for path in (photo, clip):
            if not path.exists() or path == data:
                raise AnimateError(f"{pairs}, line {row.line}: {files.absent(path)}")
        name = f"{photo.stem}--{clip.stem}"
        cases.append(Case(name, identity_of(data, photo.name), clip, photo))
    if not cases:
        raise AnimateError(f"{pairs} lists no pairs: add rows of source,driving")
    return cases


def square(frame: np.ndarray, size: int, path: Path) -> np.ndarray:
    """Resize a square frame to `size` pixels. Raises AnimateError for one that is not square."""
    height, width = frame.shape[:2]
    if height != width:
        raise AnimateError(
            f"{path} is {width}x{height}, not square: crop it to the face with `animate prepare`"
        )
    return frame if width == size else cut(frame, Box(0, 0, width), size)


def driving(case: Case, size: int, every: int, limit: int | None) -> Iterator[np.ndarray]:
    """Frames 0, every, 2 every, ... of the driving clip, at most `limit`, at `size` pixels."""
    stop = None if limit is None else limit * every
    for frame in islice(open_frames(case.clip), 0, stop, every):
        yield square(frame, size, case.clip)


def photo(case: Case, size: int) -> np.ndarray:
    """The photo that is animated, at `size` pixels."""
    path = case.photo or case.clip
    if path.is_file() and files.kind_of(path) == files.PICTURE:
        return square(clips.read_photo(path), size, path)
    return square(next(iter(open_frames(path))), size, path)
