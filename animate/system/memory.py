"""How a process holds on to memory."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

Item = TypeVar("Item")
ARENA_MAX, MMAP_MAX, TRIM_THRESHOLD = -8, -4, -1  # malloc.h of glibc
EVERY = 250  # frames


def keep_memory() -> None:
    """Let freed memory wait for what comes next, in one heap for all threads of the process.

    glibc hands every large tensor back at once, the kernel clears the pages anew, and each thread
    has a heap of its own: without this a run takes a tenth more time and a fifth more memory on a
    CPU. Another system or C library is left as it is.
    """
    set_option = _glibc("mallopt")
    if set_option is not None:
        set_option(ARENA_MAX, 1)
        set_option(MMAP_MAX, 0)
        set_option(TRIM_THRESHOLD, -1)  # never


def trim_heap(frames: Iterable[Item]) -> Iterator[Item]:
    """The same frames; now and then the pages of the heap's gaps go back to the kernel.

    In the one heap of `keep_memory` blocks of many sizes and ages leave gaps that later ones don't
    fit: a run that follows a face uses 250 MiB at a time, and held 600 after half a minute, 1,090
    after four.
    """
    sweep = _glibc("malloc_trim")
    for number, frame in enumerate(frames, 1):
        yield frame
        if sweep is not None and number % EVERY == 0:
            sweep(0)


def _glibc(name: str) -> Any:
    """A function of glibc's, None where there is another C library."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
