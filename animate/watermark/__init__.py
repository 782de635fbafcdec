"""The mark: a claim about a file, a payload that names it, and pixels that carry the payload."""

from animate.watermark.manifest import Claim
from animate.watermark.payload import TOOLKIT_KEY, Payload
from animate.watermark.pixels import DEFAULT, FLOOR, THRESHOLD, Detection, Embedder, Mark, detect

__all__ = [
    "DEFAULT",
    "FLOOR",
    "THRESHOLD",
    "TOOLKIT_KEY",
    "Claim",
    "Detection",
    "Embedder",
    "Mark",
    "Payload",
    "detect",
]
