"""What a clip looks like in small: a re-encoded copy is known again, a foreign one is not.

A mark that was lifted off one file and laid over another still reads as the first one's. What tells
them apart is the picture: the claim that is signed holds a thumbnail every half second (every
second, two, four, ... of longer clips), and a file counts as that clip only if all its thumbnails
fit, in their order and at their times. Trimming, recompression, scaling, and changes of brightness
and contrast pass; quarter turns and mirroring pass where the mark says how to undo them. Crops,
other speeds, and other pictures do not, nor does anything that changes a sixth of the picture's
width for half a second. Smaller and shorter edits, and the sound, go unseen.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from animate.errors import AnimateError

SIDE = 24  # pixels of a thumbnail, each way
CELL = 4  # pixels of what is compared, each way: a sixth of the picture's width
STEP = 0.5  # seconds between thumbnails at first
KEPT = 64  # thumbnails at most; twice the step past that
SEEN = 4096  # thumbnails of a file under test
NEAR = 0.3  # how much a cell may differ, in standard deviations of the thumbnail
SLACK = 0.05  # seconds by which a thumbnail may be off


@dataclass(frozen=True)
class Fingerprint:
    """Thumbnails of a clip, luma, every `step` seconds; a still has one."""

    step: float
    thumbnails: np.ndarray  # (N, 24, 24) uint8

    def plain(self) -> dict[str, Any]:
        """As JSON has it; `of` reads it."""
        packed = base64.b64encode(zlib.compress(self.thumbnails.tobytes(), 9)).decode()
        return {"step": self.step, "side": SIDE, "thumbnails": packed}

    def set_upright(self, quarters: int, mirrored: bool) -> Fingerprint:
        """The same clip with its quarter turns clockwise, and then its mirroring, undone."""
        some = np.rot90(self.thumbnails, quarters, axes=(1, 2))
        return Fingerprint(self.step, some[:, :, ::-1] if mirrored else some)

    @classmethod
    def of(cls, value: Any) -> Fingerprint:
        """The inverse of `plain`; AnimateError for anything else."""
        try:
            unpack = zlib.decompressobj()
            data = base64.b64decode(value["thumbnails"], validate=True)
            raw = unpack.decompress(data, KEPT * SIDE * SIDE + 1)
            step, count = float(value["step"]), len(raw) // (SIDE * SIDE)
            whole = value["side"] == SIDE and 1 <= count <= KEPT and step > 0
        except (KeyError, TypeError, ValueError, binascii.Error, zlib.error) as error:
            raise AnimateError("the claim's thumbnails can't be read") from error
        if not whole or len(raw) != count * SIDE * SIDE:
            raise AnimateError("the claim's thumbnails are not whole")
        return cls(step, np.frombuffer(raw, np.uint8).reshape(count, SIDE, SIDE))


@dataclass
class Sampler:
    """Looks at frames as they pass: `for frame in sampler(frames)`. Constant memory."""

    rate: float  # frames a second
    most: int = KEPT
    every: int = field(init=False)  # frames
    kept: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.every = max(1, round(STEP * self.rate)) if self.most == KEPT else 1

    def __call__(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for index, frame in enumerate(frames):
            if index % self.every == 0:
                if len(self.kept) == self.most:
                    self.kept = self.kept[::2]
                    self.every *= 2
                if index % self.every == 0:
                    self.kept.append(thumbnail(frame))
            yield frame

    def result(self) -> Fingerprint:
        return Fingerprint(self.every / self.rate, np.stack(self.kept))


def file_sampler(rate: float) -> Sampler:
    """A sampler for a file under test: as many frames as it may remember."""
    return Sampler(rate, SEEN)


def thumbnail(frame: np.ndarray) -> np.ndarray:
    """(24, 24) uint8 luma (BT.601) of a frame (H, W, 3), each pixel the mean of its share."""
    from PIL import Image

    small = Image.fromarray(frame).reduce(
        (max(1, frame.shape[1] // (4 * SIDE)), max(1, frame.shape[0] // (4 * SIDE)))
    )
    return np.asarray(small.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))


def matches(claimed: Fingerprint, seen: Fingerprint, near: float = NEAR) -> bool:
    """Whether what was seen is the claimed clip, or a stretch of it with two thumbnails or more."""
    count, total = len(claimed.thumbnails), len(seen.thumbnails)
    fits = _distances(claimed.thumbnails, seen.thumbnails) <= near  # (N, M)
    slack = round(SLACK / seen.step) if total > 1 else 0
    if not fits.any():
        return False
    there = fits.copy()
    for by in range(1, slack + 1):
        there[:, by:] |= fits[:, :-by]
        there[:, :-by] |= fits[:, by:]
    wait = claimed.step / seen.step  # how many are seen from one claimed to the next
    due = np.arange(count) * wait
    for start in range(-int(due[-1]), total):
        place = np.rint(start + due).astype(int)
        inside = np.flatnonzero((place >= 0) & (place < total))
        if len(inside) < min(2, count) or not there[inside, place[inside]].all():
            continue
        before, after = place[inside[0]], total - 1 - place[inside[-1]]
        if max(before, after) <= wait + slack:  # no stretch without a thumbnail
            return True
    return False


def _distances(claimed: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(N, M) how far the worst cell of each pair is off, in standard deviations of the claimed.

    After the change of brightness and contrast that fits best.
    """
    a, b = (x.reshape(len(x), -1).astype(np.float32) for x in (claimed, seen))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    power = np.maximum((b**2).sum(1), 1)  # (M,)
    out = np.empty((len(a), len(b)))
    for i, row in enumerate(a):
        gain = b @ row / power
        cells = (row - gain[:, None] * b).reshape(len(b), SIDE // CELL, CELL, SIDE // CELL, CELL)
        out[i] = np.sqrt((cells**2).mean((2, 4)).max((1, 2))) / max(row.std(), 1.0)
        out[i][(gain < 0.3) | (gain > 3)] = np.inf
    return out
