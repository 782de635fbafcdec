"""Read the clips of a data folder in any layout, for training and evaluation.

Each entry of the folder has its own layout (`LAYOUTS`), so one folder may mix them:

- shards: .tar files in WebDataset's layout with one uncompressed KEY.npy (T, S, S, 3) per clip, as
  `animate prepare` writes them. Python's tarfile finds the arrays, which are memory-mapped in
  place, so a random frame costs one read; shards can be spread over disks by links;
- folders of pictures, one for each clip: the published VoxCeleb layout, decoded when needed;
- videos (or photos): decoded in order; training caches their frames in .npy files.

Another layout is another row of `LAYOUTS`, before any row that would also match its entries.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import repeat
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from animate.errors import AnimateError
from animate.media import clips, files
from animate.media.frame_colours import FrameColours
from animate.media.interlaced import deinterlaced
from animate.media.tables import read_table

MANIFEST = "manifest.csv"
SAYS_WHO = re.compile(r"id\d+")  # an identity at the start of a clip's name
NO_CLIPS = (".csv", ".json", ".md", ".npz", ".txt")  # suffixes of other files in a data folder


@runtime_checkable
class Frames(Protocol):
    """The frames of one clip, uint8 (S, S, 3) each, such as a memory-mapped array (T, S, S, 3)."""

    def __len__(self) -> int: ...

    def __getitem__(self, t: int) -> np.ndarray: ...


@dataclass(frozen=True)
class Layout:
    """A layout of clips in a data folder.

    holds: whether an entry of the folder has this layout. clips: the clips in such an entry by
    name; each yields its frames, uint8 (H, W, 3), in playing order. Training reads clips that are
    also `Frames` in place, and first decodes others into its cache. many: an entry holds any number
    of clips, and the folder's manifest, if any, names those to use. Otherwise an entry is one clip,
    named by its stem.
    """

    holds: Callable[[Path], bool]
    clips: Callable[[Path], Mapping[str, Iterable[np.ndarray]]]
    many: bool = False


@dataclass(frozen=True)
class Stored:
    """A clip of a data folder; `path` is the entry, or ENTRY/NAME where an entry holds many."""

    name: str
    path: Path
    frames: Iterable[np.ndarray]


def stored_clips(folder: Path) -> Iterator[Stored]:
    """The clips of a data folder, entry by entry in order of names; none if it is no folder.

    Raises AnimateError for an unreadable entry, and a manifest that names a missing file.
    """
    paths = folder.iterdir() if folder.is_dir() else ()
    named = check_manifest(folder)
    for path in sorted(p for p in paths if not p.name.startswith(".")):
        layout = layout_of(path)
        for name, frames in layout.clips(path).items() if layout else ():
            if layout and not layout.many:
                yield Stored(name, path, frames)
            elif named is None or name in named:
                yield Stored(name, path / name, frames)


def open_frames(path: Path) -> Iterable[np.ndarray]:
    """The frames of the clip with this `Stored.path`. Raises AnimateError if there is none."""
    outer, inner = layout_of(path.parent), layout_of(path)
    if outer and outer.many:
        stored = outer.clips(path.parent)
        if path.name in stored:
            return stored[path.name]
    elif inner and not inner.many:
        return inner.clips(path)[path.stem]
    raise AnimateError(f"{path} is no clip: give a video or a folder of frames")


def layout_of(entry: Path) -> Layout | None:
    """The first layout that an entry of a data folder matches; None if it holds no clips."""
    return next((layout for layout in LAYOUTS if layout.holds(entry)), None)


def identity_of(folder: Path, name: str) -> str:
    """The person in the clip `name`.

    manifest.csv in the folder, or clips.csv beside it, gives it (columns file and identity). Else
    it is an id1234 at the start of the name, the part before a # (as in VoxCeleb), or the name.
    """
    stem = Path(name).stem
    for path in (folder / MANIFEST, folder.parent / "clips.csv"):
        if path.is_file():
            known = _people(path, path.stat().st_mtime_ns)
            if stem in known:
                return known[stem]
    match = SAYS_WHO.match(stem)
    return match[0] if match else stem.split("#")[0]


@lru_cache
def _people(path: Path, changed: int) -> dict[str, str]:
    """Identities by clip, of a table; `changed`, its time in ns, renews the cache."""
    columns, rows = read_table(path, "use columns file, identity")
    if not {"file", "identity"} <= set(columns):
        return {}
    return {Path(row.cells["file"]).stem: row.cells["identity"] for row in rows}


def check_manifest(folder: Path) -> set[str] | None:
    """The clips that the manifest in a folder names; None without a manifest. Raises AnimateError
    if it names a missing file."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    _, rows = read_table(path, "use columns file, identity, shard")
    for row in rows:
        named = row.cells.get("shard") or row.cells.get("file") or ""
        if not (folder / named).exists():
            raise AnimateError(
                f"{path}, line {row.line}, names {named}, which is missing: restore it, or remove "
                "the line"
            )
    return {row.cells.get("file") or "" for row in rows}


def as_stored(path: Path) -> Iterator[np.ndarray]:
    """The frames of a clip, photo or folder of pictures as stored, uint8 (H, W, 3): without the
    rotation or pixel aspect that a player applies. Landmarks in pixels refer to these."""
    import av

    if path.is_dir():
        pictures = Pictures(path)
        yield from (pictures[t] for t in range(len(pictures)))
        return
    if files.kind_of(path) == files.PICTURE:
        yield clips.read_photo(path, upright=False)
        return
    try:
        with av.open(str(path)) as container:
            colours = FrameColours()
            stored = zip(container.decode(video=0), repeat(Fraction(0)), repeat(Fraction(0)))
            for frame, _, _ in deinterlaced(stored):
                yield colours.rgb(frame, frame.width, frame.height)
    except (av.error.FFmpegError, IndexError) as error:
        raise AnimateError(
            f"{path} can't be read as a training clip: remove it ({error})"
        ) from error


class Video:
    """The frames of a video or photo as stored, decoded on each iteration."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[np.ndarray]:
        return as_stored(self.path)


class Pictures:
    """A folder of pictures. Indices follow the plain order of names, as landmarks and masks do;
    iteration plays it like any folder of frames, 2 before 10."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = sorted(files.files_in(folder))
        if not self.paths:
            raise AnimateError(f"no pictures in {folder}: remove the folder, or fill it")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, t: int) -> np.ndarray:
        return clips.read_photo(self.paths[t])

    def __iter__(self) -> Iterator[np.ndarray]:
        return clips.open_clip(self.folder).frames()


def shard(path: Path) -> dict[str, np.ndarray]:
    """The memory-mapped arrays of a tar file, by name."""
    arrays = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if member.name.endswith(".npy"):
                    arrays[member.name[:-4]] = _mapped(path, member.offset_data)
    except (tarfile.TarError, OSError, ValueError) as error:
        raise AnimateError(
            f"{path} is not a complete shard ({error}): make it again with `animate prepare`"
        ) from error
    return arrays


def _mapped(path: Path, offset: int) -> np.ndarray:
    with path.open("rb") as file:
        file.seek(offset)
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError("an array of another version of NumPy's format")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return np.memmap(path, dtype, "r", file.tell(), shape)


LAYOUTS = [  # the first that `holds` an entry is its layout
    Layout(lambda path: path.suffix == ".tar", shard, many=True),
    Layout(Path.is_dir, lambda path: {path.stem: Pictures(path)}),
    Layout(lambda path: path.suffix.lower() not in NO_CLIPS, lambda path: {path.stem: Video(path)}),
]
