"""Landmark and identity models for the metrics of faces; each has a name for the report.

None is part of the toolkit: landmarks come from MediaPipe, face-alignment or dlib, identity from
dlib. A model without its package or weights raises Missing, which says how to get it.
"""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from animate.errors import AnimateError

POSE = ("yaw", "pitch", "roll")  # degrees
BLENDSHAPES = (  # in MediaPipe's order
    *("_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft"),
    *("browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft"),
    *("eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight"),
    *("eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft"),
    *("eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen"),
    *("jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft"),
    *("mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight"),
    *("mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower"),
    *("mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight"),
    *("mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight"),
    *("noseSneerLeft", "noseSneerRight"),
)
EXPRESSIVE = {"face_blendshapes.tflite", "geometry_pipeline_metadata_landmarks.binarypb"}
SURE = 1e-6  # a score nearer than this to 0 or 1 is taken as this near


class Missing(AnimateError):
    """A model is not available; its metrics are reported as missing."""


@dataclass(frozen=True)
class Scheme:
    """Indices of a landmark model's points. "Right" is the person's own right."""

    points: int  # how many there are
    lips: tuple[tuple[int, int], ...]  # pairs of upper and lower point on the inner lips
    lids: tuple[tuple[tuple[int, int], ...], ...]  # such pairs on each eye: right, left
    corners: tuple[tuple[int, int], ...]  # outer and inner corner of each eye: right, left
    nose: int  # base of the nose


MESH = Scheme(
    points=478,
    lips=((13, 14), (82, 87), (312, 317)),
    lids=(((160, 144), (159, 145), (158, 153)), ((387, 373), (386, 374), (385, 380))),
    corners=((33, 133), (263, 362)),
    nose=2,
)
SIXTY_EIGHT = Scheme(  # Sagonas et al. 2013 (300-W), counted from 0
    points=68,
    lips=((61, 67), (62, 66), (63, 65)),
    lids=(((37, 41), (38, 40)), ((43, 47), (44, 46))),
    corners=((36, 39), (45, 42)),
    nose=33,
)


@dataclass(frozen=True)
class Face:
    """A face in a frame: its landmarks, and the numbers that the landmarker's `moves` names."""

    points: np.ndarray  # (K, 2) pixels
    moves: np.ndarray = field(default_factory=lambda: np.empty(0))  # (Q,)


