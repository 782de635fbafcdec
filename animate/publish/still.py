"""Encode one marked frame as a picture: a file, or a JPEG that stays in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np

from animate.errors import AnimateError
from animate.publish.containers import Still
from animate.publish.drafts import writing
from animate.publish.tags import Texts


def encode_still(
    draft: Path, frames: Iterator[np.ndarray], out: Path, kind: Still, texts: Texts, finer: int = 0
) -> int:
    """Write the only frame, with its texts and tagged as sRGB; returns the number of frames.

    `finer` is added to the quality of a lossy format, up to 100.

    Without the tag, viewers on wide-gamut screens stretch the colours.
    """
    from PIL import Image

    picture = next(frames, None)
    if picture is None or next(frames, None) is not None:
        raise AnimateError(f"{out} holds exactly one frame: give a video's suffix, or one frame")
    with writing(out), draft.open("wb") as file:
        options = kind.options(texts)
        if "quality" in options:
            options["quality"] = min(100, options["quality"] + finer)
        Image.fromarray(picture).save(file, kind.name, **options)
        file.flush()
        os.fsync(file.fileno())
    return 1


def as_jpeg(marked: np.ndarray, quality: int = 90) -> bytes:
    """A frame that is marked already, uint8 (H, W, 3) RGB, as a JPEG."""
    from PIL import Image

    memory = BytesIO()
    Image.fromarray(marked).save(memory, "JPEG", quality=quality, subsampling=0)
    return memory.getvalue()
