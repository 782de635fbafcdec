"""Worker processes with limits, which open visitors' files.

What goes to and fro is JSON and bytes, never pickled objects: a file that took a worker over could
otherwise take over the server.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from threading import Lock
from typing import Any

from animate.errors import AnimateError
from animate.serve.messages import packed, unpacked
from animate.serve.uploads import BusyError

LARGEST = 64 << 20  # bytes of a message from a worker
GRACE = 3.0  # seconds that a worker has to tidy up before it is killed
Report = Callable[[dict[str, Any], bytes], None]


class Worker:
    """One process that does one task of `tasks.py` after another; restarted where it ended."""

    def __init__(self, kind: str, settings: Sequence[str] = ()) -> None:
        self.kind, self.settings = kind, list(settings)
        self.process: Any = None
        self.connection: Any = None
        self.lock = Lock()  # of start and stop
        self.turn = asyncio.Lock()  # of the tasks

    def start(self) -> None:
        """Start the process, which then loads what its tasks need."""
        from animate.serve import tasks

        with self.lock:
            if self.process is not None and self.process.is_alive():
                return
            self._end()
            context = multiprocessing.get_context("spawn")
            self.connection, other = context.Pipe()
            self.process = context.Process(
                target=tasks.work, args=(other, self.kind, self.settings), daemon=True
            )
            self.process.start()
            other.close()

    async def ask(
        self,
        task: str,
        request: dict[str, Any],
        limit: float,
        report: Report = lambda head, body: None,
    ) -> tuple[dict[str, Any], bytes]:
        """The result of a task, after those before it; `report` gets what it reports meanwhile.

        Raises AnimateError for what the task refuses, where it takes longer than `limit` seconds,
        and where it ends its process.
        """
        async with self.turn:
            return await asyncio.to_thread(self._run, {**request, "task": task}, limit, report)

    def _run(self, request: dict[str, Any], limit: float, report: Report) -> tuple[Any, bytes]:
        self.start()
        end = time.monotonic() + limit
        try:
            self.connection.send_bytes(packed(request))
            while True:
                if not self.connection.poll(max(0.0, end - time.monotonic())):
                    self.stop()
                    raise AnimateError(f"this took longer than {limit:g} s: use a shorter clip")
                head, body = unpacked(self.connection.recv_bytes(LARGEST))
                if "error" in head:
                    raise AnimateError(str(head["error"]))
                if "result" in head:
                    return head["result"], body
                report(head, body)
        except (EOFError, OSError, ValueError) as error:
            self.stop()
            raise AnimateError(
                "the process that worked on this ended: the file is damaged or too large"
            ) from error

    def stop(self) -> None:
        """End the process: it may remove its drafts, then it is killed."""
        with self.lock:
            self._end()

    def _end(self) -> None:
        if self.process is None:
            return
        end(self.process)
        self.connection.close()
        self.process = None


def end(process: BaseProcess) -> None:
    """End a process: it may remove its drafts, then it is killed."""
    with suppress(OSError):
        process.terminate()
    process.join(GRACE)
    if process.is_alive():
        process.kill()
        process.join()


class Pool:
    """Workers of one kind; a task goes to the first that is free, or is refused."""

    def __init__(self, kind: str, settings: Sequence[str], count: int, waiting: int) -> None:
        self.workers = [Worker(kind, settings) for _ in range(count)]
        self.free = asyncio.Semaphore(count)
        self.waiting, self.most = 0, count + waiting

    async def ask(
        self, task: str, request: dict[str, Any], limit: float
    ) -> tuple[dict[str, Any], bytes]:
        """As `Worker.ask`. Raises BusyError where enough tasks wait already."""
        if self.waiting >= self.most:
            raise BusyError("enough files are being looked at: come again soon")
        self.waiting += 1
        try:
            async with self.free:
                worker = next(worker for worker in self.workers if not worker.turn.locked())
                return await worker.ask(task, request, limit)
        finally:
            self.waiting -= 1
