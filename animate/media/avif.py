"""Decode AVIFs whose colours Pillow spoils: of more than 8 bits, or of limited range.

Pillow's decoder cuts bits off instead of rounding, which makes colours darker and tints greys, and
its matrix of limited range falls short in saturated blue (tests/test_coding_points.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from animate.media.coding_points import premultiplied
from animate.media.colours import BT709, SRGB
from animate.media.frame_colours import FrameColours, limited

if TYPE_CHECKING:
    from PIL import Image


def exactly(path: Path, picture: Image.Image, cicp: tuple[int, int] | None) -> Image.Image | None:
    """A decoded AVIF from all its bits, with Pillow's `info` and alpha; None: Pillow's is as good.

    In sRGB where `cicp` names its colours, else as its profile means them: see `coded_in`.
    """
    import av
    from PIL import Image

    try:
        with av.open(str(path)) as file:
            frame = next(file.decode(video=0))
    except (av.error.FFmpegError, StopIteration):
        return None
    kind = frame.format.name
    deep = max(part.bits for part in frame.format.components) > 8
    coloured = kind.startswith("yuv") and picture.mode in ("RGB", "RGBA")
    whole = (frame.width, frame.height) == picture.size  # not the first of several tiles
    if not (coloured and whole and (deep or limited(frame))):
        return None
    # ffmpeg's way from subsampled colours to RGB doesn't interpolate them
    frame = frame.reformat(format=kind.replace("420", "444").replace("422", "444"))
    colours = FrameColours(photo=cicp or (BT709, SRGB))
    exact = Image.fromarray(colours.rgb(frame, *picture.size))
    if picture.mode == "RGBA":
        if premultiplied(path):
            return None
        exact.putalpha(picture.getchannel("A"))
    exact.info = dict(picture.info)
    return exact
