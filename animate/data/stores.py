"""Where the frames of training clips lie: videos, folders of pictures, shards, or a GPU.

Three layouts on disk, told apart by what is in the folder:

- videos (or photos): decoded once into a cache of .npy files and mapped from there;
- folders of pictures, one for each clip: the published VoxCeleb layout, decoded when needed;
- shards, .tar files in the layout of WebDataset, one uncompressed KEY.npy (T, S, S, 3) a clip:
  what `animate prepare` writes. Python's tarfile finds the arrays, which are mapped where they lie,
  so that a random frame costs one read; shards can be spread over disks by links.
"""

from __future__ import annotations

import csv
import re
import tarfile
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from animate.errors import AnimateError
from animate.media import clips
from animate.media.frame_colours import FrameColours

if TYPE_CHECKING:
    pass

MANIFEST = "manifest.csv"
SAYS_WHO = re.compile(r"id\d+")


class Frames(Protocol):
    """The frames of one clip: uint8 (S, S, 3) each; a mapped array (T, S, S, 3) is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, t: int) -> np.ndarray: ...


def who(folder: Path, name: str) -> str:
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


def decoded(path: Path, cache: Path) -> np.ndarray:
    """The frames of one file, from the cache if they are there."""
    stored = cache / f"{path.stem}.npy"
    if not stored.exists():
        frames = np.stack(list(as_stored(path)))
        draft = stored.with_suffix(".part")
        with draft.open("wb") as file:
            np.save(file, frames)
        draft.replace(stored)
    return np.load(stored, mmap_mode="r")


def as_stored(path: Path) -> Iterator[np.ndarray]:
    """The frames of a clip, photo or folder of pictures as they are stored, uint8 (H, W, 3): a
    landmark in pixels means these, whatever rotation or pixel aspect a player would apply."""
    import av

    if path.is_dir():
        pictures = Pictures(path)
        yield from (pictures[t] for t in range(len(pictures)))
        return
    if path.suffix.lower() in clips.PHOTO_SUFFIXES:
        yield clips.read_photo(path, upright=False)
        return
    try:
        with av.open(str(path)) as container:
            colours = FrameColours()
            for frame in container.decode(video=0):
                yield colours.rgb(frame, frame.width, frame.height)
    except (av.error.FFmpegError, IndexError) as error:
        raise AnimateError(
            f"{path} can't be read as a training clip: remove it ({error})"
        ) from error


class Pictures:
    """A folder of pictures, in the order of their names."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in clips.PHOTO_SUFFIXES)
        if not self.paths:
            raise AnimateError(f"no pictures in {folder}: remove the folder, or fill it")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, t: int) -> np.ndarray:
        return clips.read_photo(self.paths[t])


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


class Store:
    """Fetches frames from the files; one that can't be read gives way to the next of its clip.

    `skipped` counts those; each is warned of once.
    """

    def __init__(self, names: Sequence[str], frames: Sequence[Frames]) -> None:
        self.names, self.frames = names, frames
        self.skipped = 0
        self.told: set[tuple[int, int]] = set()

    def fetch(self, clip: np.ndarray, frame: np.ndarray, device: torch.device | str) -> Tensor:
        """Frames frame[i] of clips clip[i]: uint8 (n, S, S, 3) on a device."""
        pixels = [self._one(int(c), int(t)) for c, t in zip(clip, frame, strict=True)]
        found = torch.from_numpy(np.stack(pixels))
        if torch.device(device).type == "cuda":
            found = found.pin_memory().to(device, non_blocking=True)
        return found

    def _one(self, clip: int, frame: int) -> np.ndarray:
        frames = self.frames[clip]
        for step in range(len(frames)):
            t = (frame + step) % len(frames)
            try:
                return frames[t]
            except (AnimateError, OSError) as error:
                self.skipped += 1
                if (clip, t) not in self.told:
                    self.told.add((clip, t))
                    warnings.warn(
                        f"frame {t} of {self.names[clip]} is skipped ({error}); "
                        f"{len(self.told)} such frames so far",
                        stacklevel=2,
                    )
        raise AnimateError(f"no frame of {self.names[clip]} can be read: remove this clip")


class Resident:
    """Every frame in the memory of one device: fetching is a gather, and no file is read."""

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
