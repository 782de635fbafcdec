"""Turn a driver (video, folder of frames, picture, motion template) into a stream of poses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain, islice, repeat
from operator import itemgetter
from pathlib import Path
from typing import TypeVar

import numpy as np

from animate.errors import AnimateError
from animate.faces import Face, Locator, TrackedFrame, clip_locator, cut, quarter_turns
from animate.faces.crop import FRAMING, Framing
from animate.faces.scenes import in_passages
from animate.inference.doubt import (
    BRIDGE,
    COVERED,
    DOUBTFUL,
    LOST,
    Sample,
    drop_beside_gaps,
    fill_gaps,
    with_trust,
)
from animate.inference.predictor import BATCH, Pose, Predictor
from animate.inference.smoothing import smooth
from animate.inference.stats import DriverStats
from animate.inference.templates import PoseSpool, Template, read_template
from animate.media import clips, files
from animate.media.clips import Clip, Sound
from animate.media.photos import read_photo
from animate.media.sound import undecodable_codec
from animate.models.contract import Motion
from animate.options import Options, Playback
from animate.system import parallel
from animate.system.parallel import map_in_order

Frame = TypeVar("Frame", TrackedFrame, Pose)

EVERY = 5  # the search for the reference frame looks at each fifth frame
SEARCHED = 20  # seconds at the driver's start that this search covers

DEFAULTS = Options()

NO_FACE = (
    "give its place as faces.clip_box=[x,y,width,height], use faces=centre if the clip is cropped "
    "around it, or choose another span with clip.start and clip.end"
)


@dataclass(frozen=True)
class Driver:
    """An opened driver, which yields poses; made by `open_driver`."""

    path: Path
    rate: Fraction
    length: int | None  # number of poses; None: unknown
    sound: Sound | None
    sha256: str
    media: Clip | np.ndarray | Template
    locator: Locator
    options: Options
    silent: str | None = None  # why the driver's sound is left out, where it has some
    stats: DriverStats = field(default_factory=DriverStats)

    @property
    def first(self) -> int:
        """The number, within the clip, of the first frame that is used."""
        return 0 if isinstance(self.media, np.ndarray) else self.media.first

    @property
    def still(self) -> bool:
        """Whether the driver is a single picture."""
        return isinstance(self.media, np.ndarray)

    def tracked_frames(self) -> Iterator[TrackedFrame]:
        """The frames, with the face in each; not for a template."""
        assert not isinstance(self.media, Template)
        frames = iter([self.media]) if isinstance(self.media, np.ndarray) else self.media.frames()
        return self.locator.track(frames, self.rate)

    def poses(self, predictor: Predictor) -> Iterator[Pose]:
        """Every pose of a run. Raises AnimateError where no frame shows a face."""
        how, clip = self.options.retarget, self.options.clip
        poses = numbered(self._one_pass(predictor))
        poses = smooth(poses, self.rate, how.smoothing, predictor.model.smoothing_speed)
        if isinstance(how.reference, int) and how.reference > 0:  # one reference for all scenes
            poses = (replace(pose, scene=0) for pose in poses)
        return play(poses, clip.times, clip.pingpong)

    def reference_pose(self, predictor: Predictor, own: Motion) -> Motion | None:
        """The pose that relative motion starts from; None: the driver's first pose.

        For a picture it is the photo's `own` pose: the difference to it is the motion.
        """
        index = self.options.retarget.reference
        if self.still:
            return own
        if index == 0:
            return None
        return (
            self._most_like(predictor, own) if index == "auto" else self._nth(predictor, int(index))
        )

    def _one_pass(self, predictor: Predictor) -> Iterator[Pose]:
        if isinstance(self.media, Template):
            return self.media.poses(predictor.model)
        return self._frame_poses(predictor)

    def _frame_poses(self, predictor: Predictor) -> Iterator[Pose]:
        """The poses of all frames, untrusted ones replaced; unchanged where none is trusted."""
        longest = max(1, round(BRIDGE * self.rate))
        pose = None
        filled = fill_gaps(self._with_trust(self._raw_poses(predictor)), longest)
        for pose in self._without_gaps(filled):
            yield pose
        if pose is None and self.stats.doubted:
            self.stats.none_trusted = True
            again = replace(self, stats=DriverStats())
            yield from again._without_gaps(again._raw_poses(predictor))
        elif pose is None:
            raise AnimateError(f"{self.path} shows no face: {NO_FACE}")

    def _with_trust(self, poses: Iterable[Pose | None]) -> Iterator[tuple[Pose | None, bool]]:
        """Poses, and whether each can be trusted; counts those that can't, and scene cuts."""
        stream = (
            Sample(p, p.doubt, p.scene_start, p.passage) if p else Sample(p, math.inf)
            for p in poses
        )
        for number, (seen, sure) in enumerate(with_trust(stream, self.rate), self.first):
            self.stats.cuts += seen.scene_start
            if seen.item is not None and not sure:
                self.stats.doubt(number)
            yield seen.item and replace(seen.item, scene_start=seen.scene_start), sure

    def _raw_poses(self, predictor: Predictor) -> Iterator[Pose | None]:
        """The pose of each frame; None without a face, or where it is partly covered."""

        def pose_batch(batch: list[TrackedFrame]) -> list[Pose | None]:
            crops = [cut(s.frame, s.box, predictor.model.size) for s in batch if s.found]
            poses = iter(predictor.batch_poses(crops))
            return [
                replace(next(poses), scene_start=s.scene_start, passage=s.passage)
                if s.found
                else None
                for s in batch
            ]

        frames = parallel.chunks(self._counted(), BATCH)
        batches = map_in_order(pose_batch, frames, predictor.threads)
        return drop_beside_gaps(chain.from_iterable(batches), round(COVERED * self.rate))

    def _without_gaps(self, poses: Iterable[Pose | None]) -> Iterator[Pose]:
        """Poses without gaps: for a missing one (None) the last is held, or it is skipped."""
        last: Pose | None = None
        waiting = 0  # frames before the first face
        for pose in poses:
            if pose is not None:
                last = pose
                yield from repeat(last, waiting + 1)
                waiting = 0
            elif self.options.faces.missing == "skip":
                continue
            elif last is None:
                waiting += 1
            else:
                yield replace(last, scene_start=False)

    def _counted(self) -> Iterator[TrackedFrame]:
        for tracked in self.tracked_frames():
            if not tracked.found and self.options.faces.missing == "fail":
                number = self.first + self.stats.frames
                raise AnimateError(
                    f"frame {number} ({float(number / self.rate):.2f} s) of {self.path} shows no "
                    "face: use faces.missing=hold or skip, or another clip.start or clip.end"
                )
            self.stats.count(tracked, self.first)
            yield tracked

    def _most_like(self, predictor: Predictor, own: Motion) -> Motion:
        """The pose most like the photo's `own` among each fifth frame; stops early at a near one.

        How like, `Predictor.unlikeness` says: in shape, and as upright.
        Lost poses count only if there is no other. The crops are those of a run, so that relative
        motion starts from one of the run's own poses.
        """
        poses: Iterator[Pose]
        if isinstance(self.media, Template):
            poses = islice(self._first_scene(self.media.poses(predictor.model)), 0, None, EVERY)
        else:
            crops = self._first_scene(self._crops(predictor.model.size))
            poses = predictor.poses(s.frame for s in islice(crops, 0, None, EVERY) if s.found)

        def away(pose: Pose) -> float:
            return predictor.unlikeness(own, pose.motion)

        best: tuple[float, Motion] = math.inf, own
        lost: tuple[float, Motion] = math.inf, own  # the best among lost poses
        for pose in poses:
            cost = away(pose) * (1 if pose.doubt < DOUBTFUL else 2)  # prefers poses without doubt
            if pose.doubt >= LOST:
                lost = min(lost, (cost, pose.motion), key=itemgetter(0))
                continue
            best = min(best, (cost, pose.motion), key=itemgetter(0))
            if cost < predictor.model.near:
                break
        if best[0] == math.inf:
            uncounted = replace(self, stats=DriverStats())
            first = next(uncounted._one_pass(predictor))
            best = lost if uncounted.stats.none_trusted else (away(first), first.motion)
        self.stats.distance = predictor.distance(own, best[1])
        return best[1]

    def _crops(self, size: int) -> Iterator[TrackedFrame]:
        """The tracked frames, each EVERY-th as its crop of `size`, the others without pixels."""
        for index, s in enumerate(self.tracked_frames()):
            wanted = s.found and index % EVERY == 0
            yield replace(s, frame=cut(s.frame, s.box, size)) if wanted else s.without_frame()

    def _first_scene(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Frames of the first SEARCHED seconds, up to a passage to what may be another face."""
        searched = islice(frames, int(SEARCHED * self.rate))
        for index, (frame, is_passing) in enumerate(in_passages(searched, self.rate)):
            if is_passing or (index and frame.scene_start):
                return
            yield frame

    def _nth(self, predictor: Predictor, index: int) -> Motion:
        """The pose of frame `index`, from 0. Raises AnimateError where there is none."""
        pose = next(
            islice(replace(self, stats=DriverStats())._one_pass(predictor), index, None), None
        )
        if pose is None:
            raise AnimateError(
                f"retarget.reference={index} is beyond the last frame of {self.path}: use a "
                "smaller number"
            )
        return pose.motion

    def first_face(self) -> Face | None:
        """The detected face of the first frame; None for a template or without a detector."""
        if isinstance(self.media, Template):
            return None
        first = next(self.tracked_frames(), None)
        return None if first is None else first.face


def open_driver(path: Path, options: Options = DEFAULTS, framing: Framing = FRAMING) -> Driver:
    """Open a video, a folder of frames, a picture, or a template of `animate template save`.

    The file's content decides which, not its name. `framing` is the motion model's: the square it
    needs around a face. Raises AnimateError for any other file.
    """
    path, locator = Path(path), clip_locator(options.faces, framing)
    kind = files.kind_of(path)
    if kind == files.TEMPLATE:
        template = read_template(path).span(options.clip.start, options.clip.end)
        length = _played(len(template), options.clip)
        rate, sha256 = template.rate, template.clip_sha256
        return Driver(path, rate, length, None, sha256, template, locator, options)
    if kind == files.PICTURE:
        picture, rate = read_photo(path), clips.FOLDER_RATE
        turns = quarter_turns(locator, [picture])
        picture, stats = np.ascontiguousarray(np.rot90(picture, turns)), DriverStats(turns=turns)
        digest = clips.sha256(path)
        return Driver(path, rate, 1, None, digest, picture, locator, options, stats=stats)
    whole = clips.open_clip(path, truncated=options.clip.truncated)
    clip = whole.span(options.clip.start, options.clip.end).without_combs()
    clip = clip.turned(quarter_turns(locator, clip.frames()))
    length = _played(clip.length, options.clip) if options.faces.missing != "skip" else None
    sound, silent, codec = clip.span_sound, None, undecodable_codec(clip.span_sound)
    if sound and codec:
        sound, silent = None, f"it is {codec}, which can't be decoded"
    elif sound and (options.faces.missing == "skip" or not options.clip.once):
        sound, silent = None, "it can't follow frames that are skipped or repeated"
    digest = clips.sha256(path)
    stats = DriverStats.of(clip)
    return Driver(path, clip.rate, length, sound, digest, clip, locator, options, silent, stats)


def _played(length: int | None, clip: Playback) -> int | None:
    back = max(0, length - 2) if length and clip.pingpong else 0
    return None if length is None else (length + back) * clip.times


def play(poses: Iterable[Pose], times: int = 1, pingpong: bool = False) -> Iterator[Pose]:
    """Play the poses `times` over; with `pingpong` each time forwards and then backwards.

    Poses are kept on disk after the first pass, so memory doesn't grow. A ping-pong doesn't repeat
    the first and the last pose where it turns.
    """
    if times == 1 and not pingpong:
        yield from poses
        return
    with PoseSpool() as spool:
        for pose in poses:
            spool.append(pose)
            yield pose
        there, back = range(len(spool)), range(len(spool) - 2, 0, -1)
        rounds: Iterable[Sequence[int]] = [back] if pingpong else []
        for turn in chain(rounds, *repeat([there, *rounds], times - 1)):
            yield from (spool[index] for index in turn)


def numbered(poses: Iterable[Pose]) -> Iterator[Pose]:
    """Number the scenes that poses belong to, from 0; from 1 where all poses of the first are lost,
    so that no later scene is relative to the first one's reference."""
    scene = 0
    for pose in poses:
        scene += pose.scene_start
        yield replace(pose, scene=scene)


def resample(poses: Iterable[Pose], rate: Fraction, to: Fraction) -> Iterator[Pose]:
    """Resample poses from `rate` to `to` a second; each is the latest of its time."""
    count = 0
    for index, pose in enumerate(poses):
        while count * rate < (index + 1) * to:
            yield pose
            pose = replace(pose, scene_start=False)
            count += 1
