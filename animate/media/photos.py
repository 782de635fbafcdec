"""Read photos: whole, upright, in sRGB."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from animate.errors import AnimateError
from animate.media import files
from animate.media.coding_points import coded_in
from animate.media.files import MOST_PIXELS, existing
from animate.media.photo_colours import in_srgb

if TYPE_CHECKING:
    from PIL import Image

SMALLEST, LARGEST = 16, 12_000  # pixels a side
PHOTOS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
INSTEAD = "use JPEG, PNG or WebP"
# What Pillow raises on files that are not what they seem.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, LookupError, struct.error, zlib.error)


def read_photo(path: Path, *, upright: bool = True) -> np.ndarray:
    """The picture in a file as uint8 (H, W, 3) sRGB, transparent parts over white.

    upright: turned as EXIF says. What the file says of its colours is followed: see `in_srgb`.

    JPEG, PNG (8 or 16 bits, grey, palette, alpha), WebP, BMP, TIFF, AVIF, HEIC with the extra
    `heic`; the first frame of a GIF, or of another picture that moves.
    Raises AnimateError for what isn't a whole picture of 16 to 12,000 pixels a side and at most
    100 megapixels; larger ones are refused before they are decoded.
    """
    from PIL import Image

    path = existing(path)
    if path.is_dir():
        raise AnimateError(f"{path} is a folder: give one photo")
    _readable(path)
    try:
        with opened(path) as picture:
            check_size(path, *picture.size)
            picture.load()
            return shown(picture, coded_in(path), upright)
    except Image.DecompressionBombError as error:
        raise AnimateError(_too_large(path)) from error
    except Image.UnidentifiedImageError as error:
        raise AnimateError(f"{path} is no photo that can be read: {INSTEAD}") from error
    except BROKEN as error:
        raise AnimateError(f"{path} is damaged or cut off ({error}): use a whole photo") from error


def further(path: Path) -> int:
    """How many pictures a file of single pictures holds behind the one that is read.

    Pages of a TIFF, and the second pictures of a JPEG (MPO): previews, depths, gain maps.
    """
    from PIL import Image

    if files.format_of(path).name not in ("tiff", "jpeg"):
        return 0
    try:
        with opened(path) as picture:
            return int(getattr(picture, "n_frames", 1)) - 1
    except (*BROKEN, Image.DecompressionBombError):
        return 0


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """A picture of a kind that is read here, not decoded yet, without Pillow's warnings."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path, formats=_plugins(path)) as picture:
            yield picture


def _readable(path: Path) -> None:
    """Raise AnimateError for what is known by its first bytes not to be a photo that is read."""
    found = files.format_of(path)
    if found is files.NOTHING:
        return
    if not found.read or found.kind != files.PICTURE:
        raise AnimateError(f"{path} is {found.words}, no photo that can be read: {INSTEAD}")
    if found.name == "heif" and not _heif():
        raise AnimateError(
            f"{path} is {found.words}: install what reads it, `pip install 'animate[heic]'`, or "
            "save it as JPEG"
        )
    if found.name == "avif" and not _avif():
        raise AnimateError(f"{path} is {found.words}: install pillow 11.3 or newer, {INSTEAD}")


def _plugins(path: Path) -> tuple[str, ...]:
    """Pillow's names of the formats that a file may be of."""
    name = files.format_of(path).name
    if name == "heif" and _heif():
        return ("HEIF",)
    return ("AVIF",) if name == "avif" and _avif() else PHOTOS


@cache
def _heif() -> bool:
    """Teach Pillow to read HEIC; whether what does it is installed."""
    try:
        from pi_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener(thumbnails=False)  # also undoes the rotation that EXIF repeats
    return True


@cache
def _avif() -> bool:
    from PIL import features

    return "avif" in features.get_supported_modules()


def shown(
    picture: Image.Image, cicp: tuple[int, int] | None = None, upright: bool = True
) -> np.ndarray:
    """uint8 (H, W, 3) of a decoded picture, as it is meant to be seen: upright, on white."""
    from PIL import ImageOps

    return _rgb(ImageOps.exif_transpose(picture) if upright else picture, cicp)


def _rgb(picture: Image.Image, cicp: tuple[int, int] | None) -> np.ndarray:
    """uint8 (H, W, 3) of a picture in any of Pillow's modes."""
    from PIL import Image

    told = picture.info
    if picture.mode.startswith("I") or picture.mode == "F":  # 16 bits of grey, or scientific data
        grey = np.asarray(picture, np.float64)
        grey = grey / 257 if picture.mode.startswith("I") else grey
        picture = Image.fromarray(np.clip(grey + 0.5, 0, 255).astype(np.uint8))
    if "transparency" in picture.info:
        picture = picture.convert("RGBA")
    picture = in_srgb(picture, told, cicp)
    if picture.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return np.array(picture.convert("RGB"))


def check_size(path: Path, width: int, height: int) -> None:
    if min(width, height) < SMALLEST:
        raise AnimateError(
            f"{path} is {width}x{height} pixels: use at least {SMALLEST} pixels a side"
        )
    if max(width, height) > LARGEST or width * height > MOST_PIXELS:
        raise AnimateError(_too_large(path, f" ({width}x{height})"))


def _too_large(path: Path, size: str = "") -> str:
    return (
        f"{path} is too large{size}: use at most {LARGEST:,} pixels a side and "
        f"{MOST_PIXELS // 1_000_000} megapixels"
    )
