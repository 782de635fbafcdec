"""A driver of any kind (video, folder of frames, picture, motion template) as a stream of poses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from animate.inference.doubt import BRIDGE, COVERED, DOUBTFUL, LOST, Seen, judged, mended, trusted
from animate.inference.predictor import BATCH, Pose, Predictor
from animate.inference.templates import PoseSpool, Template, read_template
from animate.media import clips, files
from animate.media.clips import Clip, Sound
from animate.media.photos import read_photo
from animate.media.sound import unheard
from animate.models.contract import Motion
from animate.options import Options, Playback
from animate.system import parallel
from animate.system.parallel import map_in_order

Frame = TypeVar("Frame", TrackedFrame, Pose)

EVERY = 5  # frames: how finely the reference frame is searched
SEARCHED = 20  # seconds of the driver in which the reference frame is searched

DEFAULTS = Options()

NO_FACE = (
    "give its place as faces.clip_box=[x,y,width,height], use faces=centre if the clip is cropped "
    "around it, or another span of it"
)


@dataclass
class DriverStats:
    """What a pass over a driver met."""

    frames: int = 0
    missing: int = 0
    first_missing: int | None = None
    doubted: int = 0  # with a face, and a pose that can't be trusted
    first_doubted: int | None = None
    hopeless: bool = False  # all of them are: they were used as they are
    cuts: int = 0
    turns: int = 0  # quarter turns to the left that make it upright
    held: int = 0  # frames in which the head could not go as far as it was asked to
    distance: float = 0.0  # how far the reference pose is from the photo's, where one was searched

    def count(self, tracked: TrackedFrame, first: int = 0) -> None:
        """One more frame, of a pass that began with number `first`."""
        if not tracked.found:
            self.missing += 1
            if self.first_missing is None:
                self.first_missing = first + self.frames
        self.frames += 1
        self.cuts += tracked.scene_start

    def doubt(self, number: int) -> None:
        """The pose of a frame of this number can't be trusted."""
        self.doubted += 1
        if self.first_doubted is None:
            self.first_doubted = number

    def words(self, whose: str = "clip", *, turned_back: bool = False) -> list[str]:
        """What is worth telling. turned_back: the result lies as the clip does."""
        found = []
        if self.turns:
            how = "upside down" if self.turns == 2 else "on its side"
            result = ": the result lies as it does" if turned_back else ""
            found.append(f"the {whose} lies {how}, and was turned upright to be read{result}")
        if self.missing:
            found.append(
                f"{self.missing} of the {whose}'s {self.frames} frames without a face (the first: "
                f"{self.first_missing})"
            )
        if self.hopeless:
            found.append(
                f"no pose of the {whose}'s {self.frames} frames could be trusted: they are used as "
                "they are"
            )
        elif self.doubted:
            found.append(
                f"{self.doubted} of the {whose}'s {self.frames} frames with a face whose pose "
                f"could not be trusted (the first: {self.first_doubted})"
            )
        if self.held:
            found.append(
                f"{self.held} of the {whose}'s {self.frames} frames with the head held near its "
                "own place, where it would be cut off (retarget.head=auto keeps its own movement)"
            )
        if self.cuts:
            found.append(f"{self.cuts} scene cut" + "s" * (self.cuts > 1))
        return found


