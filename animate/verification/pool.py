"""Verify many files in parallel, in worker processes: a crash or hang affects one file only."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from animate.errors import AnimateError
from animate.system.memory import limit_memory
from animate.system.workers import end_with_parent
from animate.verification.lists import Slow
from animate.verification.verify import Report, verify

LIMIT = 300.0  # seconds per file
MEMORY = 8 << 30  # bytes of address space per worker, on Linux only


def verify_all(
    paths: Iterable[Path], *, jobs: int | None = None, limit: float = LIMIT
) -> Iterator[tuple[Path, Report | str]]:
    """Yield (path, report) of each file in the given order; (path, error) if it can't be read.

    `jobs` files at once (default: one per core). A file that takes longer than `limit` seconds, or
    that ends its process, is reported as unreadable; the others continue.
    """
    done: dict[int, tuple[Path, Report | str]] = {}
    shown = 0
    for number, path, outcome in verify_each(paths, jobs=jobs, limit=limit):
        done[number] = path, outcome
        while shown in done:
            yield done.pop(shown)
            shown += 1


def verify_each(
    paths: Iterable[Path], *, jobs: int | None = None, limit: float = LIMIT
) -> Iterator[tuple[int, Path, Report | str]]:
    """The same in the order in which files are done, with their numbers from 0.

    A path is drawn when a process is free for it, so a list of any length takes no memory; while
    other files are verified, nobody waits for a `Slow` list.
    """
    source, numbers, more = iter(paths), count(), True
    slow = source if isinstance(source, Slow) else None
    workers = [_Worker() for _ in range(jobs or os.cpu_count() or 1)]
    try:
        while more or any(w.task for w in workers):
            for worker in workers:
                if worker.task is None and more and (slow is None or slow.ready()):
                    path = next(source, None)
                    more = path is not None
                    if path is not None:
                        worker.start(next(numbers), path)
            busy = [w for w in workers if w.task is not None]
            if not (busy or more):
                return
            awaited: list[Any] = [w.connection for w in busy]
            awaited += [slow] if slow and more and len(busy) < len(workers) else []
            wait(awaited, max(0.0, min(w.until(limit) for w in busy)) if busy else None)
            for worker in busy:
                yield from worker.result(limit)
    finally:
        for worker in workers:
            worker.stop()


@dataclass
class _Worker:
    """A process that verifies one file after another; restarted if it dies."""

    process: Any = None
    connection: Connection = field(init=False)
    task: tuple[int, Path] | None = None
    since: float = 0.0

    def start(self, number: int, path: Path) -> None:
        if self.process is not None and not self.process.is_alive():
            self.stop()  # it died between two files
        if self.process is None:
            method = "fork" if sys.platform == "linux" else "spawn"
            context: Any = multiprocessing.get_context(method)
            self.connection, other = context.Pipe()
            self.process = context.Process(target=_serve, args=(other,), daemon=True)
            self.process.start()
            other.close()
        self.task, self.since = (number, path), time.monotonic()
        with suppress(OSError):  # the process died meanwhile: `result` reports it
            self.connection.send(path)

    def until(self, limit: float) -> float:
        return self.since + limit - time.monotonic()

    def result(self, limit: float) -> list[tuple[int, Path, Report | str]]:
        """Number, path, and report or error of the current file; empty while there is none."""
        assert self.task is not None
        number, path = self.task
        outcome: Report | str
        if self.connection.poll():
            try:
                outcome = self.connection.recv()
                self.task = None
                return [(number, path, outcome)]
            except (EOFError, OSError):
                outcome = f"{path} ended the process that read it: it is damaged or malicious"
        elif self.until(limit) <= 0:
            outcome = f"{path} took longer than {limit:g} s: use a shorter file, or raise --limit"
        else:
            return []
        self.stop()
        self.task = None
        return [(number, path, outcome)]

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.connection.close()
            self.process = None


def _serve(connection: Connection) -> None:
    """Verify each path received until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    end_with_parent()
    limit_memory(MEMORY)
    while True:
        try:
            path = connection.recv()
        except EOFError:
            return
        try:
            connection.send(verify(path))
        except AnimateError as error:
            connection.send(" ".join(str(error).split()))
        except MemoryError:
            connection.send(f"{path} takes more memory than allowed: use a smaller file")
        except Exception as error:  # a bug here or in a library must not stop the batch
            connection.send(f"{path} can't be read ({type(error).__name__}: {str(error)[:200]})")
