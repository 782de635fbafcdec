"""Find landmarks in training clips with MediaPipe's Face Landmarker, the teacher of keypoints.

    python scripts/teach_landmarks.py face_landmarker.task landmarks.npz CLIP_OR_PHOTO...

The npz maps each input's stem to a float32 array (T, 478, 2): (x, y) in pixels, NaN if no face was
found. To use MediaPipe with headless OpenCV, `pip install --no-deps mediapipe` and then `absl-py
flatbuffers certifi sounddevice matplotlib opencv-python-headless`. The model file is on MediaPipe's
own pages (Apache-2.0).
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from animate.data.folders import as_stored


def landmarks(path: Path, model: str) -> np.ndarray:
    """Landmarks of every frame, (T, 478, 2) float32 pixels; NaN if no face was found."""
    import mediapipe as mp
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=model), min_face_detection_confidence=0.3
    )
    points = []
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        for frame in as_stored(path):
            faces = landmarker.detect(
                mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(frame))
            ).face_landmarks
            height, width = frame.shape[:2]
            points.append(
                [(p.x * width, p.y * height) for p in faces[0]]
                if faces
                else np.full((478, 2), np.nan)
            )
    return np.asarray(points, np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="face_landmarker.task")
    parser.add_argument("out", help="the npz to write")
    parser.add_argument("inputs", nargs="+", type=Path)
    parser.add_argument("--workers", type=int, default=2, help="parallel processes, default 2")
    args = parser.parse_args()
    with ProcessPoolExecutor(args.workers) as pool:
        tables = pool.map(partial(landmarks, model=args.model), args.inputs)
        draft = Path(f"{args.out}.part")
        with draft.open("wb") as file:
            named: dict[str, Any] = {p.stem: t for p, t in zip(args.inputs, tables, strict=True)}
            np.savez(file, **named)
        draft.replace(args.out)


if __name__ == "__main__":
    main()
