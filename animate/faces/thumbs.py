"""Thumbs of pictures and of faces, and how alike they are."""

from __future__ import annotations

import numpy as np

from animate.faces.detect import Face

CUT = 0.16  # of full white: a change of the picture that is no movement
SAME = 0.7  # how alike the edges of a scene stay in another light; those of two hardly pass 0.6
DIM = 16  # grey levels by which the noise of the dark is no edge
PURE = 0.1  # share of another scene that does no harm to a face
MIXED = 0.88  # of a picture's edges that two others explain, squared: in fades 0.9 and more
FAINT = 0.2  # of another's edges: a picture with less is nearly black, white or out of focus
HEAD = 24  # pixels: side of the thumb of an upright head
MARKS = HEAD * np.array(  # the places of a face's marks in that thumb
    [0.342 + 0.462j, 0.656 + 0.46j, 0.5 + 0.641j, 0.371 + 0.825j, 0.632 + 0.823j]
)


def thumb_of(picture: np.ndarray) -> np.ndarray:
    """(16, 16, 3) means of a picture, for telling scenes apart."""
    import cv2

    rows, columns = (max(1, side // 128) for side in picture.shape[:2])
    small = cv2.resize(picture[::rows, ::columns], (16, 16), interpolation=cv2.INTER_AREA)
    return small.astype(int)


def upright(face: Face) -> tuple[complex, complex]:
    """What a face's marks, as complex numbers, are multiplied by and then shifted by, to come as
    near to MARKS as they can."""
    marks = face.marks @ np.array([1, 1j])
    away, place = marks - marks.mean(), MARKS - MARKS.mean()
    turn = complex(np.vdot(away, place)) / max(float(np.vdot(away, away).real), 1e-6)
    return turn, MARKS.mean() - turn * marks.mean()


def marks_of(face: Face) -> np.ndarray:
    """(5,) the marks of a face in the thumb of its head, in its sides: they show turn and mouth."""
    turn, shift = upright(face)
    return (turn * (face.marks @ np.array([1, 1j])) + shift) / HEAD


def head_of(frame: np.ndarray, face: Face) -> np.ndarray:
    """(24, 24, 3) a head, upright and as large as any other, for telling people apart."""
    import cv2

    turn, shift = upright(face)
    fine = 3 * np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    head = cv2.warpAffine(frame, fine, (3 * HEAD, 3 * HEAD), borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(head, (HEAD, HEAD), interpolation=cv2.INTER_AREA).astype(int)


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
    return max(
        _cosine(_edges(np.log(light + DIM)), _edges(np.log(others + DIM))),
        _cosine(_edges(light), _edges(others)),
    )


def colours_apart(one: np.ndarray, other: np.ndarray) -> float:
    """How far apart the colours of two thumbs are, of full white, wherever in them they are."""
    ranks = [np.sort(thumb.reshape(-1, 3), axis=0) for thumb in (one, other)]
    return float(np.abs(ranks[0] - ranks[1]).mean() / 255)


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    """The cosine of the angle between two vectors; 0 where one has no length."""
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths else 0.0


def mixtures(one: np.ndarray, other: np.ndarray, between: list[np.ndarray]) -> bool:
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


def last_pure(thumbs: list[np.ndarray], last: np.ndarray) -> int:
    """Which of the thumbs is the latest that shows the scene of the first alone and none of the
    `last` one's; -1 where none does."""
    seen, (old, new) = _shares(_all_edges([thumbs[0], last]), thumbs)
    strong = np.linalg.norm(seen, axis=0) / np.linalg.norm(seen[:, 0])  # though people move
    pure = np.flatnonzero((np.maximum(old, strong) > 1 - PURE) & (new < PURE))
    return int(max(pure, default=-1))


def _shares(ends: np.ndarray, thumbs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The edges of thumbs (480, T), and the shares of two `ends` (480, 2) in them (2, T)."""
    seen = _all_edges(thumbs)
    return seen, np.linalg.lstsq(ends, seen, rcond=None)[0].clip(0, 1)


def _all_edges(thumbs: list[np.ndarray]) -> np.ndarray:
    return np.stack([_edges(thumb.mean(-1)) for thumb in thumbs], 1)  # (480, T)


def _edges(light: np.ndarray) -> np.ndarray:
    """How light (16, 16) changes down and across: (480,)."""
    return np.concatenate([np.diff(light, axis=axis).ravel() for axis in (0, 1)])
