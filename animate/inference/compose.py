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
from animate.faces import Box, Detected, Face, Locator, Sighting, cut, photo_locator, quarter_turns
from animate.faces.crop import Framing
from animate.faces.paste import Paster, Spot
from animate.inference import advice
from animate.inference.doubt import Seen, judged
from animate.inference.driver import Driver, Tally, resample
from animate.inference.predictor import Pose, References, Stage
from animate.media import files
from animate.media.clips import Clip, open_clip
from animate.media.photos import read_photo
from animate.models.contract import Motion, together
from animate.options import Options, Paste, Retarget
from animate.system.parallel import in_order
from animate.watermark.label import apart

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


@dataclass(frozen=True)
class Subject:
    """Who is moved: faces of photos, or the person of a video."""

    paths: list[Path]
    views: list[View]
    video: Clip | None = None

    def check(self, drivers: int, options: Options) -> None:
        """Raise AnimateError for what these photos, or this video, can't be shown as."""
        everyone, layout = options.faces.which == "all", options.layout
        if self.video and (layout.compare or everyone or drivers > 1):
            raise AnimateError(
                f"{self.paths[0]} is a video, where one driver moves one face: leave out "
                "--compare, --also and faces.which=all"
            )
        faces = sum(len(view.boxes) for view in self.views)
        if layout.compare and faces > 1:
            raise AnimateError(
                f"a comparison shows one face, not {faces}: leave out --tile, or faces.which=all"
            )

    def cast(self, stage: Stage) -> list[Actor]:
        """The faces of the photos, encoded."""
        return [Actor.of(stage, view.photo, box) for view in self.views for box in view.boxes]


def open_subject(
    paths: Sequence[Path], drivers: Sequence[Path], options: Options, framing: Framing
) -> Subject:
    """Read photos and find their faces, in the model's framing, or open the one video.

    Raises AnimateError where there is no face, or what is no photo.
    """
    locator = photo_locator(options.faces, framing)
    others = options.layout.compare or options.faces.which == "all" or len(drivers) > 1
    still = bool(drivers) and files.kind_of(drivers[0]) == files.PICTURE
    if is_video(paths, alone=not (others or still)):
        video = open_clip(paths[0], truncated=options.clip.truncated)
        turned = video.turned(quarter_turns(locator, video.frames()))
        return Subject(list(paths), [], turned)
    everyone = options.faces.which == "all"
    return Subject(list(paths), [look(path, locator, everyone) for path in paths])


def is_video(paths: Sequence[Path], alone: bool = True) -> bool:
    """Whether the one thing to animate is a video.

    A picture that moves (GIF, WebP, PNG) is one, unless it is not `alone`: beside what only a photo
    can be combined with, it is a photo, its first frame.
    """
    if len(paths) != 1 or files.kind_of(paths[0]) not in (files.CLIP, files.FOLDER):
        return False
    return alone or not files.is_picture(paths[0])


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
            return View(path, photo, [face.square(locator.framing) for face in found], found)
        chosen = locator.chosen(found)
        others = [face for face in found if face is not chosen]
        return View(path, photo, [chosen.square(locator.framing)], [chosen, *others])
    except AnimateError as error:
        raise AnimateError(f"{path}: {error}") from error


def compose(
    stage: Stage,
    subject: Subject,
    cast: Sequence[Actor],
    drivers: Sequence[Driver],
    options: Options,
    tally: Tally,
) -> tuple[Iterator[np.ndarray], list[str]]:
    """The frames of the result, and what the search for the reference frame has to say.

    `tally` counts a source video's frames without a face.
    """
    how, layout, paste = options.retarget, options.layout, options.paste
    if subject.video:
        return on_video(stage, subject.video, drivers[0], options, tally), []
    crops = perform(stage, cast, drivers, drivers[0].rate, how)
    notes = advice.of_reference(drivers[0].tally.distance, stage.model.far)
    views = subject.views
    if layout.compare:
        frames = compared(stage, cast, crops[0], layout.compare == "keypoints")
    elif paste.name == "crop" or len(views) > 1:
        frames = as_tiles(crops, layout.columns)
    else:
        return in_photo(stage, views[0], cast, crops, paste), notes
    if (layout.compare or len(cast) > 1) and options.visible_label is not None:
        frames = apart(options.visible_label, frames)  # there are faces up to the corners
    return frames, notes


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
    paste: Paste,
) -> Iterator[np.ndarray]:
    """The photo, at most `paste.size` pixels a side, with every face moved.

    Ends with the first driver that ends.
    """
    photo = shrunk(view.photo, paste.size)
    scale = photo.shape[1] / view.photo.shape[1], photo.shape[0] / view.photo.shape[0]
    spots = []
    for actor in cast:
        box = Box(actor.box.left * scale[0], actor.box.top * scale[1], actor.box.side * scale[0])
        still = stage.render(actor.source, actor.own)[0]
        spots.append(Spot(box, still, photo.shape, paste))
    move = Paster(spots, photo)

    def pasted(moved: tuple[tuple[np.ndarray, Pose], ...]) -> np.ndarray:
        return move([crop for crop, _ in moved])

    yield from in_order(pasted, zip(*crops, strict=False), stage.threads)


