"""Compose a result's frames: faces pasted back, as tiles, in a comparison, or in a source video."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import repeat, tee
from pathlib import Path
from typing import NamedTuple

import numpy as np

from animate.errors import AnimateError
from animate.faces import (
    Box,
    Detected,
    Face,
    Locator,
    TrackedFrame,
    cut,
    photo_locator,
    quarter_turns,
)
from animate.faces.crop import Framing
from animate.faces.paste import Paster, Spot
from animate.inference import advice
from animate.inference.driver import Driver, resample
from animate.inference.heads import HeadLimit, leaving, limit_of
from animate.inference.pictures import fitted, shrunk, side_by_side, tiled
from animate.inference.predictor import Pose, Predictor, References
from animate.inference.source_face import SourceFace, people_in
from animate.inference.stats import DriverStats
from animate.media import files
from animate.media.clips import Clip, open_clip
from animate.media.photos import read_photo
from animate.models.contract import Motion, together
from animate.options import Options, Paste, Retarget
from animate.publish.sheets import dotted
from animate.system.parallel import map_in_order
from animate.watermark.label import apart

PANEL = 256  # pixels: least side of each picture in a comparison


class Shown(NamedTuple):
    """A moved crop."""

    crop: np.ndarray  # (S, S, 3) uint8
    pose: Pose  # the driver's that it shows
    leaving: float  # how far its head may leave the square, as `Paster` takes it


Crops = Iterator[Shown]


@dataclass(frozen=True)
class SourcePhoto:
    """A photo and the boxes of the faces to animate, from left to right."""

    path: Path
    pixels: np.ndarray  # (H, W, 3) uint8, sRGB
    boxes: list[Box]
    faces: list[Face]  # as detected: those to animate, then the others; empty without a detector


@dataclass(frozen=True)
class Subject:
    """What is animated: the faces of photos, or the person in a video."""

    paths: list[Path]
    photos: list[SourcePhoto]
    video: Clip | None = None

    def check(self, drivers: int, options: Options) -> None:
        """Raise AnimateError for a layout or number of drivers that this subject doesn't allow."""
        everyone, layout = options.faces.which == "all", options.layout
        if self.video and (layout.compare or everyone or drivers > 1):
            raise AnimateError(
                f"{self.paths[0]} is a video, in which one driver moves one face: leave out "
                "--compare, --also and faces.which=all"
            )
        faces = sum(len(photo.boxes) for photo in self.photos)
        if layout.compare and faces > 1:
            raise AnimateError(
                f"a comparison shows one face, not {faces}: leave out --tile, or faces.which=all"
            )

    def tiled(self, options: Options) -> bool:
        """Whether the result shows several faces alone, as tiles."""
        alone = len(self.photos) > 1 or options.paste.name == "crop"
        return alone and sum(len(photo.boxes) for photo in self.photos) > 1

    def encode_faces(self, predictor: Predictor) -> list[SourceFace]:
        """The faces of the photos, encoded and tracked, from left to right."""
        return [
            SourceFace.of(predictor, photo.pixels, box)
            for photo in self.photos
            for box in photo.boxes
        ]


def open_subject(
    paths: Sequence[Path], drivers: Sequence[Path], options: Options, framing: Framing
) -> Subject:
    """Read photos and find their faces, in the model's `framing`, or open the one video.

    Raises AnimateError for a photo without a face and a file that is no photo.
    """
    locator = photo_locator(options.faces, framing)
    others = options.layout.compare or options.faces.which == "all" or len(drivers) > 1
    still = bool(drivers) and files.kind_of(drivers[0]) == files.PICTURE
    if is_video(paths, alone=not (others or still)):
        video = open_clip(paths[0], truncated=options.clip.truncated).without_combs()
        turned = video.turned(quarter_turns(locator, video.frames()))
        return Subject(list(paths), [], turned)
    everyone = options.faces.which == "all"
    return Subject(list(paths), [read_source(path, locator, everyone) for path in paths])


def is_video(paths: Sequence[Path], alone: bool = True) -> bool:
    """Whether the subject is one video, or one folder of frames.

    An animated picture (GIF, WebP, PNG) is a video if `alone`. Otherwise its first frame is used as
    a photo: it is combined with something that needs one.
    """
    if len(paths) != 1 or files.kind_of(paths[0]) not in (files.CLIP, files.FOLDER):
        return False
    return alone or not files.is_picture(paths[0])