@dataclass(frozen=True)
class Driver:
    """Where poses come from; made by `open_driver`."""

    path: Path
    rate: Fraction
    length: int | None  # poses in all, as far as is known
    sound: Sound | None
    sha256: str
    media: Clip | np.ndarray | Template
    locator: Locator
    options: Options
    silent: str | None = None  # why the sound that there is can't be played
    stats: DriverStats = field(default_factory=DriverStats)

    @property
    def first(self) -> int:
        """The number in the clip of the frame that it begins with."""
        return 0 if isinstance(self.media, np.ndarray) else self.media.first

    @property
    def still(self) -> bool:
        """Whether it is one picture."""
        return isinstance(self.media, np.ndarray)

    def tracked_frames(self) -> Iterator[TrackedFrame]:
        """The frames, with the face in each; a template has none."""
        assert not isinstance(self.media, Template)
        frames = iter([self.media]) if isinstance(self.media, np.ndarray) else self.media.frames()
        return self.locator.track(frames, self.rate)

    def poses(self, predictor: Predictor) -> Iterator[Pose]:
        """Every pose of a run. Raises AnimateError where no frame shows a face."""
        how, clip = self.options.retarget, self.options.clip
        poses = numbered(self._once(predictor))
        poses = smooth(poses, self.rate, how.smoothing, predictor.model.smoothing_speed)
        if isinstance(how.reference, int) and how.reference > 0:  # for all scenes
            poses = (replace(pose, scene=0) for pose in poses)
        return play(poses, clip.times, clip.pingpong)

    def reference_pose(self, predictor: Predictor, own: Motion) -> Motion | None:
        """The pose that relative motion starts from; None is the first there is.

        A picture has no other frame: what it differs in from the photo's `own` pose is its motion.
        """
        index = self.options.retarget.reference
        if self.still:
            return own
        if index == 0:
            return None
        return (
            self._most_like(predictor, own) if index == "auto" else self._nth(predictor, int(index))
        )

    def _once(self, predictor: Predictor) -> Iterator[Pose]:
        if isinstance(self.media, Template):
            return self.media.poses(predictor.model)
        return self._followed(predictor)

    def _followed(self, predictor: Predictor) -> Iterator[Pose]:
        """The poses of frames, trusted ones in place of the others; all as they are where there is
        none to be trusted."""
        longest = max(1, round(BRIDGE * self.rate))
        pose = None
        for pose in self._held(mended(self._judged(self._seen(predictor)), longest)):
            yield pose
        if pose is None and self.stats.doubted:
            self.stats.hopeless = True
            again = replace(self, stats=DriverStats())
            yield from again._held(again._seen(predictor))
        elif pose is None:
            raise AnimateError(f"{self.path} shows no face that can be found: {NO_FACE}")

    def _judged(self, poses: Iterable[Pose | None]) -> Iterator[tuple[Pose | None, bool]]:
        """Poses and whether each can be trusted; those that can't are counted."""
        stream = (
            Seen(pose, pose.doubt, pose.scene_start) if pose else Seen(pose, math.inf)
            for pose in poses
        )
        for number, (pose, sure) in enumerate(judged(stream, self.rate), self.first):
            if pose is not None and not sure:
                self.stats.doubt(number)
            yield pose, sure

    def _seen(self, predictor: Predictor) -> Iterator[Pose | None]:
        """The pose of each frame; None where there is no face, or one that is half covered."""

        def seen(some: list[TrackedFrame]) -> list[Pose | None]:
            crops = [cut(s.frame, s.box, predictor.model.size) for s in some if s.found]
            poses = iter(predictor.seen(crops))
            return [
                replace(next(poses), scene_start=s.scene_start) if s.found else None for s in some
            ]

        batches = map_in_order(seen, parallel.chunks(self._counted(), BATCH), predictor.threads)
        return trusted(chain.from_iterable(batches), round(COVERED * self.rate))

    def _held(self, poses: Iterable[Pose | None]) -> Iterator[Pose]:
        """Poses, without any that is missing (None): it is held, or left out."""
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
                yield replace(last, scene_start=False)  # held

    def _counted(self) -> Iterator[TrackedFrame]:
        for tracked in self.tracked_frames():
            if not tracked.found and self.options.faces.missing == "fail":
                number = self.first + self.stats.frames
                raise AnimateError(
                    f"frame {number} ({float(number / self.rate):.2f} s) of {self.path} shows no "
                    "face: use faces.missing=hold or skip, or another span of it"
                )
            self.stats.count(tracked, self.first)
            yield tracked

    def _most_like(self, predictor: Predictor, own: Motion) -> Motion:
        """The pose most like the photo's `own`, of every fifth frame; stops early at a good one.

        One that can't be trusted is none where any other can. The crops are those of a run, so that
        relative motion starts where the run starts.
        """
        poses: Iterator[Pose]
        if isinstance(self.media, Template):
            poses = islice(self._first_scene(self.media.poses(predictor.model)), 0, None, EVERY)
        else:
            poses = predictor.poses(
                cut(s.frame, s.box, predictor.model.size)
                for s in islice(self._first_scene(self.tracked_frames()), 0, None, EVERY)
                if s.found
            )

        def away(pose: Pose) -> float:
            return predictor.distance(own, pose.motion)

        best: tuple[float, Motion] = math.inf, own
        lost: tuple[float, Motion] = math.inf, own  # of those that can't be trusted
        for pose in poses:
            much = away(pose) * (1 if pose.doubt < DOUBTFUL else 2)  # rather one that is sure
            if pose.doubt >= LOST:
                lost = min(lost, (much, pose.motion), key=itemgetter(0))
                continue
            best = min(best, (much, pose.motion), key=itemgetter(0))
            if much < predictor.model.near:
                break
        if best[0] == math.inf:
            alone = replace(self, stats=DriverStats())
            first = next(alone._once(predictor))
            best = lost if alone.stats.hopeless else (away(first), first.motion)
        self.stats.distance = predictor.distance(own, best[1])
        return best[1]

    def _first_scene(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Frames up to the first cut, behind which there may be another person."""
        for index, frame in enumerate(islice(frames, int(SEARCHED * self.rate))):
            if index and frame.scene_start:
                return
            yield frame

    def _nth(self, predictor: Predictor, index: int) -> Motion:
        """The pose of frame `index`, from 0. Raises AnimateError when it isn't there."""
        pose = next(islice(replace(self, stats=DriverStats())._once(predictor), index, None), None)
        if pose is None:
            raise AnimateError(
                f"{self.path} has no frame {index}: use a smaller retarget.reference"
            )
        return pose.motion

    def first_face(self) -> Face | None:
        """The first frame's face, where a detector looks for it."""
        if isinstance(self.media, Template):
            return None
        first = next(self.tracked_frames(), None)
        return None if first is None else first.face


def open_driver(path: Path, options: Options = DEFAULTS, framing: Framing = FRAMING) -> Driver:
    """A video, a folder of frames, a picture, or a template of `animate motion save`.

    What the file holds decides which, not its name. `framing` is the motion model's: what it wants
    to see around a face. Raises AnimateError for what is none of them.
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
    clip = clips.open_clip(path, truncated=options.clip.truncated).span(
        options.clip.start, options.clip.end
    )
    clip = clip.turned(quarter_turns(locator, clip.frames()))
    length = _played(clip.length, options.clip) if options.faces.missing != "skip" else None
    sound, silent, codec = clip.heard, None, unheard(clip.heard)
    if sound and codec:
        sound, silent = None, f"it is {codec}, which can't be decoded"
    elif sound and (options.faces.missing == "skip" or not options.clip.once):
        sound, silent = None, "it can't follow frames that are skipped or played again"
    digest = clips.sha256(path)
    stats = DriverStats(turns=clip.turns)
    return Driver(path, clip.rate, length, sound, digest, clip, locator, options, silent, stats)


def _played(length: int | None, clip: Playback) -> int | None:
    back = max(0, length - 2) if length and clip.pingpong else 0
    return None if length is None else (length + back) * clip.times


def play(poses: Iterable[Pose], times: int = 1, pingpong: bool = False) -> Iterator[Pose]:
    """The poses `times` over, with `pingpong` each time there and back.

    They are kept on disk for what comes after the first pass, so that memory doesn't grow. The end
    poses of a ping-pong aren't repeated.
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
    """Poses with the number of their scene; the first one begins scene 0."""
    scene = 0
    for index, pose in enumerate(poses):
        scene += bool(index and pose.scene_start)
        yield replace(pose, scene=scene)


def smooth(
    poses: Iterable[Pose], rate: Fraction, cutoff: float | None, speed: float
) -> Iterator[Pose]:
    """Poses through one-euro filters (Casiez et al. 2012), one per number; a new scene starts anew.

    `cutoff` is in Hz: movement slower than it stays, faster movement opens the filter, by `speed`
    Hz for each unit a second. None leaves the poses alone.
    """
    if cutoff is None:
        yield from poses
        return
    from OneEuroFilter import OneEuroFilter

    filters: list[Callable[[float], float]] = []
    for pose in poses:
        numbers = pose.motion.numbers()
        if pose.scene_start or not filters:
            filters = [OneEuroFilter(float(rate), cutoff, speed) for _ in numbers]
        calm = [one(number) for one, number in zip(filters, numbers.tolist(), strict=True)]
        yield replace(pose, motion=pose.motion.with_numbers(calm))


def resample(poses: Iterable[Pose], rate: Fraction, to: Fraction) -> Iterator[Pose]:
    """Poses at `rate` a second as poses at `to` a second, each the latest there is."""
    count = 0
    for index, pose in enumerate(poses):
        while count * rate < (index + 1) * to:
            yield pose
            pose = replace(pose, scene_start=False)
            count += 1
