"""Which poses of a stream can be trusted, and what takes the place of the others."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import repeat
from typing import Generic, TypeVar

from animate.inference.predictor import Pose

Item = TypeVar("Item")

LOST = 1.0  # a doubt from which on a pose is never used
DOUBTFUL = 0.5  # ... is not used beside lost ones, nor where it came suddenly
SUDDEN = 1.5  # times the doubt before: heads turn into profile more slowly, hands come faster
MOMENT = Fraction(1, 25)  # seconds within which that is sudden
EDGE = Fraction(1, 5)  # seconds of doubtful poses that are given up before a lost one
MARGIN = Fraction(2, 25)  # seconds of poses that are given up beside any that is not trusted
PATIENCE = Fraction(1)  # seconds after which what is doubtful, not lost, is taken as it is
BRIDGE = Fraction(1)  # seconds between two good poses that are bridged; longer gaps are held
COVERED = Fraction(1, 5)  # seconds before and after it is lost that a face is not to be trusted


@dataclass(frozen=True)
class Seen(Generic[Item]):
    """Something of a stream, with the doubt of what is seen in it; infinite where nothing is."""

    item: Item
    doubt: float
    scene_start: bool = False  # a new scene begins


def judged(stream: Iterable[Seen[Item]], rate: Fraction) -> Iterator[tuple[Item, bool]]:
    """The items, `rate` a second, and whether each can be trusted.

    What is lost can't, nor what is doubtful right before and after it, at the start of a scene, or
    from a sudden rise of doubt on; nor what is within MARGIN of these: a hand that comes is there
    before the doubt is. A doubt that lasts, or that has risen slowly, is a face seen from the side.
    At most EDGE and MARGIN of the stream wait.
    """
    margin = max(1, round(MARGIN * rate))
    waiting: deque[tuple[Seen[Item], bool]] = deque()
    near = 0  # how many to come are too near
    for seen, sure in _doubted(stream, rate):
        if seen.scene_start:
            yield from ((other.item, mark) for other, mark in waiting)
            waiting.clear()
            near = 0
        if not sure and seen.doubt < math.inf:  # frames without a face say nothing of others
            waiting = deque((other, False) for other, _ in waiting)
            near = margin
        elif near:
            near, sure = near - 1, False
        waiting.append((seen, sure))
        if len(waiting) > margin:
            other, mark = waiting.popleft()
            yield other.item, mark
    yield from ((other.item, mark) for other, mark in waiting)


def _doubted(stream: Iterable[Seen[Item]], rate: Fraction) -> Iterator[tuple[Seen[Item], bool]]:
    """Everything, and whether its doubt lets it be trusted."""
    moment, edge, patience = (max(1, round(t * rate)) for t in (MOMENT, EDGE, PATIENCE))
    before: deque[float] = deque(maxlen=moment)  # the doubts last trusted
    waiting: deque[Seen[Item]] = deque()  # trusted, unless the next is lost
    left = edge  # how many doubtful ones in a row are not to be trusted
    for seen in stream:
        if seen.scene_start:
            before.clear()
            left = edge
        if seen.scene_start or seen.doubt < DOUBTFUL:
            yield from ((other, True) for other in waiting)
            waiting.clear()
        if seen.doubt < DOUBTFUL:
            left = 0
        elif seen.doubt >= LOST:
            yield from ((other, False) for other in waiting)
            waiting.clear()
            left = patience
        elif not left and before and seen.doubt >= SUDDEN * min(before):
            yield from ((other, True) for other in waiting)
            waiting.clear()
            left = patience
        if seen.doubt >= LOST or left:
            yield seen, False
            left = max(0, left - (seen.doubt < LOST))
            if not left:  # nothing is sudden after so long a doubt
                before.clear()
            continue
        before.append(seen.doubt)
        if seen.doubt < DOUBTFUL:
            yield seen, True
            continue
        waiting.append(seen)
        if len(waiting) > edge:
            yield waiting.popleft(), True
    yield from ((other, True) for other in waiting)


def mended(poses: Iterable[tuple[Pose | None, bool]], longest: int) -> Iterator[Pose | None]:
    """Poses, with good ones in place of those that can't be trusted; a missing one stays None.

    Between two good poses of a scene at most `longest` are bridged. Before the first of a scene it
    is used backwards, otherwise the one before is held. Nothing comes out but None where no pose
    can be trusted. At most `longest` poses wait.
    """
    last: Pose | None = None
    ahead = 0  # poses before the first good one
    gap: list[Pose] = []
    holding = cut = False  # the gap is too long to bridge; a scene has begun in what was given
    for pose, sure in poses:
        if pose is not None and sure:
            good = replace(pose, scene_start=True) if cut else pose
            if last is None:
                yield good
                yield from repeat(replace(good, scene_start=False), ahead)
            else:
                yield from _bridged(last, gap, good)
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
            yield from (_held(last, other) for other in late)
            if pose is None:
                yield None
            gap, holding = [], True
    if last is not None:
        yield from (_held(last, other) for other in gap)


def _held(good: Pose, pose: Pose) -> Pose:
    """A good pose in another's place."""
    return replace(good, scene_start=False, crop=pose.crop)


def _bridged(before: Pose, gap: list[Pose], after: Pose) -> Iterator[Pose]:
    """What comes in the place of a gap: half-way poses, or those of the scene that each is in."""
    starts = [index for index, pose in enumerate(gap) if pose.scene_start]
    if starts or after.scene_start:
        start = starts[-1] if starts else len(gap)
        yield from (_held(before, pose) for pose in gap[:start])
        scene = [_held(after, pose) for pose in gap[start:]]
        yield from (replace(pose, scene_start=not index) for index, pose in enumerate(scene))
        return
    for index, pose in enumerate(gap, 1):
        motion = before.motion.toward(after.motion, index / (len(gap) + 1))
        yield replace(_held(before, pose), motion=motion)


def trusted(found: Iterable[Pose | None], edge: int) -> Iterator[Pose | None]:
    """Poses, without the `edge` before and after `edge` or more that are missing (None).

    There the face is half covered, and a pose to be held would be none of a face. After a cut, and
    where no pose has been given yet, they stay.
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