def as_tiles(crops: Sequence[Crops], columns: int | None) -> Iterator[np.ndarray]:
    """The plain crops, in rows of `columns` (as square as it gets where there are many)."""
    across = min(columns or math.ceil(math.sqrt(len(crops))), len(crops))
    for moved in zip(*crops, strict=False):
        yield tiled([crop for crop, _ in moved], across)


def compared(
    stage: Stage, cast: Sequence[Actor], crops: Crops, points: bool
) -> Iterator[np.ndarray]:
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
            driver = dotted(driver, stage.points(pose.motion))
            photo = dotted(photo, stage.points(cast[0].own))
        yield side_by_side([photo, driver, crop])


def on_video(
    stage: Stage,
    clip: Clip,
    driver: Driver,
    options: Options,
    tally: Tally,
) -> Iterator[np.ndarray]:
    """A video's person moved, frame by frame; with `paste=crop` as a crop.

    With the head amplified by 0 she keeps her own movement, and takes the expression alone;
    otherwise the driver's movement takes the place of hers, no further than REACH from her own: her
    neck and shoulders still go with hers. Frames without a face, or with one whose pose can't be
    trusted, stay as they are; they and those held back are counted. What was turned to be read is
    turned back. Ends with the shorter of the two.
    """
    how, paste = options.retarget.of_video("head" in stage.model.regions), options.paste
    keeps = how.keeps_head
    still = replace(how, relative=True, head=0)
    locator = photo_locator(options.faces, stage.model.framing)

    def seen(sighting: Sighting) -> Seen[tuple[Sighting, Actor | None]]:
        if not sighting.found:
            return Seen((sighting, None), math.inf)
        actor = Actor.of(stage, sighting.frame, sighting.box)
        return Seen((sighting, actor), stage.doubts(actor.own)[0], sighting.fresh)

    def moves() -> Iterator[tuple[Sighting, Actor | None, Motion | None]]:
        poses = resample(driver.poses(stage), driver.rate, clip.rate)
        people = in_order(seen, locator.track(clip.frames(), clip.rate), stage.threads)
        start: Actor | None = None
        references = References(None)
        fresh = False  # a scene has begun since she was last seen well
        for ((sighting, actor), sure), pose in zip(judged(people, clip.rate), poses, strict=False):
            tally.count(sighting)
            fresh = fresh or sighting.fresh
            if actor is not None and not sure:
                tally.doubt(tally.frames - 1)
            if actor is None or not sure:
                yield sighting, None, None
                continue
            if start is None:
                references = References(driver.anchor(stage, actor.own) if how.relative else None)
            if start is None or fresh:
                start, fresh = actor, False
            first = references.of(pose)
            own = (actor if keeps else start).source
            motion = stage.retarget(own, pose.motion, first, how)
            far = 0.0 if keeps else stage.head_distance(actor.own, motion)
            if far > REACH:
                tally.held += 1
                kept = actor.own
                if "head" in stage.model.regions:
                    kept = stage.retarget(actor.source, pose.motion, first, still)
                motion = kept.toward(motion, REACH / far)
            elif how.relative and not keeps:
                motion = actor.own.toward(motion, 1)  # seen with what is around her now
            yield sighting, actor, motion

    def shown(move: tuple[Sighting, Actor | None, Motion | None]) -> np.ndarray:
        sighting, actor, motion = move
        frame = sighting.frame
        if actor is None or motion is None:
            return frame if paste.name == "photo" else cut(frame, sighting.box, stage.model.size)
        still, crop = stage.render(actor.source, together([actor.own, motion]))
        if paste.name == "crop":
            return crop
        return Paster([Spot(actor.box, still, frame.shape, paste)], frame)([crop])

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
    height, width = (max(1, round(n * side / max(photo.shape[:2]))) for n in photo.shape[:2])
    return cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)


def fitted(picture: np.ndarray, side: int) -> np.ndarray:
    """A square picture at another side."""
    import cv2

    if picture.shape[0] == side:
        return picture
    how = cv2.INTER_AREA if picture.shape[0] > side else cv2.INTER_CUBIC
    return cv2.resize(picture, (side, side), interpolation=how)


def dotted(crop: np.ndarray, points: np.ndarray | None) -> np.ndarray:
    """A crop with points (K, 2) in [-1, 1] drawn on it; None are none."""
    import cv2

    picture = crop.copy()
    for x, y in [] if points is None else (points + 1) / 2 * (crop.shape[0] - 1):
        centre = round(float(x) * 8), round(float(y) * 8)
        cv2.circle(picture, centre, 12, (0, 255, 0), -1, cv2.LINE_AA, 3)
    return picture
