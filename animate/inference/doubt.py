"""Decide which tracked poses can be trusted, and replace the others by interpolation or holding."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import repeat
from typing import Generic, TypeVar

from animate.faces.scenes import in_passages
from animate.inference.predictor import Pose

Item = TypeVar("Item")

# Doubt is `MotionModel.doubt`; times are in seconds.
LOST = 1.0  # doubt: from here on a pose is lost, and never trusted
DOUBTFUL = 0.5  # doubt: from here on a pose is not trusted near a lost one or after a sudden rise
SUDDEN = 1.5  # factor of a sudden rise of doubt: hands come faster than heads turn into profile
MOMENT = Fraction(1, 25)  # the time in which doubt rises by that factor
EDGE = Fraction(1, 5)  # doubtful poses up to this long before a lost one are not trusted
MARGIN = Fraction(2, 25)  # all poses up to this long beside an untrusted one are not trusted
PATIENCE = Fraction(1)  # doubtful poses are trusted again after this long
BRIDGE = Fraction(1)  # longest gap that is interpolated; over a longer one the last pose is held
COVERED = Fraction(1, 5)  # a face is not trusted this long before and after it is out of sight


@dataclass(frozen=True)
class Sample(Generic[Item]):
    """An item of a stream and the doubt of its pose; infinite for a frame without a face."""

    item: Item
    doubt: float
    scene_start: bool = False  # a new scene begins
    passage: int = 0  # how many items before belong to a transition that ends with this one


def with_trust(
    stream: Iterable[Sample[Item]], rate: Fraction
) -> Iterator[tuple[Sample[Item], bool]]:
    """The items, `rate` a second, as seen, and whether each can be trusted.

    Not trusted are lost items; doubtful ones next to a lost one, at the start of a scene or after
    a sudden rise of doubt; and all within MARGIN of these: a hand is there before doubt rises.
    Doubt that lasts, or that rose slowly, belongs to a face seen from the side and is trusted.
    In a transition every item is lost and no scene starts. Delays the stream by at most EDGE,
    MARGIN and a transition's LONGEST.
    """
    margin = max(1, round(MARGIN * rate))
    waiting: deque[tuple[Sample[Item], bool]] = deque()
    near = 0  # how many of the next items are within MARGIN of an untrusted one
    for sample, sure in _by_doubt(map(_passing, in_passages(stream, rate)), rate):
        if sample.scene_start:
            yield from waiting
            waiting.clear()
            near = 0
        if not sure and sample.doubt < math.inf:  # frames without a face say nothing of others
            waiting = deque((other, False) for other, _ in waiting)
            near = margin
        elif near:
            near, sure = near - 1, False
        waiting.append((sample, sure))
        if len(waiting) > margin:
            other, mark = waiting.popleft()
            yield other, mark
    yield from waiting


def _passing(sample: tuple[Sample[Item], bool]) -> Sample[Item]:
    """An item that says, too, whether it belongs to a transition."""
    item, is_passing = sample
    if not is_passing:
        return item
    return replace(item, doubt=max(item.doubt, LOST), scene_start=False)


def _by_doubt(
    stream: Iterable[Sample[Item]], rate: Fraction
) -> Iterator[tuple[Sample[Item], bool]]:
    """The items, and whether each can be trusted by its doubt alone, without MARGIN."""
    moment, edge, patience = (max(1, round(t * rate)) for t in (MOMENT, EDGE, PATIENCE))
    before: deque[float] = deque(maxlen=moment)  # doubts of the last trusted items
    waiting: deque[Sample[Item]] = deque()  # doubtful: trusted unless a lost one follows
    left = edge  # how many more doubtful items in a row are not trusted
    for sample in stream:
        if sample.scene_start:
            before.clear()
            left = edge
        if sample.scene_start or sample.doubt < DOUBTFUL:
            yield from ((other, True) for other in waiting)
            waiting.clear()
        if sample.doubt < DOUBTFUL:
            left = 0
        elif sample.doubt >= LOST:
            yield from ((other, False) for other in waiting)
            waiting.clear()
            left = patience
        elif not left and before and sample.doubt >= SUDDEN * min(before):
            yield from ((other, True) for other in waiting)
            waiting.clear()
            left = patience
        if sample.doubt >= LOST or left:
            yield sample, False
            left = max(0, left - (sample.doubt < LOST))
            if not left:  # PATIENCE is over: compare no later doubt with an older one
                before.clear()
            continue
        before.append(sample.doubt)
        if sample.doubt < DOUBTFUL:
            yield sample, True
            continue
        waiting.append(sample)
        if len(waiting) > edge:
            yield waiting.popleft(), True
    yield from ((other, True) for other in waiting)


def fill_gaps(poses: Iterable[tuple[Pose | None, bool]], longest: int) -> Iterator[Pose | None]:
    """Replace the poses that can't be trusted; a missing one stays None.

    A gap of at most `longest` poses within a scene is interpolated; in a longer one the last
    trusted pose is held. Poses before the first trusted one of a scene are replaced by it. Where no
    pose can be trusted, only None comes out. Delays the stream by at most `longest` poses.
    """
    last: Pose | None = None
    ahead = 0  # poses before the first trusted one
    gap: list[Pose] = []
    holding = cut = False  # the gap is too long to bridge; a scene began within poses already sent
    for pose, sure in poses:
        if pose is not None and sure:
            good = replace(pose, scene_start=True) if cut else pose
            if last is None:
                yield good
                yield from repeat(replace(good, scene_start=False), ahead)
            else:
                yield from _interpolate(last, gap, good)
                starts = any(other.scene_start for other in gap)
                yield replace(good, scene_start=False) if starts and not pose.scene_start else good
            last, gap, holding, cut = pose, [], False, False
        elif last is None:
            cut = cut or bool(pose and pose.scene_start)
            ahead += pose is not None
            if pose is None:
                yield None
        elif pose is not None and not holding and len(gap) < longest:
            gap.append(pose)
        else:
            late = [*gap, pose] if pose is not None else gap
            cut = cut or any(other.scene_start for other in late)
            yield from (_hold(last, other) for other in late)
            if pose is None:
                yield None
            gap, holding = [], True
    if last is not None:
        yield from (_hold(last, other) for other in gap)


def _hold(good: Pose, pose: Pose) -> Pose:
    """A trusted pose in the place of another, whose crop it shows."""
    return replace(good, scene_start=False, crop=pose.crop)


def _interpolate(before: Pose, gap: list[Pose], after: Pose) -> Iterator[Pose]:
    """The poses that fill a gap: interpolated, or held within each scene where it has a cut."""
    starts = [index for index, pose in enumerate(gap) if pose.scene_start]
    if starts or after.scene_start:
        start = starts[-1] if starts else len(gap)
        yield from (_hold(before, pose) for pose in gap[:start])
        scene = [_hold(after, pose) for pose in gap[start:]]
        yield from (replace(pose, scene_start=not index) for index, pose in enumerate(scene))
        return
    for index, pose in enumerate(gap, 1):
        motion = before.motion.toward(after.motion, index / (len(gap) + 1))
        yield replace(_hold(before, pose), motion=motion)


def drop_beside_gaps(found: Iterable[Pose | None], edge: int) -> Iterator[Pose | None]:
    """Drop `edge` poses before and after a gap of `edge` or more missing ones (None).

    The face is partly covered there, so these poses must not be held. Poses after a cut stay, and
    so do those beside a gap at the start of the stream.
    """
    waiting: deque[Pose | None] = deque()
    gone, doubtful, given = 0, 0, False
    for pose in found:
        if waiting and len(waiting) >= 2 * edge:
            given = given or waiting[0] is not None
            yield waiting.popleft()
        if pose is None:
            gone += 1
        else:
            doubtful = edge if given and gone >= edge else max(0, doubtful - 1)
            doubtful = 0 if pose.scene_start else doubtful
            gone = 0
        waiting.append(None if doubtful else pose)
        if given and gone == edge > 0:
            waiting = deque(p if p is not None and p.scene_start else None for p in waiting)
    yield from waiting
