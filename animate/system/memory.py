"""Tune glibc's allocator, and limit the memory of a process."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

Item = TypeVar("Item")
ARENA_MAX, MMAP_MAX, TRIM_THRESHOLD = -8, -4, -1  # options of mallopt, from glibc's malloc.h
EVERY = 250  # frames from one malloc_trim to the next


def keep_memory() -> None:
    """Keep freed memory for reuse, in one heap for all threads of the process.

    By default glibc returns every large tensor to the kernel, which clears the pages again, and
    gives each thread its own heap. That costs a run on a CPU time and memory. Does nothing on
    another system or C library.
    """
    set_option = _glibc("mallopt")
    if set_option is not None:
        set_option(ARENA_MAX, 1)
        set_option(MMAP_MAX, 0)
        set_option(TRIM_THRESHOLD, -1)  # never


def trim_heap(frames: Iterable[Item]) -> Iterator[Item]:
    """Yield the frames and call malloc_trim every 250, which returns free pages to the kernel.

    The single heap of `keep_memory` becomes fragmented: without this, a run holds ever more memory
    than it uses. scripts/benchmarks/memory.py measures it.
    """
    for number, frame in enumerate(frames, 1):
        yield frame
        if number % EVERY == 0:
            trim()


def trim() -> None:
    """Return free pages of the heap to the kernel, with glibc."""
    malloc_trim = _glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def limit_memory(most: int) -> None:
    """Limit this process to `most` bytes of address space; does nothing but on Linux."""
    if sys.platform == "linux":
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _glibc(name: str) -> Any:
    """A function of glibc; None with another C library."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