@dataclass(frozen=True)
class Landmarker:
    """Finds one face in a frame uint8 (H, W, 3), or None."""

    name: str
    scheme: Scheme
    find: Callable[[np.ndarray], Face | None]
    close: Callable[[], None] = lambda: None  # call before the interpreter ends
    moves: tuple[str, ...] = ()  # POSE in degrees and BLENDSHAPES as log-odds, if it finds them

    def track(self, frames: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks (T, K, 2) and moves (T, Q) of T frames, NaN where no face was found."""
        lost = Face(
            np.full((self.scheme.points, 2), np.nan, np.float32), np.full(len(self.moves), np.nan)
        )
        found = [self.find(frame) or lost for frame in frames]
        return np.stack([face.points for face in found]), np.stack([face.moves for face in found])


def landmarker(name: str, file: Path | None = None) -> Landmarker:
    """The landmark model called `name`; "auto" is the first one available.

    file: MediaPipe's face_landmarker.task, or the folder of face-alignment's weights. Raises
    Missing if no such model is available.
    """
    makers = {
        "mediapipe": lambda: _mediapipe(file),
        # with "auto" the file is MediaPipe's
        "face_alignment": lambda: _face_alignment(None if name == "auto" else file),
        "dlib": _dlib_landmarks,
    }
    if name != "auto":
        if name not in makers:
            raise AnimateError(f"landmarks is {name}: use auto, none, {', '.join(makers)}")
        return makers[name]()
    reasons = []
    for make in makers.values():
        try:
            return make()
        except Missing as reason:
            reasons.append(str(reason))
    raise Missing("; ".join(reasons))


def _mediapipe(file: Path | None) -> Landmarker:
    if file is None:
        raise Missing("MediaPipe needs its file: landmarks_file=face_landmarker.task")
    if not Path(file).is_file():
        raise AnimateError(f"landmarks_file={file} does not exist: give a face_landmarker.task")
    try:
        import mediapipe as mp
        from mediapipe.tasks.python import BaseOptions, vision
    except ImportError as error:
        raise Missing(f"MediaPipe is not installed ({error}): pip install mediapipe") from error
    expressive = _parts(Path(file)) >= EXPRESSIVE
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(file)),
        min_face_detection_confidence=0.3,
        output_face_blendshapes=expressive,
        output_facial_transformation_matrixes=expressive,
    )
    detector = vision.FaceLandmarker.create_from_options(options)

    def find(frame: np.ndarray) -> Face | None:
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(frame))
        found = detector.detect(image)
        if not found.face_landmarks:
            return None
        height, width = frame.shape[:2]
        points = [(p.x * width, p.y * height) for p in found.face_landmarks[0]]
        moves = np.empty(0)
        if expressive:
            scores = {shape.category_name: shape.score for shape in found.face_blendshapes[0]}
            shapes = log_odds(np.array([scores[name] for name in BLENDSHAPES]))
            moves = np.concatenate([angles(found.facial_transformation_matrixes[0]), shapes])
        return Face(np.array(points, np.float32), moves)

    name = f"MediaPipe Face Landmarker ({Path(file).name}), 478 points"
    moves = (*POSE, *BLENDSHAPES) if expressive else ()
    return Landmarker(name, MESH, find, detector.close, moves)


def _parts(file: Path) -> set[str]:
    """The names of the models in a task file, which is a zip archive."""
    try:
        with zipfile.ZipFile(file) as bundle:
            return set(bundle.namelist())
    except (OSError, zipfile.BadZipFile) as error:
        raise AnimateError(
            f"landmarks_file={file} can't be read ({error}): give a face_landmarker.task"
        ) from error


def angles(matrix: np.ndarray) -> np.ndarray:
    """Yaw, pitch and roll in degrees of a facial transformation matrix (4, 4), x right, y up.

    The head's rotation is Ry(yaw) Rx(pitch) Rz(roll): a positive yaw turns the face to the right
    of the picture, a positive pitch down, a positive roll anticlockwise.
    """
    rotation = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    yaw = np.arctan2(rotation[0, 2], rotation[2, 2])
    pitch = np.arcsin(np.clip(-rotation[1, 2], -1, 1))
    roll = np.arctan2(rotation[1, 0], rotation[1, 1])
    return np.degrees([yaw, pitch, roll])


def log_odds(scores: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)) of scores in [0, 1], which are taken as at least SURE from both ends."""
    p = np.clip(scores.astype(float), SURE, 1 - SURE)
    return np.log(p / (1 - p))


def _face_alignment(folder: Path | None) -> Landmarker:
    from torch import hub

    from animate.faces.fan import NEEDED, FaceAlignment

    place = Path(folder or Path(hub.get_dir()) / "checkpoints")
    there = all(any((place / name).is_file() for name in names) for names in NEEDED)
    if importlib.util.find_spec("face_alignment") is None or not there:
        files = ", ".join(names[0] for names in NEEDED)
        raise Missing(
            f"face-alignment needs the weights {files} in {place}, and its package: pip install "
            "face-alignment"
        )
    network = FaceAlignment(place)

    def find(frame: np.ndarray) -> Face | None:
        faces = network.points(frame)
        return Face(np.asarray(faces[0][0], np.float32)) if faces else None

    return Landmarker("face-alignment 2DFAN4 with S3FD, 68 points", SIXTY_EIGHT, find)


def _dlib_landmarks() -> Landmarker:
    dlib, files = _dlib()
    detector = dlib.get_frontal_face_detector()
    predict = dlib.shape_predictor(str(files / "shape_predictor_68_face_landmarks.dat"))

    def find(frame: np.ndarray) -> Face | None:
        faces = detector(np.ascontiguousarray(frame), 1)
        if not faces:
            return None
        return Face(np.array([(p.x, p.y) for p in predict(frame, faces[0]).parts()], np.float32))

    return Landmarker("dlib HOG detector and 68-point predictor", SIXTY_EIGHT, find)


@dataclass(frozen=True)
class Identity:
    """A face recognition model: a vector for each face, which is aligned by its landmarks."""

    name: str
    embed: Callable[[np.ndarray, np.ndarray], np.ndarray]  # frame, its landmarks (K, 2) -> (128,)


def identity(name: str, scheme: Scheme) -> Identity:
    """The identity model called `name`; there is only "dlib". Raises Missing without it."""
    if name != "dlib":
        raise AnimateError(f"identity is {name}: use dlib or none")
    dlib, files = _dlib()
    net = dlib.face_recognition_model_v1(str(files / "dlib_face_recognition_resnet_model_v1.dat"))
    (right, left), everywhere = scheme.corners, dlib.rectangle(0, 0, 1, 1)
    order = [*left, *right, scheme.nose]  # in the order of dlib's five landmarks

    def embed(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
        parts = [dlib.point(round(float(x)), round(float(y))) for x, y in points[order]]
        face = dlib.full_object_detection(everywhere, parts)
        return np.array(net.compute_face_descriptor(np.ascontiguousarray(frame), face))

    return Identity("dlib ResNet v1, 128 numbers (face_recognition_models)", embed)


def _dlib():  # type: ignore[no-untyped-def]
    """dlib and the folder of its models, found without importing the package that holds them."""
    spec = importlib.util.find_spec("face_recognition_models")
    try:
        import dlib
    except ImportError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise Missing("dlib is not installed: pip install dlib-bin face-recognition-models")
    return dlib, Path(next(iter(spec.submodule_search_locations))) / "models"
