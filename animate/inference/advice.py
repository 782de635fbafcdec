"""Say before the work what will look bad, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from animate.faces.crop import FRAMING, Framing
from animate.faces.detect import Face
from animate.media import files
from animate.options import Retarget

if TYPE_CHECKING:
    from animate.inference.compose import SourceFace, SourcePhoto
    from animate.inference.driver import Driver
    from animate.inference.predictor import Predictor

THE_FACE = "the face in the photo"
ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
)  # fmt: skip

SMALL = 90  # pixels of height below which a face is made of guesses
TURNED = 0.6  # of the distance between the eyes, where a nose is in a profile
APART = 0.35  # of it: how differently two heads may be turned
CLEAR = 0.89  # the detector's score of human faces seen so: 0.90 at least in clips, 0.91 in photos
ASTRAY = 0.18  # of its height: marks of 334 portraits are at most 0.11 apart


def named(face: Face, faces: Sequence[Face]) -> str | None:
    """What to call a face among those of its photo; None where it is the only one."""
    if len(faces) < 2:
        return None
    number = 1 + sum(other.centre[0] < face.centre[0] for other in faces)
    if number > len(ORDINALS):
        return f"face {number} from the left"
    return f"the {ORDINALS[number - 1]} face from the left"


def of_photo(
    face: Face,
    others: int,
    shape: Sequence[int],
    name: str | None = None,
    framing: Framing = FRAMING,
) -> list[str]:
    """What to know of a face in a photo (H, W, ...) that has `others` to choose from."""
    place, name, lines = name or "the face", name or THE_FACE, []
    if face.height < SMALL:
        lines.append(
            f"{name} is {face.height:.0f} pixels high and will look soft: use one of {SMALL} or "
            "more"
        )
    if abs(face.turn) > TURNED:
        lines.append(f"{name} is seen from the side, and hardly moves: use one from the front")
    box = face.square(framing)
    height, width = shape[:2]
    over = max(-box.left, -box.top, box.left + box.side - width, box.top + box.side - height)
    if over > 0.2 * box.side:
        lines.append(f"{place} is at the edge of the photo, what is missing is made up")
    elif face.score < CLEAR and abs(face.turn) <= APART and face.height >= SMALL:
        lines.append(
            f"{name} is no clear human face (an animal's, a cartoon's, or hidden in part?) and may "
            "look bad, its mouth first: use a person's, seen whole"
        )
    if others > 0:
        lines.append(
            f"the photo shows {others + 1} faces: faces.which=1 to {others + 1} names another, "
            "from the left, faces.which=all moves them all"
        )
    return lines


def of_marks(face: Face, seen: np.ndarray | None, name: str | None = None) -> list[str]:
    """What to know where a motion model has its `seen` marks (5, 2) elsewhere than the detector."""
    if seen is None:
        return []
    away = np.linalg.norm(seen - face.marks, axis=1).max() / face.height
    if not away > ASTRAY:
        return []
    return [
        f"{name or THE_FACE} is no clear human face to the motion model, which takes its parts for "
        "others and will distort it: use one that is seen whole, from the front"
    ]


def of_pair(photo: Face, driver: Face) -> list[str]:
    """What to know of the photo's face beside the driver's in the reference frame."""
    lines = []
    if driver.height < SMALL / 2:
        lines.append(f"the driver's face is {driver.height:.0f} pixels high: its motion is vague")
    if abs(photo.turn - driver.turn) > APART:
        lines.append(
            "the driver's reference frame looks another way than the photo: use "
            "retarget.reference=auto, or a driver that starts like the photo"
        )
    return lines


def of_reference(distance: float, far: float) -> list[str]:
    """What to know where the driver's pose most like the photo's is that far from it; from `far` on
    features drift (`MotionModel.far`)."""
    if not distance > far:
        return []
    return [
        "the driver never looks the way the photo does, so features may drift: use a driver, or a "
        "photo, that is turned like the other"
    ]


def foreseen(
    predictor: Predictor,
    photos: Sequence[SourcePhoto],
    faces: Sequence[SourceFace],
    drivers: Sequence[Driver],
    how: Retarget,
) -> list[str]:
    """What will look bad, and what to do about it."""
    lines, remaining = [], iter(faces)
    for photo in photos:
        if files.kind_of(photo.path) == files.CLIP:
            lines.append(f"{photo.path} moves: its first frame is the photo here")
        others = len(photo.faces) - len(photo.boxes)
        for index, face in enumerate(islice(remaining, len(photo.boxes))):
            if not photo.faces:  # a box was given
                lines += predictor.model.remarks(face.own, source=face.source)
                continue
            detected = photo.faces[index]
            name = named(detected, photo.faces)
            lines += of_photo(detected, others, photo.pixels.shape, name, predictor.model.framing)
            astray = of_marks(detected, face.marks(predictor), name)
            lines += astray or predictor.model.remarks(face.own, name, face.source)
    if (
        how.relative
        and drivers[0].options.retarget.reference != "auto"
        and photos
        and photos[0].faces
    ):
        driving = drivers[0].first_face()
        lines += of_pair(photos[0].faces[0], driving) if driving else []
    return lines
