"""What a path is: a picture, a clip, a template or a folder, and whether it can be used.

The first bytes decide; the name counts only where they tell nothing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from animate.errors import AnimateError
from animate.media.delays import DELAYS, moves
from animate.media.formats import (
    CLIP,
    FOLDER,
    HEAD,
    NOTHING,
    PICTURE,
    TEMPLATE,
    UNKNOWN,
    Format,
    format_of,
)

ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")  # https://...
LONGEST_NAME = 255  # bytes


# Kinds by suffix, for files whose bytes tell nothing: empty, damaged or unknown ones.
SUFFIXES = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp",
                     ".tif", ".tiff", ".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".dng",
                     ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".psd"), PICTURE),
    **dict.fromkeys((".mp4", ".mov", ".webm", ".mkv", ".avi", ".m4v", ".mpg", ".mpeg", ".ts",
                     ".mts", ".m2ts", ".flv", ".wmv", ".asf", ".ogv", ".3gp", ".3g2", ".qt", ".vob",
                     ".f4v", ".mxf", ".rm", ".rmvb", ".dv"), CLIP),
    ".npz": TEMPLATE,
}  # fmt: skip
SCRIPTS = (".ts", ".mts")  # suffixes of TypeScript, too


def existing(path: Path) -> Path:
    """The path, if it is a file or a folder.

    Raises AnimateError for a path that doesn't exist, an empty file, a pipe and a device.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise AnimateError(absent(path)) from error
    if size == 0 and path.is_file():
        raise AnimateError(f"{path} is empty: use a whole file")
    if not path.is_file() and not path.is_dir():
        raise AnimateError(f"{path} is a pipe or a device: give a file")
    return path


def check_place(out: Path) -> None:
    """Raise AnimateError if no file can be written as `out`."""
    if "\0" in str(out):
        raise AnimateError(f"{str(out)!r} holds a NUL character: use another name")
    if ADDRESS.match(str(out)):
        raise AnimateError(f"{_address(str(out))} is an address: name a file on this machine")
    if os.path.exists(out.parent) and not os.path.isdir(out.parent):
        raise AnimateError(f"{out.parent} is a file, no folder: use another place")
    if len(os.fsencode(out.name)) > LONGEST_NAME:
        raise AnimateError(f"{out} has too long a name: use at most {LONGEST_NAME} bytes")
    if not os.path.isdir(out.parent):
        raise AnimateError(f"there is no folder {out.parent}: make it first, or use another")


def shortened(name: str) -> str:
    """The beginning of a file's name, at most 80 bytes."""
    return os.fsencode(name)[:80].decode("utf-8", "ignore")


def _address(text: str) -> str:
    """An address with both slashes; a Path keeps only one."""
    found = ADDRESS.match(text)
    return f"{found[1]}://{text[found.end() :]}" if found else text


def absent(path: Path) -> str:
    """The error message for a path that doesn't exist."""
    text = str(path)
    if ADDRESS.match(text):
        return f"{_address(text)} is an address: download it first, and give the file"
    if "\0" in text:
        return f"{text!r} holds a NUL character: check the path"
    if text.startswith("~"):
        return f"there is no {path}: write the home folder in full, quotes keep ~ as it is"
    near = {text.strip(), text.strip(" '\"\t\r\n"), text.replace("\\ ", " ")} - {text, ""}
    there = next((other for other in sorted(near) if Path(other).exists()), None)
    if there:
        return f"there is no {text!r}: did you mean {there}?"
    return f"there is no {path}: check the path"


def kind_of(path: Path) -> str:
    """PICTURE, CLIP (also animated GIF, WebP and PNG), TEMPLATE, FOLDER or UNKNOWN.

    Raises AnimateError for a path that doesn't exist and for an empty file.
    """
    path = existing(path)
    return FOLDER if path.is_dir() else _kind(path, format_of(path))


def _kind(path: Path, found: Format) -> str:
    if found is NOTHING:
        return SUFFIXES.get(path.suffix.lower(), UNKNOWN)
    return CLIP if found.name in DELAYS and moves(path) else found.kind


def is_picture(path: Path) -> bool:
    """Whether a file is in a picture format, animated or not."""
    return path.is_file() and format_of(path).kind == PICTURE


def is_media(path: Path) -> bool:
    """Whether a file in a folder is a picture or a clip; never raises.

    A damaged file, or one that can't be opened, counts by its name, so that it isn't passed over.
    Folders, pipes and devices are no media.
    """
    return kind_in_folder(path) in (PICTURE, CLIP)


def kind_in_folder(path: Path) -> str:
    """As `kind_of`, but never raises: by its name for a file that is empty or can't be opened,
    and UNKNOWN for folders, pipes, devices and texts.
    """
    suffix = path.suffix.lower()
    try:
        if not path.is_file():
            return UNKNOWN
        with path.open("rb") as file:
            head = file.read(HEAD)
        if suffix in SCRIPTS and b"\0" not in head:
            return UNKNOWN
        return _kind(path, format_of(path))
    except (OSError, ValueError, AnimateError):
        return SUFFIXES.get(suffix, UNKNOWN)


def files_in(folder: Path, kind: str = PICTURE) -> list[Path]:
    """The files of one kind in a folder, sorted by name, without hidden ones."""
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and kind_in_folder(path) == kind
    )
