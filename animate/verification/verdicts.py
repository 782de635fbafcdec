"""A file of verdicts that grows while a list is verified, and by which a killed run goes on.

`NAME.jsonl` has a line of JSON for each file, as `animate verify --json` prints it. `NAME.parquet`
is written whole when the list is done; until then its verdicts are in `NAME.parquet.jsonl`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, get_args

from animate.errors import AnimateError
from animate.media.files import check_place
from animate.system.journal import appending, half_line, lines
from animate.verification.names import SCHEMA, Verdict

UNREADABLE = "unreadable"
VERDICTS = (*get_args(Verdict), UNREADABLE)
SUFFIXES = (".jsonl", ".parquet")
PATIENCE = 5.0  # seconds in which the processes of a run that was killed end, which hold its lock
START = f'{{"schema": "{SCHEMA.partition("/")[0]}/'.encode()  # of every line


@dataclass
class Verdicts:
    """The verdicts in a file: how many of each, and of which files."""

    add: Callable[[dict[str, Any]], None]  # writes one at once
    counts: Counter[str] = field(default_factory=Counter)
    done: Done = field(default_factory=lambda: Done())


@contextmanager
def collecting(out: Path) -> Iterator[Verdicts]:
    """Open a new file of verdicts, or one that an earlier run of the same list left.

    Raises AnimateError for another kind of file, and while another process writes it.
    """
    if out.suffix not in SUFFIXES:
        raise AnimateError(f"{out} can't hold verdicts: use the suffix {' or '.join(SUFFIXES)}")
    check_place(out)
    journal = out
    if out.suffix == ".parquet":
        from animate.verification import parquet

        parquet.check()
        journal = out.with_name(out.name + ".jsonl")
    with _alone(journal):
        if not _is_start(half_line(journal)):
            raise AnimateError(f"{journal} ends in something else than a verdict: name another")
        counts: Counter[str] = Counter()
        done = Done.of(_counted(_both(out, journal), counts))
        with appending(journal) as append:

            def add(verdict: dict[str, Any]) -> None:
                append({"schema": SCHEMA, **verdict})
                counts[verdict["verdict"]] += 1

            yield Verdicts(add, counts, done)
        if journal != out:
            parquet.write(out, (line for line, _ in _both(out, journal)))
            journal.unlink()


def _counted(verdicts: Iterable[tuple[str, dict[str, Any]]], counts: Counter[str]) -> Iterator[str]:
    """The names of the files that have a verdict, which are counted."""
    for _, verdict in verdicts:
        counts[verdict["verdict"]] += 1
        yield verdict["path"]


def _both(out: Path, journal: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The verdicts in a file and in its journal, as lines and as JSON values.

    A run that was killed after the former was written left in the latter what is in both.
    """
    if out == journal:
        yield from _checked(journal, lines(journal))
        return
    from animate.verification import parquet

    kept = Done()
    if out.exists():
        yield from _checked(out, parquet.lines(out))
        kept = Done.of(verdict["path"] for _, verdict in _checked(out, parquet.lines(out)))
    for line, verdict in _checked(journal, lines(journal)):
        if verdict["path"] not in kept:
            yield line, verdict


def _checked(path: Path, found: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(found, 1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        known = isinstance(value, dict) and str(value.get("verdict")) in VERDICTS
        if not (known and isinstance(value.get("path"), str)):
            raise AnimateError(f"line {number} of {path} is no verdict: name another file")
        yield line, value


def _is_start(half: bytes) -> bool:
    """Whether a half line is the start of a verdict."""
    return half[: len(START)] == START[: len(half)]


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a file, which is made if it doesn't exist, and vanishes if it stays empty."""
    with path.open("ab") as file:
        _lock(file, path)
        try:
            yield
        finally:
            if path.exists() and not path.stat().st_size:
                path.unlink()


def _lock(file: BinaryIO, path: Path) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise AnimateError(
                    f"another process writes to {path}: wait for it, or name another file"
                ) from error
            time.sleep(0.05)


class Done:
    """Names of files, in 8 bytes each: hashes of 64 bits, sorted.

    Among a million names two have one hash once in 37 million times.
    """

    def __init__(self, sorted_hashes: Any = ()) -> None:
        self.hashes = sorted_hashes

    @classmethod
    def of(cls, names: Iterable[str]) -> Done:
        import numpy as np

        return cls(np.sort(np.fromiter(map(_hash, names), np.uint64)))

    def __contains__(self, name: object) -> bool:
        import numpy as np

        wanted = np.uint64(_hash(str(name)))
        at = int(np.searchsorted(self.hashes, wanted))
        return at < len(self.hashes) and bool(self.hashes[at] == wanted)


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8], "big")
