"""Who is seen in the result: faces of a photo, each with its poses, put together frame by frame."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import tee
from pathlib import Path
from typing import Any

import numpy as np

from animate.errors import AnimateError
from animate.faces import Box, Detected, Face, Locator, Sighting, cut
from animate.faces.paste import Paste, Spot, Window
from animate.inference.driver import Driver, Tally, resample
from animate.inference.predictor import Pose, Retarget, Stage, between
from animate.media.clips import Clip
from animate.media.photos import read_photo
from animate.models.contract import Motion, together
from animate.system.parallel import in_order

REACH = 0.15  # half crops: how far from its own place a head may be shown before its neck tears
PANEL = 256  # pixels of a picture's side, at least, where several are compared


@dataclass(frozen=True)
class Actor:
    """A face of a photo, ready to move."""

    box: Box
    crop: np.ndarray  # (S, S, 3) uint8
    source: Any  # the model's
    own: Motion  # the face's own pose, of one

    @classmethod
    def of(cls, stage: Stage, photo: np.ndarray, box: Box) -> Actor:
        crop = cut(photo, box, stage.model.size)
        return cls(box, crop, stage.encode(crop), stage.track([crop]))

    def marks(self, stage: Stage) -> np.ndarray | None:
        """Where the model sees eyes, nose and corners of the mouth, (5, 2) pixels of the photo."""
        marks = stage.model.marks(self.own)
        if marks is None:
            return None
        side = self.crop.shape[0]
        at = (marks[0].float().cpu().numpy() + 1) / 2 * (side - 1) + 0.5  # pixels of the crop
        return np.array([self.box.left, self.box.top]) + at * (self.box.side / side)


@dataclass(frozen=True)
class View:
    """A photo and the faces in it that are to move, from left to right."""

    path: Path
    photo: np.ndarray
    boxes: list[Box]
    faces: list[Face]  # as detected: those that move, then the others; none where a box is given


def look(path: Path, locator: Locator, everyone: bool) -> View:
    """Read a photo and find the face the locator chooses, or `everyone`'s.

    Raises AnimateError where there is none.
    """
    photo = read_photo(path)
    try:
        if not isinstance(locator, Detected):
            if everyone:
                raise AnimateError("which face is which? use faces=auto, and no faces.box, for all")
            return View(path, photo, [locator.locate(photo)], [])
        found = locator.faces(photo)
        if everyone:
            return View(path, photo, [face.square for face in found], found)
        chosen = locator.chosen(found)
        others = [face for face in found if face is not chosen]
        return View(path, photo, [chosen.square], [chosen, *others])
    except AnimateError as error:
        raise AnimateError(f"{path}: {error}") from error


def perform(
    stage: Stage, cast: Sequence[Actor], drivers: Sequence[Driver], rate: Fraction, how: Retarget
) -> list[Iterator[tuple[np.ndarray, Pose]]]:
    """For each actor the crops to show and the poses they are in: driven together by one driver, or
    each by its own; other drivers' poses are resampled to `rate`.

    Raises AnimateError where the numbers don't match.
    """
    if len(drivers) == 1:
        first = drivers[0].anchor(stage, cast[0].own) if how.relative else None
        streams = tee(drivers[0].poses(stage), len(cast))
        return [_moved(stage, a, s, first, how) for a, s in zip(cast, streams, strict=True)]
    if len(drivers) != len(cast):
        raise AnimateError(
            f"{len(drivers)} drivers for {len(cast)} faces: give one, or one for each face from "
            "the left, with faces.which=all"
        )
    return [
        _moved(
            stage,
            actor,
            resample(driver.poses(stage), driver.rate, rate),
            driver.anchor(stage, actor.own) if how.relative else None,
            how,
        )
        for actor, driver in zip(cast, drivers, strict=True)
    ]


def _moved(
    stage: Stage, actor: Actor, poses: Iterable[Pose], first: Motion | None, how: Retarget
) -> Iterator[tuple[np.ndarray, Pose]]:
    one, other = tee(poses)
    return zip(stage.animate(actor.source, one, first, how), other, strict=True)


Crops = Iterator[tuple[np.ndarray, Pose]]


def in_photo(
    stage: Stage,
    view: View,
    cast: Sequence[Actor],
    crops: Sequence[Crops],
    window: Window,
    side: int | None,
) -> Iterator[np.ndarray]:
    """The photo, at most `side` pixels a side, with every face moved.

    Ends with the first driver that ends.
    """
    photo = shrunk(view.photo, side)
    scale = photo.shape[1] / view.photo.shape[1], photo.shape[0] / view.photo.shape[0]
    spots = []
    for actor in cast:
        box = Box(actor.box.left * scale[0], actor.box.top * scale[1], actor.box.side * scale[0])
        still = stage.render(actor.source, actor.own)[0]
        spots.append(Spot(box, still, photo.shape, window))
    paste = Paste(spots, photo)

    def pasted(moved: tuple[tuple[np.ndarray, Pose], ...]) -> np.ndarray:
        return paste([crop for crop, _ in moved])

    yield from in_order(pasted, zip(*crops, strict=False), stage.threads)


def as_tiles(crops: Sequence[Crops], columns: int | None) -> Iterator[np.ndarray]:
    """The plain crops, in rows of `columns` (as square as it gets where there are many)."""
    if columns is not None and columns < 1:
        raise AnimateError(f"{columns} columns: use 1 or more")
    across = min(columns or math.ceil(math.sqrt(len(crops))), len(crops))
    for moved in zip(*crops, strict=False):
        yield tiled([crop for crop, _ in moved], across)


def compared(cast: Sequence[Actor], crops: Crops, points: bool) -> Iterator[np.ndarray]:
    """Photo, driver and result side by side, with keypoints on the driver where asked for.

    Raises AnimateError where the driver has no pictures.
    """
    for crop, pose in crops:
        if pose.crop is None:
            raise AnimateError(
                "there is no picture of the driver to compare with: use a video, played once"
            )
        side = max(PANEL, crop.shape[0])
        driver, photo, crop = (fitted(p, side) for p in (pose.crop, cast[0].crop, crop))
        if points:
            driver = dotted(driver, pose.motion)
            photo = dotted(photo, cast[0].own)
        yield side_by_side([photo, driver, crop])


def on_video(
    stage: Stage,
    clip: Clip,
    locator: Locator,
    driver: Driver,
    how: Retarget,
    window: Window | None,
    tally: Tally,
) -> Iterator[np.ndarray]:
    """A video's person moved, frame by frame; without a window as a crop.

    With the head amplified by 0 she keeps her own movement, and takes the expression alone;
    otherwise the driver's movement takes the place of hers, no further than REACH from her own: her
    neck and shoulders still go with hers. Frames without a face stay as they are; they and those
    held back are counted. What was turned to be read is turned back. Ends with the shorter of the
    two.
    """
    keeps = how.keeps_head
    still = replace(how, relative=True, amplify={**how.amplify, "head": 0})

    def seen(sighting: Sighting) -> tuple[Sighting, Actor | None]:
        actor = Actor.of(stage, sighting.frame, sighting.box) if sighting.found else None
        return sighting, actor

    def moves() -> Iterator[tuple[Sighting, Actor | None, Motion | None]]:
        poses = resample(driver.poses(stage), driver.rate, clip.rate)
        people = in_order(seen, locator.track(clip.frames(), clip.rate), stage.threads)
        start: Actor | None = None
        first: Motion | None = None
        for (sighting, actor), pose in zip(people, poses, strict=False):
            tally.count(sighting)
            if actor is None:
                yield sighting, None, None
                continue
            if start is None:
                first = driver.anchor(stage, actor.own) if how.relative else None
            if start is None or sighting.fresh:
                start = actor
            first = pose.motion if first is None or pose.fresh else first
            own = (actor if keeps else start).source
            motion = stage.retarget(own, pose.motion, first, how)
            far = 0.0 if keeps else stage.apart(actor.own, motion)
            if far > REACH:
                tally.held += 1
                kept = actor.own
                if "head" in stage.model.regions:
                    kept = stage.retarget(actor.source, pose.motion, first, still)
                motion = between(kept, motion, REACH / far)
            elif how.relative and not keeps:
                motion = between(actor.own, motion, 1)  # seen with what is around her now
            yield sighting, actor, motion

    def shown(move: tuple[Sighting, Actor | None, Motion | None]) -> np.ndarray:
        sighting, actor, motion = move
        frame = sighting.frame
        if actor is None or motion is None:
            return frame if window else cut(frame, sighting.box, stage.model.size)
        still, crop = stage.render(actor.source, together([actor.own, motion]))
        if window is None:
            return crop
        return Paste([Spot(actor.box, still, frame.shape, window)], frame)([crop])

    for frame in in_order(shown, moves(), stage.threads):
        yield np.ascontiguousarray(np.rot90(frame, -clip.turns))


def side_by_side(panels: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures of one height in a row, a thin white line between them."""
    line = np.full((panels[0].shape[0], 4, 3), 255, np.uint8)
    parts = [piece for panel in panels for piece in (panel, line)][:-1]
    return np.concatenate(parts, 1)


