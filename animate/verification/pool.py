"""Verify many files at once, each in a process that may crash or hang without the others."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from animate.errors import AnimateError
from animate.verification.verify import Report, verify

LIMIT = 300.0  # seconds for one file
MEMORY = 8 << 30  # bytes of address space that a worker may take, where the system can tell it so


def verify_all(
    paths: Iterable[Path], *, jobs: int | None = None, limit: float = LIMIT
) -> Iterator[tuple[Path, Report | str]]:
    """(path, report) of each file in the order given; words where it can't be read.

    `jobs` files at once (default: one a core). A file that takes longer than `limit` seconds, or
    that ends its process, is reported as unreadable; the others go on.
    """
    waiting = deque(enumerate(paths))
    done: dict[int, tuple[Path, Report | str]] = {}
    workers = [_Worker() for _ in range(min(jobs or os.cpu_count() or 1, len(waiting)))]
    shown = 0
    try:
        while waiting or any(w.task for w in workers):
            for worker in workers:
                if worker.task is None and waiting:
                    worker.start(*waiting.popleft())
            busy = [w for w in workers if w.task is not None]
            wait([w.connection for w in busy], max(0.0, min(w.until(limit) for w in busy)))
            for worker in busy:
                done.update(worker.result(limit))
            while shown in done:
                yield done.pop(shown)
                shown += 1
    finally:
        for worker in workers:
            worker.stop()


@dataclass
class _Worker:
    """One process that verifies one file after the other; made anew after it was lost."""

    process: Any = None
    connection: Connection = field(init=False)
    task: tuple[int, Path] | None = None
    since: float = 0.0

    def start(self, number: int, path: Path) -> None:
        if self.process is not None and not self.process.is_alive():
            self.stop()  # something ended it between two files
        if self.process is None:
            how = "fork" if sys.platform == "linux" else "spawn"
            context: Any = multiprocessing.get_context(how)
            self.connection, other = context.Pipe()
            self.process = context.Process(target=_serve, args=(other,), daemon=True)
            self.process.start()
            other.close()
        self.task, self.since = (number, path), time.monotonic()
        with suppress(OSError):  # it has ended since: `result` will say so
            self.connection.send(path)

    def until(self, limit: float) -> float:
        return self.since + limit - time.monotonic()

    def result(self, limit: float) -> dict[int, tuple[Path, Report | str]]:
        """What there is to say of the file, if there is."""
        assert self.task is not None
        number, path = self.task
        said: Report | str
        if self.connection.poll():
            try:
                said = self.connection.recv()
                self.task = None
                return {number: (path, said)}
            except (EOFError, OSError):
                said = f"{path} ended the process that read it: it is damaged, or made to"
        elif self.until(limit) <= 0:
            said = f"{path} took longer than {limit:g} s: use a shorter file, or --limit"
        else:
            return {}
        self.stop()
        self.task = None
        return {number: (path, said)}

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.connection.close()
            self.process = None


def _serve(connection: Connection) -> None:
    """Verify what is asked for until the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the parent's to handle
    _limit_memory()
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
            connection.send(f"{path} takes more memory than a file may: use a smaller one")
        except Exception as error:  # a bug of ours or a library's must not stop the batch
            connection.send(f"{path} can't be read ({type(error).__name__}: {str(error)[:200]})")


def _limit_memory() -> None:
    if sys.platform == "linux":
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[1]
        least = MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most)
        resource.setrlimit(resource.RLIMIT_AS, (least, most))
