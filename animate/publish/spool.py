"""Keep frames on disk, if they compress well, so that a file can be made again with a stronger
mark."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

PACKED = 0.25  # of a frame's bytes: photos need more, what is drawn, flat or cut out needs less
MOST = 1 << 30  # bytes on disk


class Spool:
    """Frames, uint8 (H, W, 3), in a nameless temporary file beside `out`, read again at will.

    Pictures that drown a mark are flat or drawn, and pack well. Where one frame doesn't, there are
    too many, or the disk is full, the file is emptied and nothing `is_whole`.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.sizes: list[int] = []  # of the packed frames
        self.shape: tuple[int, ...] = ()
        self.is_whole = True

    def __enter__(self) -> Spool:
        try:
            self.file: IO[bytes] = tempfile.TemporaryFile(dir=self.out.parent)
        except OSError:
            self.file, self.is_whole = tempfile.SpooledTemporaryFile(), False
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self.file.close()

    def keep(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the frames unchanged, and keep each."""
        for frame in frames:
            if self.is_whole:
                self._append(frame)
            yield frame

    def _append(self, frame: np.ndarray) -> None:
        packed = zlib.compress(frame.tobytes(), 1)
        try:
            if len(packed) > PACKED * frame.nbytes or sum(self.sizes) + len(packed) > MOST:
                raise OverflowError
            self.file.write(packed)
        except (OSError, OverflowError):
            self.is_whole = False
            self.sizes.clear()
            with suppress(OSError):
                self.file.seek(0)
                self.file.truncate()
            return
        self.sizes.append(len(packed))
        self.shape = frame.shape

    def frames(self) -> Iterator[np.ndarray]:
        """The frames that were kept."""
        self.file.seek(0)
        for size in self.sizes:
            pixels = np.frombuffer(zlib.decompress(self.file.read(size)), np.uint8)
            yield pixels.reshape(self.shape)
