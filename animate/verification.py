"""Say of a file whether this toolkit made it, from its pixels and from what its tags claim."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from animate import clips
from animate.errors import AnimateError
from animate.watermark import TOOLKIT_KEY, Claim, Detection, detect

Verdict = Literal["authentic", "marked", "tampered", "not found"]


@dataclass
class Report:
    """What `verify` found in one file.

    The verdict is one of

    - "tampered": the pixels' payload contradicts the claim in the tags, or its own authentication
      code: one of the layers was replaced;
    - "authentic": the payload is authenticated by a private key and no claim contradicts it. Never
      said under the public toolkit key, with which anybody can make such a payload;
    - "marked": the mark is present (p_value <= 1e-6); made with this toolkit or by someone who
      imitates its public mark. The payload may be damaged beyond reading;
    - "not found": no evidence in the pixels, whatever the tags claim. It does not say that the file
      was not made here: a mark can be destroyed.
    """

    path: Path
    verdict: Verdict
    detection: Detection
    claim: Claim | None  # from the file's tags; only text until `agrees` is True
    agrees: bool | None  # whether the claim's content id is the payload's; None if one is missing


def verify(path: str | Path, key: bytes = TOOLKIT_KEY) -> Report:
    """Decode a whole video or still, look for the mark of `key` and compare it with the claim.

    A clip that ends in the middle is judged by what can be decoded. Raises AnimateError for a file
    that can't be read as a picture or a video. Memory does not grow with the clip's length.
    """
    path = Path(path)
    frames = _frames(path)
    detection = detect(frames, key)
    claim = read_claim(path)
    payload = detection.payload
    agrees = None if claim is None or payload is None else claim.content_id() == payload.content_id
    return Report(path, _verdict(detection, agrees, key), detection, claim, agrees)


def _verdict(detection: Detection, agrees: bool | None, key: bytes) -> Verdict:
    if not detection.marked:
        return "not found"
    if agrees is False or (detection.payload is not None and not detection.authentic):
        return "tampered"
    return "authentic" if detection.authentic and key != TOOLKIT_KEY else "marked"


def _frames(path: Path) -> Iterable[np.ndarray]:
    """The frames of a clip, or the one of a still: what the file holds decides, not its name."""
    if not path.is_file():
        raise AnimateError(f"{path} is not a file: give a picture or a video")
    if _is_still(path):
        return [clips.read_photo(path)]
    return clips.open_clip(path, truncated="accept").frames()


def _is_still(path: Path) -> bool:
    """Whether Pillow knows the file as a picture; of moving pictures, GIFs are read as clips."""
    from PIL import Image

    try:
        with Image.open(path, formats=clips.PHOTOS) as image:
            return image.format != "GIF" or getattr(image, "n_frames", 1) == 1
    except Image.DecompressionBombError:
        return True  # read_photo names the limit
    except clips.BROKEN:
        return False


def read_claim(path: Path) -> Claim | None:
    """The claim in the comment tag of a picture or video, or None where there is none of ours."""
    for text in _comments(path):
        try:
            return Claim.from_json(text)
        except AnimateError:
            continue  # a comment of somebody else's
    return None


def _comments(path: Path) -> list[str]:
    """The texts of all tags whose name ends in "comment", as ffmpeg and Pillow name them."""
    tags = _picture_tags(path) if _is_still(path) else _container_tags(path) | _picture_tags(path)
    found = [v for k, v in tags.items() if str(k).lower().split(".")[-1] == "comment"]
    return [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in found]


def _picture_tags(path: Path) -> dict[Any, Any]:
    from PIL import Image

    try:
        with Image.open(path, formats=clips.PHOTOS) as image:
            image.load()  # a PNG may hold its text after the picture
            return dict(image.info)
    except (*clips.BROKEN, Image.DecompressionBombError):
        return {}


def _container_tags(path: Path) -> dict[Any, Any]:
    import av

    options = {"format_whitelist": clips.CONTAINERS}
    try:
        with av.open(f"file:{path.absolute()}", options=options) as container:
            return dict(container.metadata)
    except (av.FFmpegError, OSError, ValueError):
        return {}
