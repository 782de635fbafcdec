"""Where scenes of a clip begin: at cuts, and where one has passed into another."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from animate.faces.detect import Face
from animate.faces.thumbs import (
    CUT,
    SAME,
    colours_apart,
    differ,
    head_of,
    last_pure,
    likeness,
    marks_of,
    mixtures,
    thumb_of,
)

FADES = (Fraction(3, 10), Fraction(1, 2), Fraction(4, 5))  # seconds of fades that are looked for
LONGEST = Fraction(6, 5)  # seconds of a transition, with what it takes to see that it has ended
MOMENT = Fraction(3, 25)  # seconds
CALM = 0.1  # of what a transition has changed: none changes less in a moment
RISING = 0.2  # of a picture's contrast: one that changes more in a moment comes out of black
AT_ONCE = 0.4  # of a scene's change: more than that is left after a cut within a transition
SUDDEN = 5  # times the change of any frame before: the picture changes as much in a cut
COLOURS = 0.032  # of full white: so far apart are the colours of two people and of their pictures,
PERSON = 0.05  # and so far without a cut or mixtures, where a head may have turned instead,
TURN = 1.2  # which moves its marks, in sides of its thumb, and shows other colours
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
    """A frame as a thumb, and its head as another with its marks, where it shows a face."""

    picture: np.ndarray  # (16, 16, 3)
    head: np.ndarray | None = None  # (24, 24, 3): upright
    marks: np.ndarray | None = None  # (5,)


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
            return self._next(Moment(self.now))
        return self._next(Moment(self.now, head_of(frame, face), marks_of(face)))

    def _next(self, now: Moment) -> Passage:
        sudden = not self.is_cut and self._sudden(now)
        self._watch(now, self.is_cut or sudden)
        found = NONE
        if now.head is not None:
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
        return Passage(0, True) if sudden and not found.frames else found

    def _sudden(self, now: Moment) -> bool:
        """Whether a cut leads from one person to another before a similar ground: the picture
        changes by far more than it did before."""
        if len(self.recent) <= self.moment:
            return False
        if not _unlike(last := self.recent[-1], now) or _colours_apart(last, now) < COLOURS:
            return False
        pictures = np.stack([moment.picture for moment in [*self.recent, now]])
        *before, change = np.abs(np.diff(pictures, axis=0)).mean((1, 2, 3))
        return bool(change > SUDDEN * max(before))

    def _watch(self, now: Moment, is_cut: bool) -> None:
        """Notes whether a transition begins or goes on."""
        self.since += 1
        self.lasted += bool(self.cuts)
        if self.lasted > self.most:  # a strobe of scenes, each of its own
            self._forget()
        first = None
        if is_cut and now.head is not None and self.last is not None:
            first = next(
                (moment for moment in reversed(self.recent) if moment.head is not None), now
            )
            self.cuts.append(now.picture)
        elif not self.cuts:
            first = self._mixed_with(now)
        if first:
            self.since = 0
            self.first = self.first or first

    def _mixed_with(self, now: Moment) -> Moment | None:
        """The frame, with a face, of which and of the last one those between are mixtures."""
        for span in self.spans:
            if span > len(self.recent):
                break
            first = self.recent[-span]
            if first.head is not None and differ(first.picture, now.picture):
                between = [moment.picture for moment in list(self.recent)[1 - span :]]
                if mixtures(first.picture, now.picture, between):
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
        if not _another_person(self.first, now) or _lamp([*self.recent, now]):
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
            since = [*list(self.recent)[index:], now]
            if (_another_person(since[0], now) or _are_mixtures(since)) and not _lamp(since):
                return Passage(len(self.recent) - 1 - index, True)
        return NONE

    def _calm_before(self, now: Moment, least: float) -> Iterator[int]:
        """Which recent moments were calm and of another scene than now, the latest first; their
        pictures differ from now's by `least`."""
        recent = list(self.recent)
        pictures = np.stack([moment.picture for moment in recent])
        change = np.abs(pictures - now.picture).mean((1, 2, 3)) / 255
        first = self.moment if len(recent) == self.recent.maxlen else 1
        for index in range(len(recent) - self.moment, first - 1, -1):
            if recent[index].head is None or change[index] < least:
                continue
            since = min(index, self.moment)
            moved = _change(pictures[index], pictures[index - since]) * self.moment / since
            if moved <= CALM * change[index] and _unlike(recent[index], now):
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


def _unlike(one: Moment, other: Moment) -> bool:
    """Whether the pictures of two moments are of different scenes, whatever most of their ground
    is: some of it has changed, and the light rises and falls elsewhere."""
    if _change(one.picture, other.picture) < CUT / 4:
        return False
    return likeness(one.picture, other.picture) < SAME


def _colours_apart(one: Moment, other: Moment) -> float:
    """How far apart the colours of two heads and of their pictures are; 0 without a head."""
    if one.head is None or other.head is None:
        return 0.0
    pictures, heads = colours_apart(one.picture, other.picture), colours_apart(one.head, other.head)
    return math.sqrt(pictures * heads)


def _another_person(one: Moment, other: Moment) -> bool:
    """Whether a moment shows another person than one before, though a head may turn between."""
    if one.marks is None or other.marks is None:
        return False
    turned = float(np.abs(one.marks - other.marks).mean())
    return _colours_apart(one, other) - TURN * turned > PERSON


def _are_mixtures(moments: list[Moment]) -> bool:
    """Whether moments between two people are mixtures of their pictures."""
    if _colours_apart(moments[0], moments[-1]) < COLOURS:
        return False
    one, *between, other = [moment.picture for moment in moments]
    return bool(between) and mixtures(one, other, between)


def _lamp(moments: list[Moment]) -> bool:
    """Whether most of a change of colours came at once, and the edges stayed."""
    first, *_, last = pictures = [moment.picture for moment in moments]
    before, after = max(pairwise(pictures), key=lambda pair: colours_apart(*pair))
    left = colours_apart(first, before) + colours_apart(after, last)
    return left < AT_ONCE * colours_apart(first, last) and likeness(before, after) >= SAME


def _overlaid(one: Moment, next_one: Moment) -> bool:
    """Whether another picture is laid over one of two frames that follow each other."""
    if one.head is None or next_one.head is None:
        return False
    change = _change(one.picture, next_one.picture)
    return change > LAYER and likeness(one.picture, next_one.picture) < OVERLAID
