"""Warn before a run about what will look bad, each time with a remedy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from animate.faces.crop import FRAMING, Framing
from animate.faces.detect import Face
from animate.media import files
from animate.options import Label, Retarget

if TYPE_CHECKING:
    from animate.inference.compose import SourcePhoto
    from animate.inference.driver import Driver
    from animate.inference.predictor import Predictor
    from animate.inference.source_face import SourceFace

THE_FACE = "the face in the photo"
ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
)  # fmt: skip

SMALL = 90  # pixels: a face less high than this has too little detail
TURNED = 0.6  # `Face.turn` of a profile, in distances between the eyes
APART = 0.35  # largest harmless difference of `Face.turn` between two heads
HIDDEN = 0.4  # doubt of a pose: whole faces have less, those cut off within the brow or chin more
CLEAR = 0.89  # detector score: large frontal human faces get more
ASTRAY = 0.18  # face heights from model's to detector's marks: those of human faces lie closer


def named(face: Face, faces: Sequence[Face]) -> str | None:
    """The name of a face among those of its photo; None for an only face."""
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
    """Warnings about a face in a photo of `shape` (H, W, ...) with `others` more faces."""
    place, name, lines = name or "the face", name or THE_FACE, []
    if face.height < SMALL:
        lines.append(
            f"{name} is {face.height:.0f} pixels high and will look soft: use a face of {SMALL} "
            "pixels or more"
        )
    if abs(face.turn) > TURNED:
        lines.append(f"{name} is seen from the side and will hardly move: use one from the front")
    box = face.square(framing)
    height, width = shape[:2]
    over = max(-box.left, -box.top, box.left + box.side - width, box.top + box.side - height)
    if over > 0.2 * box.side:
        lines.append(
            f"{place} is cut off by the edge of the photo and its missing part is invented: use a "
            "photo that shows it whole"
        )
    elif face.score < CLEAR and abs(face.turn) <= APART and face.height >= SMALL:
        lines.append(
            f"{name} is not clearly human (an animal, a cartoon, or partly covered?) and may look "
            "bad, above all its mouth: use a fully visible human face"
        )
    if others > 0:
        lines.append(
            f"the photo shows {others + 1} faces: choose another with faces.which=1 to "
            f"{others + 1}, counted from the left, or move all with faces.which=all"
        )
    return lines


def of_marks(face: Face, marks: np.ndarray | None, name: str | None = None) -> list[str]:
    """Warn where the motion model's marks (5, 2) of a face are far from the detector's."""
    if marks is None:
        return []
    away = np.linalg.norm(marks - face.marks, axis=1).max() / face.height
    if not away > ASTRAY:
        return []
    return [
        f"the motion model misplaces the features of {name or THE_FACE} and will distort it: use a "
        "fully visible human face, from the front"
    ]


def of_pair(photo: Face, driver: Face) -> list[str]:
    """Warnings about the photo's face and the driver's in its reference frame."""
    lines = []
    if driver.height < SMALL / 2:
        lines.append(
            f"the driver's face is {driver.height:.0f} pixels high, too few for exact motion: use "
            "a clip with a larger face"
        )
    if abs(photo.turn - driver.turn) > APART:
        lines.append(
            "the driver's head is turned differently in its reference frame than in the photo: use "
            "retarget.reference=auto, or a driver that starts in the photo's pose"
        )
    return lines


def of_label(wanted: Label | None, drawn: Label | None) -> list[str]:
    """What was drawn where the picture has no room for the label that was wanted."""
    if wanted is None or drawn is None or wanted.text == drawn.text:
        return []
    return [f'the label says "{drawn.text}" alone: the picture is too small for "{wanted.text}"']


def of_doubt(doubt: float) -> list[str]:
    """Warn of a face that no detector found and whose pose is doubtful (`MotionModel.doubt`)."""
    if doubt < HIDDEN:
        return []
    return [
        f"{THE_FACE} is not all to be seen there, so it may tear: use a photo that shows the whole "
        "head, or give the face's place as faces.box=[x,y,width,height]"
    ]


def of_reference(distance: float, far: float) -> list[str]:
    """Warn where the driver's pose most like the photo's is at a `distance` beyond `far`
    (`MotionModel.far`): there features drift."""
    if not distance > far:
        return []
    return [
        "the driver's head is never turned like the photo's, so features may drift: use a driver "
        "and a photo in which both can face the same way"
    ]


def foreseen(
    predictor: Predictor,
    photos: Sequence[SourcePhoto],
    faces: Sequence[SourceFace],
    drivers: Sequence[Driver],
    how: Retarget,
) -> list[str]:
    """All warnings about a run's photos, and the first photo with the first driver, if any."""
    lines, remaining = [], iter(faces)
    for photo in photos:
        if files.kind_of(photo.path) == files.CLIP:
            lines.append(f"{photo.path} is animated: its first frame is used as the photo")
        others = len(photo.faces) - len(photo.boxes)
        for index, face in enumerate(islice(remaining, len(photo.boxes))):
            if not photo.faces:  # no detector was used
                unclear = of_doubt(predictor.doubts(face.own)[0])
                lines += unclear or predictor.model.remarks(face.own, source=face.source)
                continue
            detected = photo.faces[index]
            name = named(detected, photo.faces)
            lines += of_photo(detected, others, photo.pixels.shape, name, predictor.model.framing)
            astray = of_marks(detected, face.marks(predictor), name)
            lines += astray or predictor.model.remarks(face.own, name, face.source)
    if (
        how.relative
        and drivers
        and drivers[0].options.retarget.reference != "auto"
        and photos
        and photos[0].faces
    ):
        driving = drivers[0].first_face()
        lines += of_pair(photos[0].faces[0], driving) if driving else []
    return lines
