"""Work on several batches at once and have the results in order, or on something else meanwhile."""

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
    """work(item) for each item, in order, with `threads` of them at work at a time.

    Items are asked for in the caller's thread, which goes on with other things meanwhile; at most
    `threads + 1` results wait. Torch has one thread in each of these: so small networks move more
    pictures than with all threads on one, which wait for each other at every layer, and the results
    don't depend on their number.
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
            for left in waiting:
                left.cancel()


def in_background(work: Callable[..., Result], *given: Any) -> Future[Result]:
    """Begin with work(*given) in a thread of its own; its result, or error, is for whoever asks."""
    pool = ThreadPoolExecutor(1)
    result = pool.submit(work, *given)
    pool.shutdown(wait=False)
    return result


class _SingleThreaded:
    """While anyone is inside, torch, numpy and OpenCV use the caller's thread alone.

    How torch rounds depends on its threads, and the others' idle ones would spin on a core that is
    needed. Who comes in first sets the limits, who leaves last takes them away: generators inside
    one another may end in any order.
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
    """Lists of `size` items, the last one maybe shorter."""
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some
