"""Find clips that are interlaced and don't say so: their frames look like combs where they move."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np

LOOKED = 100  # frames at most in which combs are sought
SURE, OTHERS = 12, 2  # frames of one kind that decide, among at most so many of other kinds
WIDE, HIGH = 512, 1024  # pixels in the middle of a frame that are compared
# Ratios of differences between lines from which on a frame counts as combed or as whole: ffmpeg's
# idet, intl_thres and prog_thres.
COMBED, WHOLE = 1.04, 1.5


def unsaid_order(frames: Iterable[Any]) -> str | None:
    """The order of fields ("tff", "bff") of frames that are interlaced and don't say so, or None.

    Looks until so many of one kind are found that they decide; those that don't move have none.
    """
    from av.video.reformatter import VideoReformatter

    reformat = VideoReformatter().reformat  # one for all frames: making it takes the longest
    seen: Counter[str] = Counter()
    last: deque[np.ndarray] = deque(maxlen=3)
    for frame in islice(frames, LOOKED):
        if frame.interlaced_frame:
            return None
        middle = _middle(reformat(frame, format="gray").to_ndarray())
        if last and middle.shape != last[-1].shape:
            return None
        last.append(middle)
        if len(last) == 3 and (kind := _woven(*last)):
            seen[kind] += 1
            if seen[kind] == SURE:
                return kind if kind != "whole" and seen.total() <= SURE + OTHERS else None
    return None


def _middle(grey: np.ndarray) -> np.ndarray:
    """The middle of a grey frame (H, W), from an even line on: (h, w) int16."""
    top, left = max(0, grey.shape[0] - HIGH) // 4 * 2, max(0, grey.shape[1] - WIDE) // 2
    middle: np.ndarray = grey[top : top + HIGH, left : left + WIDE].astype(np.int16)
    return middle


def _woven(before: np.ndarray, frame: np.ndarray, after: np.ndarray) -> str | None:
    """The order of a frame's fields if they are of different times, "whole" if of one, or None.

    Between the lines of the second field, the first one of the frame after fits better than that of
    the frame before. Source: ffmpeg's filter idet.
    """

    def rough(lines: np.ndarray, parity: int) -> int:
        """How much every second line differs from the frame's lines above and below it."""
        at = slice(2 - parity, -1, 2)
        above, below = frame[1 - parity : -2 : 2], frame[3 - parity :: 2]
        return int(np.abs(2 * lines[at] - above - below).sum(dtype=np.int64))

    tff = rough(before, 0) + rough(after, 1)
    bff = rough(before, 1) + rough(after, 0)
    if tff > COMBED * bff:
        return "tff"
    if bff > COMBED * tff:
        return "bff"
    return "whole" if bff > WHOLE * (rough(frame, 0) + rough(frame, 1)) else None
