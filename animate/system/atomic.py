"""Write a file whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path, *, draft: Path | None = None, mode: int = 0o666) -> Iterator[Path]:
    """Yield an empty file beside `path`, which replaces `path` when the with-block ends.

    It vanishes if the block raises. It has a name of its own, or the name `draft`: then it takes
    the place of the one that a killed process left. `mode` is as `os.open` takes it. Raises OSError
    where the file can't be written.
    """
    chosen = draft or path.with_name(f".{secrets.token_hex(8)}.part")
    new = os.O_TRUNC if draft else os.O_EXCL
    os.close(os.open(chosen, os.O_WRONLY | os.O_CREAT | new, mode))
    try:
        yield chosen
        _to_disk(chosen)
        os.replace(chosen, path)
    except BaseException:
        with suppress(OSError):
            chosen.unlink(missing_ok=True)
        raise


def _to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
