"""Say before the work what will look bad, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from animate.faces.detect import Face

SMALL = 90  # pixels of height below which a face is made of guesses
TURNED = 0.6  # of the distance between the eyes, where a nose is in a profile
APART = 0.35  # of it: how differently two heads may be turned
UNLIKE = 0.09  # in half crops: how differently the points of two faces may lie


def of_photo(face: Face, others: int, shape: Sequence[int]) -> list[str]:
    """What to know of a photo (H, W, ...) with `others` faces beside the chosen one."""
    lines = []
    if face.height < SMALL:
        lines.append(
            f"the face in the photo is {face.height:.0f} pixels high and will look soft: use one "
            f"of {SMALL} or more"
        )
    if abs(face.turn) > TURNED:
        lines.append(
            "the photo shows the face from the side, and hardly moves: use one from the front"
        )
    box = face.square
    height, width = shape[:2]
    over = max(-box.left, -box.top, box.left + box.side - width, box.top + box.side - height)
    if over > 0.2 * box.side:
        lines.append("the face is at the edge of the photo, what is missing is made up")
    if others > 0:
        lines.append(
            f"the photo shows {others + 1} faces: faces.which=1 to {others + 1} names another, "
            "from the left, faces.which=all moves them all"
        )
    return lines


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


def of_reference(unlike: float) -> list[str]:
    """What to know where the driver's pose most like the photo's is `unlike` it by so much."""
    if not unlike > UNLIKE:
        return []
    return [
        "the driver never looks the way the photo does, so features may drift: use a driver, or a "
        "photo, that is turned like the other"
    ]
