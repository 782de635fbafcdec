"""Where scenes of a clip begin: at cuts, and where one has passed into another."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from animate.faces.detect import Face
from animate.faces.thumbs import (
    CUT,
    SAME,
    colours_apart,
    differ,
    head_of,
    inside,
    last_pure,
    likeness,
    mixtures,
    resemblance,
    thumb_of,
)

FADES = (Fraction(3, 10), Fraction(1, 2), Fraction(4, 5))  # seconds of fades that are looked for
LONGEST = Fraction(6, 5)  # seconds of a transition, with what it takes to see that it has ended
HEADS = 0.75  # how alike the heads of two people hardly are
FACE = 0.08  # of full white: nearly all pairs of people differ by more
MOMENT = Fraction(3, 25)  # seconds
CALM = 0.1  # of what a transition has changed: none changes less in a moment
RISING = 0.2  # of a picture's contrast: one that changes more in a moment comes out of black
AT_ONCE = 0.4  # of a scene's change: more than that is left after a cut within a transition
PERSON = 0.6  # likeness that a person keeps; see `_another_person`
TURN = 1  # how much of it a turn of the head to the side costs, by itself
COLOURS = 4  # how much of that likeness a full change of colours costs
LAYER = 0.05  # of full white: another picture laid over this one changes more in a frame
BACK = 0.35  # of that change: so much the picture may have moved meanwhile
OVERLAID = 0.82  # likeness of the edges: so laid over they are less alike, in a flash more


class Passing(Protocol):
    """What of a clip's frame may end a transition."""

    @property
    def passage(self) -> int:
        """How many frames before it belong to a transition that ends with it; 0 without one."""
        ...


Item = TypeVar("Item", bound=Passing)


def in_passages(frames: Iterable[Item], rate: Fraction) -> Iterator[tuple[Item, bool]]:
    """The frames, `rate` a second, and whether each belongs to a transition, in which no scene
    starts; at most LONGEST late."""
    waiting: deque[tuple[Item, bool]] = deque()
    for frame in frames:
        for index in range(max(0, len(waiting) - frame.passage), len(waiting)):
            waiting[index] = waiting[index][0], True
        waiting.append((frame, False))
        if len(waiting) > LONGEST * rate:
            yield waiting.popleft()
    yield from waiting


class Passage(NamedTuple):
    """A transition that has ended."""

    frames: int  # how many there were; 0: there was none
    another: bool  # whether another scene has begun, or the one from before goes on


NONE = Passage(0, False)


class Moment(NamedTuple):
    """A frame as a thumb, and its face as two, where it shows a face."""

    picture: np.ndarray  # (16, 16, 3)
    face: np.ndarray | None  # (16, 16, 3): its rectangle
    head: np.ndarray | None  # (24, 24): upright
    steady: float = 1.0  # how alike the head is to that of a moment before
    turn: float = 0.0  # `Face.turn`