def tiled(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Pictures of one size in rows; what is left of the last row is white."""
    white = np.full_like(tiles[0], 255)
    filled = [*tiles, *[white] * (-len(tiles) % columns)]
    rows = [np.concatenate(filled[i : i + columns], 1) for i in range(0, len(filled), columns)]
    return np.concatenate(rows, 0)


def shrunk(photo: np.ndarray, side: int | None) -> np.ndarray:
    """A photo whose longer side is at most `side` pixels; None leaves it alone."""
    import cv2

    if side is None or max(photo.shape[:2]) <= side:
        return photo
    if side < 128:
        raise AnimateError(f"paste.size is {side}: use 128 pixels or more, or null")
    height, width = (max(1, round(n * side / max(photo.shape[:2]))) for n in photo.shape[:2])
    return cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)


def fitted(picture: np.ndarray, side: int) -> np.ndarray:
    """A square picture at another side."""
    import cv2

    if picture.shape[0] == side:
        return picture
    how = cv2.INTER_AREA if picture.shape[0] > side else cv2.INTER_CUBIC
    return cv2.resize(picture, (side, side), interpolation=how)


def dotted(crop: np.ndarray, motion: Motion) -> np.ndarray:
    """A crop with the keypoints of one pose drawn on it, of models that have some."""
    import cv2

    picture = crop.copy()
    for x, y in (motion.point[0].cpu().numpy() + 1) / 2 * (crop.shape[0] - 1):  # type: ignore[attr-defined]
        centre = round(float(x) * 8), round(float(y) * 8)
        cv2.circle(picture, centre, 12, (0, 255, 0), -1, cv2.LINE_AA, 3)
    return picture