def read_source(path: Path, locator: Locator, everyone: bool) -> SourcePhoto:
    """Read a photo and find the face that the locator chooses, or all faces for `everyone`.

    Raises AnimateError for a photo without one.
    """
    photo = read_photo(path)
    try:
        if not isinstance(locator, Detected):
            if everyone:
                raise AnimateError(
                    "faces.which=all needs a detector: use faces=auto and leave out faces.box"
                )
            return SourcePhoto(path, photo, [locator.locate(photo)], [])
        found = locator.faces(photo)
        if everyone:
            return SourcePhoto(path, photo, [face.square(locator.framing) for face in found], found)
        chosen = locator.chosen(found)
        others = [face for face in found if face is not chosen]
        return SourcePhoto(path, photo, [chosen.square(locator.framing)], [chosen, *others])
    except AnimateError as error:
        raise AnimateError(f"{path}: {error}") from error


def compose(
    predictor: Predictor,
    subject: Subject,
    faces: Sequence[SourceFace],
    drivers: Sequence[Driver],
    options: Options,
    stats: DriverStats,
) -> tuple[Iterator[np.ndarray], list[str]]:
    """The frames of the result, and warnings about the driver's reference frame.

    `stats` counts a source video's frames, and those without a face.
    """
    how, layout, paste = options.retarget, options.layout, options.paste
    if subject.video:
        return on_video(predictor, subject.video, drivers[0], options, stats), []
    pasted = not layout.compare and paste.name == "photo" and len(subject.photos) == 1
    crops = reenact(predictor, faces, drivers, drivers[0].rate, how, pasted)
    notes = advice.of_reference(drivers[0].stats.distance, predictor.model.far)
    photos = subject.photos
    if layout.compare:
        frames = compared(predictor, faces, crops[0], layout.compare == "keypoints")
    elif pasted:
        return in_photo(predictor, photos[0], faces, crops, paste), notes
    else:
        frames = as_tiles(crops, layout.columns)
    if (layout.compare or len(faces) > 1) and options.visible_label is not None:
        frames = apart(options.visible_label, frames)  # a label inside would cover a face
    return frames, notes


def reenact(
    predictor: Predictor,
    faces: Sequence[SourceFace],
    drivers: Sequence[Driver],
    rate: Fraction,
    how: Retarget,
    pasted: bool = False,
) -> list[Crops]:
    """The crops of each face and the poses they show: one driver moves all, or each has its own.

    Poses of several drivers are resampled to `rate` a second. If `pasted`, heads stay near their
    place as `how` says, and the driver's stats count the frames in which they would not. Raises
    AnimateError where the number of drivers is neither 1 nor that of the faces.
    """
    if len(drivers) == 1:
        driver = drivers[0]
        reference = driver.reference_pose(predictor, faces[0].own) if how.relative else None
        streams = tee(driver.poses(predictor), len(faces))
        counts = [driver.stats, *repeat(None, len(faces) - 1)]  # each frame once
        limits = [
            limit_of(predictor, face.own, how, stats) if pasted else None
            for face, stats in zip(faces, counts, strict=True)
        ]
        return [
            _moved(predictor, face, poses, reference, how, limit)
            for face, poses, limit in zip(faces, streams, limits, strict=True)
        ]
    if len(drivers) != len(faces):
        raise AnimateError(
            f"{len(drivers)} drivers for {len(faces)} faces: give one driver, or with "
            "faces.which=all one for each face, from the left"
        )
    return [
        _moved(
            predictor,
            face,
            resample(driver.poses(predictor), driver.rate, rate),
            driver.reference_pose(predictor, face.own) if how.relative else None,
            how,
            limit_of(predictor, face.own, how, driver.stats) if pasted else None,
        )
        for face, driver in zip(faces, drivers, strict=True)
    ]


def _moved(
    predictor: Predictor,
    face: SourceFace,
    poses: Iterable[Pose],
    reference: Motion | None,
    how: Retarget,
    limit: HeadLimit | None,
) -> Crops:
    poses, shown = tee(poses)
    moved = predictor.animate(face.source, poses, reference, how, limit)
    for (crop, distance), pose in zip(moved, shown, strict=True):
        yield Shown(crop, pose, leaving(distance))


def in_photo(
    predictor: Predictor,
    source: SourcePhoto,
    faces: Sequence[SourceFace],
    crops: Sequence[Crops],
    paste: Paste,
) -> Iterator[np.ndarray]:
    """The photo, at most `paste.size` pixels a side, with every moved face pasted back.

    Ends with the shortest driver.
    """
    move = paster(predictor, source, faces, paste)

    def pasted(moved: tuple[Shown, ...]) -> np.ndarray:
        return move([shown.crop for shown in moved], [shown.leaving for shown in moved])

    yield from map_in_order(pasted, zip(*crops, strict=False), predictor.threads)


