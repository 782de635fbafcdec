"""Draw paths from a list, one a line, without holding it or waiting for it while there is work."""

from __future__ import annotations

import codecs
import os
import select
from collections import deque
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from animate.errors import AnimateError
from animate.media.files import existing

BLOCK = 1 << 16  # bytes read at a time
LONGEST = 1 << 16  # bytes of a line
STDIN = Path("-")


@runtime_checkable
class Slow(Protocol):
    """An iterator that may have to wait for its next item; `fileno` tells when to ask again."""

    def ready(self) -> bool: ...
    def fileno(self) -> int: ...


class PathList:
    """The paths in a file, a pipe or the standard input, one a line, in UTF-8.

    Blank lines are skipped. Raises AnimateError for a list that can't be read, and in the middle of
    one for a line that is no path.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.number = path, 0  # of the line
        self.lines: deque[bytes] = deque()
        self.rest, self.ended = b"", False
        try:
            if path != STDIN and path.is_dir():
                raise AnimateError(f"{path} is a folder: give a text file with a path a line")
            if path.is_file():
                existing(path)  # which says that it is empty
            self.file = os.dup(0) if path == STDIN else os.open(path, os.O_RDONLY)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise AnimateError(f"the list {path} can't be read ({why}): give a file") from error

    def close(self) -> None:
        os.close(self.file)

    def fileno(self) -> int:
        return self.file

    def ready(self) -> bool:
        """Whether the next path, or the end, is there without waiting."""
        while not (self.lines or self.ended) and select.select([self.file], [], [], 0)[0]:
            self._read()
        return bool(self.lines) or self.ended

    def __iter__(self) -> Iterator[Path]:
        return self

    def __next__(self) -> Path:
        while True:
            while not (self.lines or self.ended):
                self._read()
            if not self.lines:
                raise StopIteration
            line = self.lines.popleft().removesuffix(b"\r")
            self.number += 1
            if self.number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if b"\0" in line:
                raise AnimateError(
                    f"line {self.number} of {self.path} holds a NUL character: give a text file in "
                    "UTF-8 with a path a line"
                )
            if line.strip():
                return Path(os.fsdecode(line))

    def _read(self) -> None:
        block = os.read(self.file, BLOCK)
        *whole, self.rest = (self.rest + block).split(b"\n")
        self.lines += whole
        if not block:
            self.ended = True
            self.lines += [self.rest] if self.rest else []
        if len(self.rest) > LONGEST:
            raise AnimateError(
                f"line {self.number + len(self.lines) + 1} of {self.path} is longer than {LONGEST} "
                "bytes: give a text file with a path a line"
            )


class Without:
    """A list less the paths that `done` holds."""

    def __init__(self, paths: PathList, done: Container[str]) -> None:
        self.paths, self.done = paths, done
        self.fileno, self.ready = paths.fileno, paths.ready
        self.count = self.left_out = 0

    def __iter__(self) -> Iterator[Path]:
        return self

    def __next__(self) -> Path:
        for path in self.paths:
            if os.fspath(path) not in self.done:
                self.count += 1
                return path
            self.left_out += 1
        raise StopIteration
