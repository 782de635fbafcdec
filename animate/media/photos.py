"""Read photos: whole, upright, in sRGB."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from animate.errors import AnimateError
from animate.media.photo_colours import cicp_of, in_srgb

if TYPE_CHECKING:
    from PIL import Image

SMALLEST, LARGEST, MOST_PIXELS = 16, 12_000, 100_000_000
PHOTOS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
# What Pillow raises on files that are not what they seem.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, LookupError, struct.error, zlib.error)


def read_photo(path: Path, *, upright: bool = True) -> np.ndarray:
    """The picture in a file as uint8 (H, W, 3) sRGB, transparent parts over white.

    upright: turned as EXIF says. What the file says of its colours is followed: see `in_srgb`.

    JPEG, PNG (8 or 16 bits, grey, palette, alpha), WebP, BMP, TIFF; the first frame of a GIF.
    Raises AnimateError for what isn't a whole picture of 16 to 12,000 pixels a side and at most
    100 megapixels; larger ones are refused before they are decoded.
    """
    from PIL import Image, ImageOps

    path = existing(path)
    if path.is_dir():
        raise AnimateError(f"{path} is a folder: give one photo")
    try:
        with opened(path) as picture:
            check_size(path, *picture.size)
            picture.load()
            turned = ImageOps.exif_transpose(picture) if upright else picture
            return _rgb(turned, cicp_of(path))
    except Image.DecompressionBombError as error:
        raise AnimateError(_too_large(path)) from error
    except Image.UnidentifiedImageError as error:
        raise AnimateError(f"{path} is no photo that can be read: use JPEG, PNG or WebP") from error
    except BROKEN as error:
        raise AnimateError(f"{path} is damaged or cut off ({error}): use a whole photo") from error


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """A picture of a kind that is read here, not decoded yet, without Pillow's warnings."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path, formats=PHOTOS) as picture:
            yield picture


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


def existing(path: Path) -> Path:
    path = Path(path)
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise AnimateError(f"there is no {path}: check the path") from error
    if size == 0 and path.is_file():
        raise AnimateError(f"{path} is empty: use a whole file")
    return path
