"""Read photos as upright sRGB pictures, and refuse damaged or too large ones."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from animate.errors import AnimateError
from animate.media import formats
from animate.media.avif import exactly
from animate.media.coding_points import coded_in
from animate.media.delays import MOST_PIXELS
from animate.media.files import existing
from animate.media.photo_colours import in_srgb
from animate.media.strange import what

if TYPE_CHECKING:
    from PIL import Image

SMALLEST, LARGEST = 16, 12_000  # pixels a side
PHOTOS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")  # Pillow's names of the formats always read
INSTEAD = "use JPEG, PNG or WebP"
# Exceptions that Pillow raises for damaged files.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, LookupError, struct.error, zlib.error)


def read_photo(path: Path, *, upright: bool = True) -> np.ndarray:
    """The picture in a file as uint8 (H, W, 3) sRGB, transparent parts over white.

    upright: whether to turn it as EXIF says. Colours are converted: see `in_srgb`.

    Reads JPEG, PNG (8 or 16 bits, grey, palette, alpha), WebP, BMP, TIFF, AVIF, and HEIC with the
    extra `heic`; of a GIF or another animated picture the first frame.
    Raises AnimateError for a file that isn't a whole picture of 16 to 12,000 pixels a side and at
    most 100 megapixels. Larger pictures are refused before decoding.
    """
    from PIL import Image

    path = existing(path)
    if path.is_dir():
        raise AnimateError(f"{path} is a folder: give one photo")
    _readable(path)
    try:
        with opened(path) as picture:
            check_size(path, *picture.size)
            cicp = coded_in(path)
            picture.load()
            exact = exactly(path, picture, cicp) if picture.format == "AVIF" else None
            return shown(exact or picture, None if exact else cicp, upright)
    except Image.DecompressionBombError as error:
        raise AnimateError(_too_large(path)) from error
    except Image.UnidentifiedImageError as error:
        words = what(path)
        why = f"{words}, no photo" if words else "no photo"
        raise AnimateError(f"{path} is {why} that can be read: {INSTEAD}") from error
    except BROKEN as error:
        raise AnimateError(f"{path} is damaged or cut off ({error}): use a whole photo") from error


def further(path: Path) -> int:
    """How many more pictures a TIFF or JPEG holds after the one that is read.

    Pages of a TIFF, or extra pictures of a JPEG (MPO), such as previews, depth or gain maps.
    """
    from PIL import Image

    if formats.format_of(path).name not in ("tiff", "jpeg"):
        return 0
    try:
        with opened(path) as picture:
            return int(getattr(picture, "n_frames", 1)) - 1
    except (*BROKEN, Image.DecompressionBombError):
        return 0


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture of a supported format without decoding it, and mute Pillow's warnings."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path, formats=_plugins(path)) as picture:
            yield picture


def _readable(path: Path) -> None:
    """Raise AnimateError if the first bytes show that the file is not a readable photo."""
    found = formats.format_of(path)
    if found is formats.NOTHING:
        return
    if not found.read or found.kind != formats.PICTURE:
        raise AnimateError(f"{path} is {found.words}, no photo that can be read: {INSTEAD}")
    if found.name == "heif" and not _heif():
        raise AnimateError(
            f"{path} is {found.words}: install what reads it, `pip install 'animate[heic]'`, or "
            "save it as JPEG"
        )
    if found.name == "avif" and not _avif():
        raise AnimateError(f"{path} is {found.words}: install pillow 11.3 or newer, {INSTEAD}")


def _plugins(path: Path) -> tuple[str, ...]:
    """Pillow's names of the formats to try for a file."""
    name = formats.format_of(path).name
    if name == "heif" and _heif():
        return ("HEIF",)
    return ("AVIF",) if name == "avif" and _avif() else PHOTOS


@cache
def _heif() -> bool:
    """Register HEIC with Pillow; returns whether the package for it is installed."""
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
    """A decoded picture as uint8 (H, W, 3) sRGB over white, turned upright if `upright`."""
    from PIL import ImageOps

    return _rgb(ImageOps.exif_transpose(picture) if upright else picture, cicp)


def _rgb(picture: Image.Image, cicp: tuple[int, int] | None) -> np.ndarray:
    """A picture in any of Pillow's modes as uint8 (H, W, 3) sRGB over white."""
    from PIL import Image

    info = picture.info
    if picture.mode.startswith("I") or picture.mode == "F":  # 16-bit grey, or scientific data
        grey = np.asarray(picture, np.float64)
        grey = grey / 257 if picture.mode.startswith("I") else grey
        picture = Image.fromarray(np.clip(grey + 0.5, 0, 255).astype(np.uint8))
    if "transparency" in picture.info:
        picture = picture.convert("RGBA")
    picture = in_srgb(picture, info, cicp)
    if picture.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return np.array(picture.convert("RGB"))


def check_size(path: Path, width: int, height: int) -> None:
    """Raise AnimateError for a picture with too few or too many pixels."""
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


def from_memory(data: bytes, most: int) -> np.ndarray:
    """A camera's frame, a JPEG or WebP, as uint8 (H, W, 3); its colours are taken as sRGB.

    Raises AnimateError for anything else, and for more than `most` pixels a side.
    """
    from PIL import Image

    try:
        with Image.open(BytesIO(data), formats=("JPEG", "WEBP")) as picture:
            if max(picture.size) > most or min(picture.size) < SMALLEST:
                raise AnimateError(
                    f"a camera's frame is {picture.width}x{picture.height}: use {SMALLEST} to "
                    f"{most} pixels a side"
                )
            return np.asarray(picture.convert("RGB"))
    except BROKEN as error:
        raise AnimateError("a camera's frame is no whole JPEG or WebP: send one") from error
