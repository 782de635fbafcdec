"""Lines of JSON that grow one by one, and outlive a program that was killed while it wrote."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

BLOCK = 1 << 16  # bytes searched at a time


def lines(path: Path) -> Iterator[str]:
    """The whole lines of a file, one at a time; a half one at its end is left out."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line.decode("utf-8", "replace")


def half_line(path: Path) -> bytes:
    """What stands after the last whole line."""
    with path.open("rb") as file:
        file.seek(_end_of_lines(file))
        return file.read()


@contextmanager
def appending(path: Path) -> Iterator[Callable[[Any], None]]:
    """Give a function that appends a value as a line, at once; a half line is cut off first."""
    with path.open("ab+") as file:
        file.truncate(_end_of_lines(file))

        def append(value: Any) -> None:
            file.write(json.dumps(value).encode("ascii") + b"\n")
            file.flush()

        yield append


def _end_of_lines(file: BinaryIO) -> int:
    """The offset after the last line break, found from the end."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - BLOCK)
        file.seek(start)
        at = file.read(end - start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0
