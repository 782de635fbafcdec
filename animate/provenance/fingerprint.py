"""Thumbnails of a clip, which match a re-encoded copy but not another clip.

A mark copied from one file onto another still reads as the first file's; the pictures tell them
apart. The signed manifest holds a thumbnail every half second (every second, two, four, ... of
longer clips). A file counts as that clip only if all its thumbnails match, in order and at their
times. Trimming, recompression, scaling, and changes of brightness and contrast pass; so do quarter
turns and mirroring that the mark tells how to undo. Crops, other speeds and other pictures fail, as
does any change to a sixth of the picture's width for half a second. Smaller or shorter edits, and
the sound, go unnoticed.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from animate.errors import AnimateError
from animate.system.settings import is_number

SIDE = 24  # side of a thumbnail, pixels
CELL = 4  # side of the cells compared, pixels: a sixth of the thumbnail's width
AREA = "area"  # how a manifest names the averaging of `thumbnail`
STEP = 0.5  # seconds between thumbnails; doubled whenever there would be more than KEPT
STEPS = (1e-3, 1e7)  # seconds that may lie between the thumbnails in a manifest
KEPT = 64  # most thumbnails in a manifest
SEEN = 4096  # most thumbnails of a file under test
NEAR = 0.3  # largest difference of a cell, in standard deviations of the thumbnail
SLACK = 0.05  # seconds by which a thumbnail's time may differ


@dataclass(frozen=True)
class Fingerprint:
    """Thumbnails of a clip, luma, every `step` seconds; a still has one."""

    step: float
    thumbnails: np.ndarray  # (N, 24, 24) uint8
    exact: bool = True  # False: from a manifest of version 0.2.0 or before
    former: np.ndarray | None = None  # of a file under test: `former_thumbnail` of the same frames

    def plain(self) -> dict[str, Any]:
        """JSON values; `of` reads them."""
        packed = base64.b64encode(zlib.compress(self.thumbnails.tobytes(), 9)).decode()
        return {"step": self.step, "side": SIDE, "average": AREA, "thumbnails": packed}

    def set_upright(self, quarters: int, mirrored: bool) -> Fingerprint:
        """Undo clockwise quarter turns, then mirroring."""

        def upright(thumbnails: np.ndarray) -> np.ndarray:
            turned = np.rot90(thumbnails, quarters, axes=(1, 2))
            return turned[:, :, ::-1] if mirrored else turned

        former = None if self.former is None else upright(self.former)
        return replace(self, thumbnails=upright(self.thumbnails), former=former)

    @classmethod
    def of(cls, value: Any) -> Fingerprint:
        """The inverse of `plain`; AnimateError for anything else."""
        try:
            unpack = zlib.decompressobj()
            data = base64.b64decode(value["thumbnails"], validate=True)
            raw = unpack.decompress(data, KEPT * SIDE * SIDE + 1)
            step, side, count = value["step"], value["side"], len(raw) // (SIDE * SIDE)
            sound = is_number(step) and is_number(side) and STEPS[0] <= step <= STEPS[1]
            whole = sound and side == SIDE and 1 <= count <= KEPT
        except (KeyError, TypeError, ValueError, binascii.Error, zlib.error) as error:
            raise AnimateError("the manifest's thumbnails can't be read") from error
        if not whole or len(raw) != count * SIDE * SIDE:
            raise AnimateError("the manifest's thumbnails are incomplete")
        thumbnails = np.frombuffer(raw, np.uint8).reshape(count, SIDE, SIDE)
        return cls(float(step), thumbnails, value.get("average") == AREA)


@dataclass
class Sampler:
    """Samples frames that pass through, in constant memory: `for frame in sampler(frames)`."""

    rate: float  # frames per second
    most: int = KEPT
    ways: tuple[Callable[[np.ndarray], np.ndarray], ...] = field(
        default_factory=lambda: (thumbnail,)
    )  # to make a thumbnail of a frame
    every: int = field(init=False)  # frames from one thumbnail to the next
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
                    self.kept.append(np.stack([way(frame) for way in self.ways]))
            yield frame

    def result(self) -> Fingerprint:
        kept = np.stack(self.kept, 1)  # (ways, N, 24, 24)
        former = kept[1] if len(kept) > 1 else None
        return Fingerprint(self.every / self.rate, kept[0], former=former)


def file_sampler(rate: float) -> Sampler:
    """A sampler for a file under test: every frame, or fewer from SEEN thumbnails on."""
    return Sampler(rate, SEEN, (thumbnail, former_thumbnail))


def thumbnail(frame: np.ndarray) -> np.ndarray:
    """(24, 24) uint8 luma (BT.601) of a frame (H, W, 3), by area averaging.

    Exact for every size, so that a scaled or turned frame has the same thumbnail, turned alike.
    """
    import cv2

    small = cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))


def former_thumbnail(frame: np.ndarray) -> np.ndarray:
    """`thumbnail` as version 0.2.0 made it: uneven where 24 does not divide the frame's sides."""
    from PIL import Image

    small = Image.fromarray(frame).reduce(
        (max(1, frame.shape[1] // (4 * SIDE)), max(1, frame.shape[0] // (4 * SIDE)))
    )
    return np.asarray(small.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))


def matches(claimed: Fingerprint, seen: Fingerprint, near: float = NEAR) -> bool | None:
    """Whether `seen` shows the claimed clip, or a stretch of it with at least two thumbnails.

    None if it is too short to hold two, such as one picture of a clip, which proves nothing.
    """
    shown = seen.thumbnails if claimed.exact or seen.former is None else seen.former
    count, total = len(claimed.thumbnails), len(shown)
    fits = _distances(claimed.thumbnails, shown) <= near  # (N, M)
    slack = min(round(SLACK / seen.step), total - 1)
    stride = min(claimed.step / seen.step, total + slack + 1)  # seen thumbnails per claimed one
    if count > 1 and stride > total + slack:  # no two of them can be in it
        return None
    there = fits.copy()
    for by in range(1, slack + 1):
        there[:, by:] |= fits[:, :-by]
        there[:, :-by] |= fits[:, by:]
    due = np.arange(count) * stride
    comparable = False
    for start in range(-int(due[-1]), total):
        place = np.rint(start + due).astype(int)
        inside = np.flatnonzero((place >= 0) & (place < total))
        if len(np.unique(place[inside])) < min(2, count):
            continue
        comparable = True
        if not there[inside, place[inside]].all():
            continue
        before, after = place[inside[0]], total - 1 - place[inside[-1]]
        if max(before, after) <= stride + slack:  # both ends of the file are covered
            return True
    return False if comparable else None


def _distances(claimed: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(N, M) difference of each pair's worst cell, in standard deviations of the claimed thumbnail.

    Computed after the best-fitting change of brightness and contrast.
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
