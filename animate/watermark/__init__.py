"""The invisible watermark (the mark): claim, payload that identifies it, embedding, detection."""

from animate.watermark.claim import APART, LIVE, RECORDED, Claim
from animate.watermark.detection import THRESHOLD, Detection, detect
from animate.watermark.embedding import CEILING, DEFAULT, FLOOR, Embedder, Mark
from animate.watermark.payload import TOOLKIT_KEY, Payload
from animate.watermark.spectrum import Place

__all__ = [
    "APART",
    "CEILING",
    "DEFAULT",
    "FLOOR",
    "LIVE",
    "RECORDED",
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
