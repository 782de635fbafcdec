"""Cut a tracked video into training clips: one face in a fixed square; say which to drop."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from animate.faces import Box, TrackedFrame
from animate.faces.scenes import in_passages
from animate.options import Wanted

LOST = Fraction(1, 5)  # seconds without the face, after which a clip ends


@dataclass
class Piece:
    """Frames `start` to `end` (excluded) of a video, and the square to cut from them."""

    start: int
    end: int
    box: Box
    partition: str | None = None  # as a metadata list says
    name: str | None = None  # as a metadata list says


@dataclass
class _Run:
    """Consecutive frames in which the face stays within one square."""

    start: int
    squares: list[Box] = field(default_factory=list)  # of the faces
    end: int = 0  # after the last frame with a face
    lost: int = 0  # frames without a face since


def pieces(
    tracked_frames: Iterable[TrackedFrame], rate: Fraction, wanted: Wanted
) -> Iterator[Piece]:
    """Cut a tracked face into clips: at scene cuts, where the face is lost or would leave a fixed
    square, and after the longest time. Transitions belong to no clip."""
    run: _Run | None = None
    bare = (tracked.without_frame() for tracked in tracked_frames)
    for t, (tracked, is_passing) in enumerate(in_passages(bare, rate)):
        is_over = is_passing or tracked.scene_start
        if run and (is_over or run.lost > LOST * rate or t - run.start >= wanted.longest * rate):
            yield _piece(run, wanted)
            run = None
        if is_passing or not tracked.found or tracked.face is None:
            if run:
                run.lost += 1
            continue
        square = tracked.face.square()
        if run and _wanders([*run.squares, square], wanted.wander):
            yield _piece(run, wanted)
            run = None
        run = run or _Run(t)
        run.squares.append(square)
        run.end, run.lost = t + 1, 0
    if run:
        yield _piece(run, wanted)


def _around(squares: Sequence[Box]) -> Box:
    """The smallest square around all squares."""
    left, top = min(s.left for s in squares), min(s.top for s in squares)
    right, bottom = max(s.left + s.side for s in squares), max(s.top + s.side for s in squares)
    side = max(right - left, bottom - top)
    return Box((left + right - side) / 2, (top + bottom - side) / 2, side)


def _wanders(squares: Sequence[Box], most: float) -> bool:
    return _around(squares).side > most * float(np.median([s.side for s in squares]))


def _piece(run: _Run, wanted: Wanted) -> Piece:
    box = _around(run.squares)
    more = (wanted.margin - 1) * box.side
    square = Box(box.left - more / 2, box.top - more / 2, box.side + more)
    return Piece(run.start, run.end, square)


def clamp_square(box: Box, width: int, height: int) -> Box:
    """Move a square into the picture: it shrinks by at most a fifth, then moves by at most an
    eighth of its side."""
    side = max(min(box.side, width, height), 0.8 * box.side)

    def edge(start: float, length: int) -> float:
        middle = start + (box.side - side) / 2
        inside = min(max(middle, 0.0), max(length - side, 0.0))
        return middle + min(max(inside - middle, -side / 8), side / 8)

    return Box(edge(box.left, width), edge(box.top, height), side)


def geometry_problem(
    piece: Piece, width: int, height: int, rate: Fraction, wanted: Wanted
) -> str | None:
    """Why a piece is dropped for its length or square; None if it isn't."""
    if piece.end - piece.start < max(2, wanted.shortest * rate):
        return "short"
    box = piece.box
    if box.side < wanted.smallest * wanted.size:
        return "tiny"
    seen_x = min(box.left + box.side, width) - max(box.left, 0)
    seen_y = min(box.top + box.side, height) - max(box.top, 0)
    if max(seen_x, 0) * max(seen_y, 0) < (1 - wanted.outside) * box.side**2:
        return "at the edge"
    return None


def quality_problem(frames: np.ndarray, rate: Fraction, wanted: Wanted) -> str | None:
    """Why cut frames (T, S, S, 3) uint8 are dropped: blurred or still; None if they aren't."""
    import cv2

    step = max(1, round(rate / 2))
    grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in frames[::step]]
    if np.median([cv2.Laplacian(g, cv2.CV_64F).var() for g in grey]) < wanted.sharpness:
        return "blurred"
    if len(grey) < 2:  # a clip of half a second or less
        grey.append(cv2.cvtColor(frames[-1], cv2.COLOR_RGB2GRAY))
    change = [np.abs(a.astype(int) - b).mean() for a, b in itertools.pairwise(grey)]
    return "still" if np.mean(change) < wanted.motion else None


def fingerprint(frames: np.ndarray) -> str:
    """Difference hashes of the first, middle and last frame, 64 bits each, in hex; alike for copies
    of a clip in other sizes and codecs (Krawetz 2013, "Kind of like that")."""
    import cv2

    digits = ""
    for t in (0, len(frames) // 2, -1):
        grey = cv2.resize(cv2.cvtColor(frames[t], cv2.COLOR_RGB2GRAY), (9, 8), interpolation=3)
        digits += np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes().hex()
    return digits


def alike(one: str, other: str, bits: int = 12) -> bool:
    """Whether two fingerprints differ in at most `bits` of their 192 bits."""
    return (int(one, 16) ^ int(other, 16)).bit_count() <= bits
