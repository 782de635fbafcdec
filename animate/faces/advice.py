"""Say before the work what will look bad, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from animate.faces.detect import Face

SMALL = 90  # pixels of height below which a face is made of guesses
TURNED = 0.3  # of the distance between the eyes; a nose is there at about 35 degrees
APART = 0.25  # of it: how differently two heads may be turned
TILTED = 25  # degrees


def of_photo(face: Face, others: int, shape: Sequence[int]) -> list[str]:
    """What to know of a photo (H, W, ...) with `others` faces beside the chosen one."""
    lines = []
    if face.height < SMALL:
        lines.append(
            f"the face in the photo is {face.height:.0f} pixels high and will look soft: use one "
            f"of {SMALL} or more"
        )
    if abs(face.turn) > TURNED:
        lines.append("the photo shows the face from the side: one from the front moves better")
    if abs(face.tilt) > TILTED:
        lines.append(f"the head is tilted by {abs(face.tilt):.0f} degrees: turn the photo upright")
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
    if abs(photo.turn - driver.turn) > APART or abs(photo.tilt - driver.tilt) > TILTED:
        lines.append(
            "the driver's reference frame looks another way than the photo: use "
            "retarget.reference=auto, or a driver that starts like the photo"
        )
    return lines
