"""Stills: one marked frame as PNG, JPEG or WebP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from animate.errors import AnimateError
from animate.media.photo_colours import srgb_profile
from animate.publish.drafts import writing
from animate.publish.tags import Texts

STILLS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def encode_still(draft: Path, frames: Iterator[np.ndarray], out: Path, texts: Texts) -> int:
    """Write the only frame with its texts, said to be sRGB; the number of frames.

    Some viewers with wide screens stretch the colours of pictures that say nothing.
    """
    from PIL import Image

    picture = next(frames, None)
    if picture is None or next(frames, None) is not None:
        raise AnimateError(f"{out} holds exactly one frame: give a video's suffix, or one frame")
    kind = STILLS[out.suffix.lower()]
    with writing(out), draft.open("wb") as file:
        Image.fromarray(picture).save(file, kind, **_options(kind, texts))
        file.flush()
        os.fsync(file.fileno())
    return 1


def _options(kind: str, texts: Texts) -> dict[str, Any]:
    if kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        tags = PngInfo()
        tags.add(b"sRGB", b"\0")  # PNG, third edition, section 11.3.2.5: perceptual
        tags.add_text("comment", texts.claim)
        tags.add_itxt("XML:com.adobe.xmp", texts.xmp(label=True).decode())
        return {"pnginfo": tags}
    if kind == "WEBP":  # has no comments
        xmp = texts.xmp(label=True, claim=True)
        return {"quality": 95, "method": 4, "xmp": xmp, "icc_profile": srgb_profile()}
    xmp = texts.xmp(label=True)
    return {"quality": 95, "subsampling": 0, "comment": texts.claim, "xmp": xmp,
            "icc_profile": srgb_profile()}  # fmt: skip
