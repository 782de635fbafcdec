"""The mark: a claim about a file, a payload that names it, and pixels that carry the payload."""

from animate.watermark.claim import Claim
from animate.watermark.detection import THRESHOLD, Detection, detect
from animate.watermark.embedding import CEILING, DEFAULT, FLOOR, Embedder, Mark
from animate.watermark.payload import TOOLKIT_KEY, Payload
from animate.watermark.spectrum import Place

__all__ = [
    "CEILING",
    "DEFAULT",
    "FLOOR",
    "THRESHOLD",
    "TOOLKIT_KEY",
    "Claim",
    "Detection",
    "Embedder",
    "Mark",
    "Payload",
    "Place",
    "detect",
]
