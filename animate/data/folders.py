"""The clips of a data folder, in whatever layout they lie: what training and evaluation both read.

Each entry of the folder is told apart by itself (`LAYOUTS`), so that one folder may mix them:

- shards, .tar files in the layout of WebDataset, one uncompressed KEY.npy (T, S, S, 3) a clip:
  what `animate prepare` writes. Python's tarfile finds the arrays, which are mapped where they lie,
  so that a random frame costs one read; shards can be spread over disks by links;
- folders of pictures, one for each clip: the published VoxCeleb layout, decoded when needed;
- videos (or photos): decoded in order; training keeps their frames in a cache of .npy files.

Another layout is another row of `LAYOUTS`, before the rows that would take its entries.
"""

from __future__ import annotations

import csv
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

MANIFEST = "manifest.csv"
SAYS_WHO = re.compile(r"id\d+")
NO_CLIPS = (".csv", ".json", ".md", ".npz", ".txt")  # what else may lie in a data folder


@runtime_checkable
class Frames(Protocol):
    """The frames of one clip: uint8 (S, S, 3) each; a mapped array (T, S, S, 3) is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, t: int) -> np.ndarray: ...


@dataclass(frozen=True)
class Layout:
    """A way in which clips lie in a data folder.

    holds: whether an entry of the folder is of this layout. clips: the clips in such an entry by
    name; iterated, each yields its frames, uint8 (H, W, 3), as it plays. Those that are `Frames`,
    too, are read in place by training; others are first decoded into its cache. many: an entry
    holds any number of clips, of which the folder's manifest, where there is one, names those to
    use; otherwise an entry is one clip, named by its stem.
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
    """The clips of a data folder, entry by entry in order of names; none where it is no folder.

    Raises AnimateError for an entry that can't be read and a manifest that names a missing one.
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
    """The frames of the clip whose `Stored.path` this is. Raises AnimateError for what is none."""
    outer, inner = layout_of(path.parent), layout_of(path)
    if outer and outer.many:
        found = outer.clips(path.parent)
        if path.name in found:
            return found[path.name]
    elif inner and not inner.many:
        return inner.clips(path)[path.stem]
    raise AnimateError(f"{path} is no clip: give a video or a folder of frames")


def layout_of(entry: Path) -> Layout | None:
    """The first layout that an entry of a data folder is of; None where it holds no clips."""
    return next((layout for layout in LAYOUTS if layout.holds(entry)), None)


def identity_of(folder: Path, name: str) -> str:
    """Who is in the clip `name`: what manifest.csv in the folder, or clips.csv beside it, says
    (columns file and identity), else what its name says: all before a #, as in VoxCeleb, or an
    id1234 at its start, else the whole name."""
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
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if not {"file", "identity"} <= set(rows.fieldnames or ()):
            return {}
        return {Path(row["file"]).stem: row["identity"] for row in rows}


def check_manifest(folder: Path) -> set[str] | None:
    """The clips that the manifest in a folder names, None without one. Raises AnimateError where it
    names a file that isn't there."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    clips = set()
    with path.open(newline="", encoding="utf-8") as file:
        for line, row in enumerate(csv.DictReader(file), 2):
            named = row.get("shard") or row.get("file") or ""
            if not (folder / named).exists():
                raise AnimateError(f"{path}, line {line}, names {named}, which is missing")
            clips.add(row.get("file") or "")
    return clips


def as_stored(path: Path) -> Iterator[np.ndarray]:
    """The frames of a clip, photo or folder of pictures as they are stored, uint8 (H, W, 3): a
    landmark in pixels means these, whatever rotation or pixel aspect a player would apply."""
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
    """The frames of a video or photo as they are stored, decoded each time they are iterated."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[np.ndarray]:
        return as_stored(self.path)


class Pictures:
    """A folder of pictures, numbered in the plain order of their names, by which landmarks and
    masks are taught; iterated, it plays as any folder of frames does, 2 before 10."""

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
    """The arrays of a tar file by name, mapped where they lie."""
    found = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if member.name.endswith(".npy"):
                    found[member.name[:-4]] = _mapped(path, member.offset_data)
    except (tarfile.TarError, OSError, ValueError) as error:
        raise AnimateError(f"{path} is not a whole shard ({error}): prepare it again") from error
    return found


def _mapped(path: Path, offset: int) -> np.ndarray:
    with path.open("rb") as file:
        file.seek(offset)
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError("an array of another version of NumPy's format")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return np.memmap(path, dtype, "r", file.tell(), shape)


LAYOUTS = [  # an entry is of the first that holds it
    Layout(lambda path: path.suffix == ".tar", shard, many=True),
    Layout(Path.is_dir, lambda path: {path.stem: Pictures(path)}),
    Layout(lambda path: path.suffix.lower() not in NO_CLIPS, lambda path: {path.stem: Video(path)}),
]
