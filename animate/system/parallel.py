"""Parallel map that keeps order; a background task; single-threaded sections; batching."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from threading import Lock
from typing import Any, TypeVar

import torch
from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_order(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> Iterator[Result]:
    """Yield work(item) for each item, in order, computed by `threads` threads.

    Items are drawn in the caller's thread, which is free meanwhile; at most `threads + 1` results
    wait. Each thread runs torch single-threaded. For small networks that is faster than all of
    torch's threads on one batch, which wait for each other at every layer; and results don't depend
    on `threads`.
    """
    waiting: deque[Future[Result]] = deque()
    with (
        SINGLE_THREADED,
        ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for unfinished in waiting:
                unfinished.cancel()


def in_background(work: Callable[..., Result], *given: Any) -> Future[Result]:
    """Start work(*given) in its own thread; the future gives its result or raises its error."""
    pool = ThreadPoolExecutor(1)
    result = pool.submit(work, *given)
    pool.shutdown(wait=False)
    return result


class _SingleThreaded:
    """A section in which torch, numpy and OpenCV use only the caller's thread.

    Torch's rounding depends on its number of threads, and idle threads of numpy and OpenCV would
    spin on a core that is needed. The first to enter sets the limits, the last to leave lifts them,
    because nested generators may end in any order.
    """

    def __init__(self) -> None:
        self.lock, self.inside, self.limits = Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        import cv2

        with self.lock:
            self.inside += 1
            if self.inside == 1:
                self.limits.enter_context(threadpool_limits(1, "blas"))
                self.limits.callback(torch.set_num_threads, torch.get_num_threads())
                torch.set_num_threads(1)
                self.limits.callback(cv2.setNumThreads, cv2.getNumThreads())
                cv2.setNumThreads(1)

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.limits.close()


SINGLE_THREADED = _SingleThreaded()
T = TypeVar("T")


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Split items into lists of `size`; the last one may be shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
