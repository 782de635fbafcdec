"""Where scenes of a clip begin: at cuts, and where one has faded into another."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from animate.faces.detect import Face

CUT = 0.16  # of full white: a change of the picture that is no movement
SAME = 0.7  # how alike the edges of a scene stay in another light; those of two hardly pass 0.6
DIM = 16  # grey levels by which the noise of the dark is no edge
FADES = (Fraction(3, 10), Fraction(1, 2), Fraction(4, 5))  # seconds of fades that are looked for
LONGEST = Fraction(6, 5)  # seconds of a fade, with what it takes to see that it has ended
PURE = 0.1  # share of another scene that does no harm to a face
MIXED = 0.88  # of a picture's edges that two others explain, squared: in fades 0.9 and more
FACE = 0.08  # of full white: nearly all pairs of people differ by more
MOMENT = Fraction(3, 25)  # seconds
CALM = 0.1  # of what a fade has changed: no fade changes less in a moment
FAINT = 0.2  # of another's edges: a picture with less is nearly black, white or out of focus


class Begun(Protocol):
    """What `mixed` needs of a frame."""

    @property
    def fade(self) -> int:
        """The number of earlier frames in a fade that ends with this frame; 0 without a fade."""
        ...


Item = TypeVar("Item", bound=Begun)


def mixed(frames: Iterable[Item], rate: Fraction) -> Iterator[tuple[Item, bool]]:
    """The frames, `rate` a second, and whether each belongs to a fade; at most LONGEST late."""
    waiting: deque[tuple[Item, bool]] = deque()
    for frame in frames:
        for index in range(max(0, len(waiting) - frame.fade), len(waiting)):
            waiting[index] = waiting[index][0], True
        waiting.append((frame, False))
        if len(waiting) > LONGEST * rate:
            yield waiting.popleft()
    yield from waiting


class Moment(NamedTuple):
    """The thumbnails of a frame and of its face, if it shows one."""

    picture: np.ndarray  # (16, 16, 3)
    face: np.ndarray | None


class Scenes:
    """The scenes of a clip, `rate` frames a second, one frame at a time: for each `cut`, `faded`.

    A fade ends where the picture has become calm, or a moment after it was last a mixture: then
    people move too much to tell. Slow pans over soft grounds are mixtures, too; their face stays.
    """

    def __init__(self, rate: Fraction) -> None:
        self.spans = [span for span in (round(fade * rate) for fade in FADES) if span >= 3]
        self.moment = max(1, round(MOMENT * rate))
        self.now = np.zeros((16, 16, 3), int)
        self.last: np.ndarray | None = None  # of the last frame with a face
        self.recent: deque[Moment] = deque(maxlen=max(1, int(LONGEST * rate)))
        self.is_cut = False
        self.first: Moment | None = None  # from before a fade, which has not ended yet
        self.since = 0  # frames since the last mixture

    def cut(self, frame: np.ndarray) -> bool:
        """Whether a frame shows another scene than the last one with a face did."""
        self.now = thumb_of(frame)
        self.is_cut = self.last is not None and differ(self.last, self.now)
        return self.is_cut

    def faded(self, frame: np.ndarray, face: Face | None) -> int:
        """The length, in frames, of a fade from another scene that ends with this frame and its
        face; 0 without one."""
        now = Moment(self.now, None if face is None else thumb_of(_inside(frame, face)))
        first = self._mixed_with()
        self.since = 0 if first else self.since + 1
        self.first = self.first or first
        lasted = 0
        if now.face is not None:
            self.last = now.picture
            over = self.first is not None and (self.since > self.moment or self._calm())
            if over and not self.is_cut and self._another(now.face):
                lasted = self._lasted()
            if over or self.is_cut:
                self._forget()
        self.recent.append(now)
        return lasted

    def _forget(self) -> None:
        self.recent.clear()
        self.first, self.since = None, 0

    def _mixed_with(self) -> Moment | None:
        """The earlier frame with a face from which a fade leads to the last frame: those between
        are mixtures of the two; None without such a frame."""
        for span in self.spans:
            if span > len(self.recent):
                break
            first = self.recent[-span]
            if first.face is not None and differ(first.picture, self.now):
                between = [moment.picture for moment in list(self.recent)[1 - span :]]
                if _mixtures(first.picture, self.now, between):
                    return first
        return None

    def _lasted(self) -> int:
        """The number of frames since the last one that shows the old scene alone."""
        pictures = [moment.picture for moment in self.recent]
        seen, (old, new) = _shares(_all_edges([pictures[0], self.now]), pictures)
        strong = np.linalg.norm(seen, axis=0) / np.linalg.norm(seen[:, 0])  # though people move
        pure = np.flatnonzero((np.maximum(old, strong) > 1 - PURE) & (new < PURE))
        return len(pictures) - 1 - int(max(pure, default=-1))

    def _calm(self) -> bool:
        if self.first is None or len(self.recent) < self.moment:
            return False
        moved = np.abs(self.now - self.recent[-self.moment].picture).mean()
        return bool(moved < CALM * np.abs(self.now - self.first.picture).mean())

    def _another(self, face: np.ndarray) -> bool:
        """Whether a face differs from the one before the fade, or is in another place."""
        if self.first is None or self.first.face is None:
            return False
        changed = np.abs(face - self.first.face).mean() / 255
        return bool(changed > FACE and likeness(face, self.first.face) < SAME)


def _inside(frame: np.ndarray, face: Face) -> np.ndarray:
    """The part of a frame in a face's rectangle, at least one pixel."""
    sides, starts = (face.height, face.width), (face.top, face.left)
    spans = [
        slice(low := min(max(0, int(start)), most - 1), max(low + 1, int(start + side)))
        for start, side, most in zip(starts, sides, frame.shape, strict=False)
    ]
    return frame[spans[0], spans[1]]


