"""Detect faces with face-alignment (Bulat & Tzimiropoulos 2017), whose weights the user brings."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np

from animate.errors import AnimateError
from animate.faces.detect import Face

# Weight files that face-alignment would download otherwise; its version 1.5 changed a name.
NEEDED = (("s3fd-619a316812.pth",), ("2DFAN4-11f355bf06.pth.tar", "2DFAN4-cd938726ad.zip"))
# Marks among the 68 points (Sagonas et al. 2013): the person's right eye, left eye, nose, mouth
# corners.
MARKS = (slice(36, 42), slice(42, 48), slice(30, 31), slice(48, 49), slice(54, 55))
# YuNet's box extends above the brows, where the points end: how many times higher it is, and how
# far its middle is raised, in heights of the points.
TALLER, HIGHER = 1.25, 0.08


class FaceAlignment:
    """A detector (S3FD) with 68 landmarks, from weights in `folder` or in torch's own cache.

    Nothing is downloaded. Raises AnimateError if the package or its weights are missing or damaged.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        try:
            import face_alignment
        except ImportError as error:
            raise AnimateError(
                f"faces=landmarks needs face-alignment ({error}): pip install face-alignment, or "
                "use faces=auto"
            ) from error
        kinds = face_alignment.LandmarksType
        options: dict[str, Any] = {"device": "cpu", "flip_input": False}
        if "compile" in inspect.signature(face_alignment.FaceAlignment).parameters:
            options["compile"] = False  # it takes minutes, a run only seconds
        flat = kinds.TWO_D if hasattr(kinds, "TWO_D") else kinds._2D
        with _weights(folder) as place:
            options["face_detector_kwargs"] = {"path_to_detector": str(place / NEEDED[0][0])}
            try:
                self.network = face_alignment.FaceAlignment(flat, **options)
            except (RuntimeError, UnpicklingError, OSError, EOFError) as error:
                raise AnimateError(
                    f"the weights of face-alignment in {place} can't be loaded (damaged, or of "
                    "another version): replace them, or use faces=auto"
                ) from error

    def __call__(self, picture: np.ndarray) -> list[Face]:
        return [_face(points, score) for points, score in self.points(picture)]

    def points(self, picture: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """The 68 points (68, 2) of each face in pixels, and its score; the best score first."""
        boxes = self.network.face_detector.detect_from_image(picture)
        if len(boxes) == 0:
            return []
        points = self.network.get_landmarks_from_image(picture, detected_faces=boxes) or []
        found = [(p, float(b[4])) for p, b in zip(points, boxes, strict=True)]
        return sorted(found, key=lambda face: -face[1])


def _face(points: np.ndarray, score: float) -> Face:
    """The face of 68 points (68, 2), with a box like YuNet's."""
    low, high = points.min(0), points.max(0)
    width, height = (high - low).tolist()
    marks = np.stack([points[part].mean(0) for part in MARKS])
    top = (low[1] + high[1]) / 2 - (TALLER / 2 + HIGHER) * height
    return Face(float(low[0]), float(top), width, TALLER * height, score, marks)


@contextmanager
def _weights(folder: str | Path | None) -> Iterator[Path]:
    """The folder with the weights, which torch.hub uses as its cache within the context."""
    import torch

    place = Path(folder) if folder else Path(torch.hub.get_dir()) / "checkpoints"
    lacking = [names[0] for names in NEEDED if not any((place / name).is_file() for name in names)]
    if lacking:
        raise AnimateError(
            f"faces=landmarks finds no {' and no '.join(lacking)} in {place}: put face-alignment's "
            "weights there, name their folder with faces.weights=, or use faces=auto"
        )
    before = torch.hub.get_dir()
    with tempfile.TemporaryDirectory() as hub:
        (Path(hub) / "checkpoints").symlink_to(place.absolute())
        torch.hub.set_dir(hub)
        try:
            yield place
        finally:
            torch.hub.set_dir(before)
