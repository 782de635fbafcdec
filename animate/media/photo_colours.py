"""Convert photos to sRGB from their ICC profile or PNG's colour chunks."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from animate.media.colours import BT709, PRIMARIES, coding, shown, srgb, to_bt709

if TYPE_CHECKING:
    from PIL import Image

# Pillow's mode for each colour space of an ICC profile. Source: ICC.1:2022, table 19.
SPACES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
# Usable profile classes: devices and colour spaces. Source: ICC.1:2022, table 18.
CLASSES = ("scnr", "mntr", "prtr", "spac")
# Creation date written into `srgb_profile`: 2024-01-01. Source: ICC.1:2022, section 7.2.8.
MADE = bytes.fromhex("07e8 0001 0001 0000 0000 0000")
SAME = 1  # grey levels: a profile that changes colours by at most this counts as sRGB
# Tolerances within which libpng takes gamma (PNG_GAMMA_THRESHOLD) and chromaticities as sRGB's.
SAME_GAMMA, SAME_XY = 0.05, 0.01
STRIP = 64  # rows converted to floats at a time, to save memory


def in_srgb(
    picture: Image.Image, info: dict[Any, Any], cicp: tuple[int, int] | None = None
) -> Image.Image:
    """Convert an 8-bit picture to sRGB; returns the picture itself if it is in sRGB already.

    info: Pillow's `info` of the file. cicp: see `coding_points.coded_in`. The first of these that
    exists is used, as in PNG's specification (third edition, section 4.3): cICP, the ICC profile,
    the chunk sRGB, then gAMA with cHRM. Profiles are applied with the relative colorimetric intent
    and black point compensation, so that colours inside sRGB, white and black keep their
    appearance. As in browsers, an unusable profile (damaged, for another kind of picture, or with
    white no lighter than black) is ignored, and the values are taken as sRGB.
    """
    if picture.mode == "LAB":
        return _followed(picture, None)
    if cicp is not None:
        coded = coding(*cicp)
        return picture if coded.plain else _by(picture, lambda rgb: shown(rgb, coded, photo=True))
    profile = info.get("icc_profile")
    if profile:
        return _followed(picture, profile)
    if "gamma" in info and "srgb" not in info:
        return _by_chunks(picture, info["gamma"], info.get("chromaticity"))
    return picture


# ---------------------------------------------------------------- ICC profiles


def _followed(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert a picture to sRGB by its ICC profile; profile None: from CIE L*a*b* of D50."""
    flat, alpha = _parts(picture)
    transform = None
    for mode in (flat.mode, "RGB") if flat.mode == "L" else (flat.mode,):
        transform = transform or _transform(profile, mode)
    if transform is None:
        return picture
    result: Image.Image = transform.apply(flat.convert(transform.input_mode))
    if alpha is not None:
        result.putalpha(alpha)
    return result


def _parts(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The colours of a picture as L, RGB, CMYK or LAB, and its alpha channel, if any."""
    premultiplied = {"RGBa": "RGBA", "La": "LA", "PA": "RGBA"}
    picture = picture.convert(premultiplied.get(picture.mode, picture.mode))
    alpha = picture.getchannel("A") if picture.mode in ("RGBA", "LA") else None
    grey = picture.mode in ("1", "L", "LA")
    kept = picture.mode in ("CMYK", "LAB")
    flat: Image.Image = picture if kept else picture.convert("L" if grey else "RGB")
    return flat, alpha


@lru_cache(maxsize=4)
def _transform(profile: bytes | None, mode: str) -> Any:
    """Pillow's transform from a profile and mode to sRGB; None if unusable or not needed."""
    from PIL import ImageCms

    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    try:
        if profile is None:
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        else:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            inside = source.profile
            if inside.device_class not in CLASSES:
                return None
            if SPACES.get(inside.xcolor_space.strip()) != mode:
                return None
        target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        made = ImageCms.ImageCmsTransform(source, target, mode, "RGB", intent, flags=flags)
    except (OSError, ValueError, TypeError):
        return None
    return made if mode == "LAB" or _useful(made) else None


def _useful(transform: Any) -> bool:
    """Whether a transform changes colours and keeps the order of black, grey and white."""
    from PIL import Image

    mode = transform.input_mode
    parts = 4 if mode == "CMYK" else 3
    black, grey, white = ([v] * parts for v in ((255, 128, 0) if parts == 4 else (0, 128, 255)))
    ladder = np.array([[black, grey, white]], np.uint8)
    ladder = ladder[..., 0] if mode == "L" else ladder
    light = np.asarray(transform.apply(Image.fromarray(ladder, mode)), int).sum(-1)[0]
    if not light[0] < light[1] < light[2]:
        return False
    if mode == "CMYK":
        return True
    if mode == "L":
        samples = np.arange(256)[None]
        unchanged = samples[..., None]
    else:
        steps = np.arange(0, 256, 15)
        samples = unchanged = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    changed = np.asarray(transform.apply(Image.fromarray(samples.astype(np.uint8), mode)), int)
    return bool(np.abs(changed - unchanged).max() > SAME)


def srgb_profile() -> bytes:
    """An ICC profile of sRGB with a fixed date, so that its bytes are always the same."""
    from PIL import ImageCms

    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return made[:24] + MADE + made[36:]


# ---------------------------------------------------------------- PNG's chunks


def _by_chunks(
    picture: Image.Image, gamma: float, chromaticity: tuple[float, ...] | None
) -> Image.Image:
    """Convert by a PNG's gAMA and cHRM (white, red, green, blue); ignores impossible values."""
    red, green, blue, white = PRIMARIES[BT709]
    if not 0.1 <= gamma <= 10:
        return picture
    if chromaticity is not None:
        stated = np.array(chromaticity, float).reshape(4, 2)
        same = np.abs(stated - [white, red, green, blue]).max() <= SAME_XY
        if not same:
            white, red, green, blue = ((float(x), float(y)) for x, y in stated)
    if (red, green, blue, white) == PRIMARIES[BT709] and abs(gamma * 2.2 - 1) <= SAME_GAMMA:
        return picture
    try:
        matrix = to_bt709((red, green, blue, white))
    except np.linalg.LinAlgError:
        return picture
    return _by(picture, lambda rgb: srgb(rgb ** (1 / gamma) @ matrix.T))


def _by(picture: Image.Image, of: Callable[[np.ndarray], np.ndarray]) -> Image.Image:
    """Apply `of` to a picture's RGB in [0, 1], keeping its alpha."""
    from PIL import Image

    flat, alpha = _parts(picture)
    rgb = np.array(flat.convert("RGB"))
    for top in range(0, len(rgb), STRIP):
        rgb[top : top + STRIP] = np.rint(of(rgb[top : top + STRIP] / 255) * 255)
    result = Image.fromarray(rgb)
    if alpha is not None:
        result.putalpha(alpha)
    return result