class Scenes:
    """The scenes of a clip, `rate` frames a second, one frame at a time: for each `cut`, `passed`.

    One scene passes into another by a fade, a wipe, a slide or anything else: both are calm,
    the picture is another, and so is the person. Where people move too much to tell, a transition
    is over a moment after the last mixture of the two or the last of several cuts. Pans, zooms and
    people who walk by keep the person.
    """

    def __init__(self, rate: Fraction) -> None:
        self.spans = [span for span in (round(fade * rate) for fade in FADES) if span >= 3]
        self.moment = max(1, round(MOMENT * rate))
        self.now = np.zeros((16, 16, 3), int)
        self.last: np.ndarray | None = None  # of the last frame with a face
        self.most = max(1, int(LONGEST * rate))
        self.recent: deque[Moment] = deque(maxlen=self.most + self.moment)
        self.is_cut = False
        self._forget()

    def _forget(self) -> None:
        self.recent.clear()
        self.first: Moment | None = None  # from before a transition, which has not ended yet
        self.since = 0  # frames since the last mixture or cut
        self.cuts: list[np.ndarray] = []  # the pictures that cuts of the transition began with
        self.lasted = 0  # frames since the first of them

    def cut(self, frame: np.ndarray) -> bool:
        """Whether a frame shows another scene than the last one with a face did."""
        self.now = thumb_of(frame)
        self.is_cut = self.last is not None and differ(self.last, self.now)
        return self.is_cut

    def passed(self, frame: np.ndarray, face: Face | None) -> Passage:
        """The transition that ends with that frame and its face; NONE where none does."""
        if face is None:
            return self._next(Moment(self.now, None, None))
        head = head_of(frame, face)
        heads = [moment.head for moment in self.recent if moment.head is not None]
        steady = resemblance(heads[-self.moment], head) if len(heads) >= self.moment else 1.0
        return self._next(Moment(self.now, thumb_of(inside(frame, face)), head, steady, face.turn))

    def _next(self, now: Moment) -> Passage:
        self._watch(now)
        found = NONE
        if now.face is not None:
            self.last = now.picture
            over = self._is_over()
            if over:
                found = self._over(now)
            elif not self.cuts:
                found = self._replaced(now)
            if not found.frames:
                found = self._returned(now)
            if over or found.frames:
                self._forget()
        self.recent.append(now)
        return found

    def _watch(self, now: Moment) -> None:
        """Notes whether a transition begins or goes on."""
        self.since += 1
        self.lasted += bool(self.cuts)
        if self.lasted > self.most:  # a strobe of scenes, each of its own
            self._forget()
        first = None
        if self.is_cut and now.face is not None and self.last is not None:
            first = next(
                (moment for moment in reversed(self.recent) if moment.face is not None), now
            )
            self.cuts.append(now.picture)
        elif not self.cuts:
            first = self._mixed_with()
        if first:
            self.since = 0
            self.first = self.first or first

    def _mixed_with(self) -> Moment | None:
        """The frame, with a face, of which and of the last one those between are mixtures."""
        for span in self.spans:
            if span > len(self.recent):
                break
            first = self.recent[-span]
            if first.face is not None and differ(first.picture, self.now):
                between = [moment.picture for moment in list(self.recent)[1 - span :]]
                if mixtures(first.picture, self.now, between):
                    return first
        return None

    def _is_over(self) -> bool:
        """Whether a transition has ended, of which mixtures or cuts were seen."""
        if self.first is None or len(self.recent) < self.moment:
            return False
        if self.since > (self.moment if len(self.cuts) > 1 else 3 * self.moment // 2):
            return len(self.cuts) != 1 or self._at_once()
        if self.cuts and self.since < self.moment:
            return False
        moved = _change(self.now, self.recent[-self.moment].picture)
        return moved < CALM * _change(self.now, self.first.picture)

    def _at_once(self) -> bool:
        """Whether the first cut was to the picture of now, or nearly so."""
        assert self.first is not None
        left = _change(self.cuts[0], self.now)
        return left < AT_ONCE * _change(self.first.picture, self.now)

    def _over(self, now: Moment) -> Passage:
        """The transition that mixtures or cuts were parts of; a single cut is none."""
        assert self.first is not None
        if len(self.cuts) == 1 and self._at_once():
            return NONE
        found = self._replaced(now)
        if found.frames or len(self.cuts) == 1:
            return found
        if self.cuts:
            return Passage(self.lasted, differ(self.first.picture, now.picture))
        if not _another_face(self.first, now):
            return NONE
        start = next(self._calm_before(now, 0.0), None)
        if start is None:
            start = last_pure([moment.picture for moment in self.recent], now.picture)
        return Passage(len(self.recent) - 1 - start, True)

    def _replaced(self, now: Moment) -> Passage:
        """The transition from the latest calm moment of another scene, with another person, to a
        calm one now."""
        if len(self.recent) < self.moment:
            return NONE
        moved = _change(self.recent[-self.moment].picture, now.picture)
        if moved > RISING * _change(now.picture, now.picture.mean((0, 1))):
            return NONE
        for index in self._calm_before(now, moved / CALM):
            if _another_person([*list(self.recent)[index:], now]):
                return Passage(len(self.recent) - 1 - index, True)
        return NONE

    def _calm_before(self, now: Moment, least: float) -> Iterator[int]:
        """Which recent moments were calm and of another scene than now, the latest first; their
        pictures differ from now's by `least`."""
        recent = list(self.recent)
        pictures = np.stack([moment.picture for moment in recent])
        change = np.abs(pictures - now.picture).mean((1, 2, 3)) / 255
        first = self.moment if len(recent) == self.recent.maxlen else 0
        for index in range(len(recent) - self.moment, first - 1, -1):
            if recent[index].face is None or change[index] < max(least, CUT / 4):
                continue
            moved = _change(pictures[index], pictures[max(0, index - self.moment)])
            if moved <= CALM * change[index] and differ(pictures[index], now.picture):
                yield index

    def _returned(self, now: Moment) -> Passage:
        """The time in which another picture was laid over this one: it came and went at once."""
        recent = list(self.recent)[-self.most :]
        if not recent or not _overlaid(recent[-1], now):
            return NONE
        went = _change(recent[-1].picture, now.picture)
        for index in range(len(recent) - 2, -1, -1):
            if _change(recent[index].picture, now.picture) < BACK * went and _overlaid(
                recent[index], recent[index + 1]
            ):
                return Passage(len(recent) - 1 - index, False)
        return NONE


def _change(one: np.ndarray, other: np.ndarray) -> float:
    """How much one thumb differs from another, of full white."""
    return float(np.abs(one - other).mean() / 255)


def _another_face(one: Moment, other: Moment) -> bool:
    """Whether a face is another than the one before a fade, or in another place."""
    if one.face is None or other.face is None or one.head is None or other.head is None:
        return False
    if resemblance(one.head, other.head) > HEADS:
        return False
    return _change(one.face, other.face) > FACE and likeness(one.face, other.face) < SAME


def _another_person(moments: list[Moment]) -> bool:
    """Whether the last moment shows another person than the first.

    Heads that turn or talk become unlike, too, but little from moment to moment, and the colours
    of the picture stay.
    """
    one, other = moments[0], moments[-1]
    if one.head is None or other.head is None:
        return False
    alike = resemblance(one.head, other.head) + min(moment.steady for moment in moments[1:])
    alike += TURN * abs(one.turn - other.turn)
    return alike < PERSON + COLOURS * colours_apart(one.picture, other.picture)


def _overlaid(one: Moment, next_one: Moment) -> bool:
    """Whether another picture is laid over one of two frames that follow each other."""
    if one.face is None or next_one.face is None:
        return False
    change = _change(one.picture, next_one.picture)
    return change > LAYER and likeness(one.picture, next_one.picture) < OVERLAID