def paster(
    predictor: Predictor, source: SourcePhoto, faces: Sequence[SourceFace], paste: Paste
) -> Paster:
    """The `Paster` that puts the moved `faces` back into a photo of at most `paste.size` pixels a
    side."""
    photo = shrunk(source.pixels, paste.size)
    scale = photo.shape[1] / source.pixels.shape[1], photo.shape[0] / source.pixels.shape[0]
    spots = []
    for face in faces:
        box = Box(face.box.left * scale[0], face.box.top * scale[1], face.box.side * scale[0])
        still = predictor.render(face.source, face.own)[0]
        spots.append(Spot(box, still, photo.shape, paste))
    return Paster(spots, photo)


def as_tiles(crops: Sequence[Crops], columns: int | None) -> Iterator[np.ndarray]:
    """The crops in rows of `columns`; None makes about as many columns as rows."""
    across = min(columns or math.ceil(math.sqrt(len(crops))), len(crops))
    for moved in zip(*crops, strict=False):
        yield tiled([shown.crop for shown in moved], across)


def compared(
    predictor: Predictor, faces: Sequence[SourceFace], crops: Crops, points: bool
) -> Iterator[np.ndarray]:
    """Photo, driver and result side by side; `points` draws keypoints on photo and driver.

    Raises AnimateError for a driver without pictures: a template, or a clip played again.
    """
    for crop, pose, _ in crops:
        if pose.crop is None:
            raise AnimateError(
                "--compare has no picture of the driver to show: use a video, and clip.times=1 "
                "without clip.pingpong"
            )
        side = max(PANEL, crop.shape[0])
        driver, photo, crop = (fitted(p, side) for p in (pose.crop, faces[0].crop, crop))
        if points:
            driver = dotted(driver, predictor.points(pose.motion))
            photo = dotted(photo, predictor.points(faces[0].own))
        yield side_by_side([photo, driver, crop])


def on_video(
    predictor: Predictor,
    clip: Clip,
    driver: Driver,
    options: Options,
    stats: DriverStats,
) -> Iterator[np.ndarray]:
    """The frames of a source video whose person is animated; with `paste=crop` only the crops.

    With retarget.head=0 the person keeps their own head movement and takes only the expression.
    Otherwise the driver's head movement replaces theirs, within a `HeadLimit` of their own pose,
    because neck and shoulders stay as filmed. Frames without a face, or whose pose can't be
    trusted, stay unchanged; `stats` counts them and the limited ones. A video that was turned
    upright for reading is turned back. Ends with the shorter of video and driver.
    """
    how, paste = options.retarget.of_video("head" in predictor.model.regions), options.paste
    keeps = how.keeps_head
    locator = photo_locator(options.faces, predictor.model.framing)

    def moves() -> Iterator[tuple[TrackedFrame, SourceFace | None, Motion | None, float]]:
        poses = resample(driver.poses(predictor), driver.rate, clip.rate)
        start: SourceFace | None = None
        references = References(None)
        new_scene = False  # there was a cut since the last trusted frame
        for (tracked, face), pose in zip(people_in(predictor, clip, locator), poses, strict=False):
            stats.count(tracked)
            stats.cuts += tracked.scene_start
            new_scene = new_scene or tracked.scene_start
            if face is None:
                if tracked.found:
                    stats.doubt(stats.frames - 1)
                yield tracked, None, None, 0.0
                continue
            if start is None:
                references = References(
                    driver.reference_pose(predictor, face.own) if how.relative else None
                )
            if start is None or new_scene:
                start, new_scene = face, False
            reference = references.of(pose)
            own = (face if keeps else start).source
            motion = predictor.retarget(own, pose.motion, reference, how)
            distance = 0.0
            if not keeps:
                limit = HeadLimit(face.own, stats.hold)
                motion, [distance] = limit.held(
                    predictor, face.source, motion, pose.motion, reference, how
                )
                limit.count_far(distance)
                if how.relative:
                    motion = face.own.toward(motion, 1)  # with the pictures of the current frame
            yield tracked, face, motion, leaving(distance)

    def shown(move: tuple[TrackedFrame, SourceFace | None, Motion | None, float]) -> np.ndarray:
        tracked, face, motion, far = move
        frame = tracked.frame
        if face is None or motion is None:
            return frame if paste.name == "photo" else cut(frame, tracked.box, predictor.model.size)
        still, crop = predictor.render(face.source, together([face.own, motion]))
        if paste.name == "crop":
            return crop
        return Paster([Spot(face.box, still, frame.shape, paste)], frame)([crop], [far])

    for frame in map_in_order(shown, moves(), predictor.threads):
        yield np.ascontiguousarray(np.rot90(frame, -clip.turns))