def thumb_of(picture: np.ndarray) -> np.ndarray:
    """(16, 16, 3) means of a picture, for telling scenes apart."""
    import cv2

    rows, columns = (max(1, side // 128) for side in picture.shape[:2])
    small = cv2.resize(picture[::rows, ::columns], (16, 16), interpolation=cv2.INTER_AREA)
    return small.astype(int)


def differ(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two thumbs are of different scenes: most of the picture has changed, by much, and the
    light rises and falls elsewhere. A flash, lamps and a camera's exposure move no edges."""
    change = np.abs(one - other).mean(-1) / 255
    if change.mean() <= CUT and np.median(change) <= CUT / 2:
        return False
    return likeness(one, other) < SAME


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Likeness of the edges of two thumbs, at most 1: the larger of two cosines.

    Edges of the logarithm don't change with exposure; edges of the levels don't change with haze.
    """
    light, others = one.mean(-1), other.mean(-1)
    return max(_alike(np.log(light + DIM), np.log(others + DIM)), _alike(light, others))


def _alike(one: np.ndarray, other: np.ndarray) -> float:
    """The cosine of the angle between the edges of two pictures; 0 where one has none."""
    edges, others = _edges(one), _edges(other)
    lengths = float(np.linalg.norm(edges) * np.linalg.norm(others))
    return float(edges @ others) / lengths if lengths else 0.0


def _mixtures(one: np.ndarray, other: np.ndarray, between: list[np.ndarray]) -> bool:
    """Whether each thumb between is one plus the other, both weakened, plus a plain grey: so are
    those of fades, also through black and white; those of cuts and of what moves are not.

    Where one of the two is nearly plain itself, a scene comes up or goes out, and nothing is told.
    """
    ends = _all_edges([one, other])
    lengths = np.linalg.norm(ends, axis=0)
    if lengths.min() <= FAINT * lengths.max():
        return False
    seen, shares = _shares(ends, between)
    rest = np.linalg.norm(seen - ends @ shares, axis=0)
    whole = np.maximum(np.linalg.norm(seen, axis=0), FAINT * lengths.max())
    return bool(((rest / whole) ** 2 < 1 - MIXED).all())


def _shares(ends: np.ndarray, thumbs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The edges of thumbs (480, T), and the shares of two `ends` (480, 2) in them (2, T)."""
    seen = _all_edges(thumbs)
    return seen, np.linalg.lstsq(ends, seen, rcond=None)[0].clip(0, 1)


def _all_edges(thumbs: list[np.ndarray]) -> np.ndarray:
    return np.stack([_edges(thumb.mean(-1)) for thumb in thumbs], 1)  # (480, T)


def _edges(light: np.ndarray) -> np.ndarray:
    """How light (16, 16) changes down and across: (480,)."""
    return np.concatenate([np.diff(light, axis=axis).ravel() for axis in (0, 1)])
