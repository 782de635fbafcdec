"""Show a run on a terminal: notes on standard error, and a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Mapping
from typing import Any, TextIO, TypeVar

from animate.system.observer import Observer
from animate.system.text import safe

Item = TypeVar("Item")


class Terminal(Observer):
    """Prints notes to standard error, and a progress bar if that is a terminal.

    The numbers of training stand beside the bar, or in lines of standard output without one.
    """

    def __init__(self) -> None:
        self.bar: Any = None

    def note(self, words: str) -> None:
        self.print(f"animate: note: {safe(words, 5000)}", sys.stderr)

    def values(self, numbers: Mapping[str, float]) -> None:
        if self.bar is None or self.bar.disable:
            self.print(" ".join(f"{name} {value:.5g}" for name, value in numbers.items()))
        else:
            self.bar.set_postfix({name: f"{value:.4g}" for name, value in numbers.items()})

    def print(self, line: str, stream: TextIO | None = None) -> None:
        """Print a line to the stream (default: standard output), above the progress bar."""
        if self.bar is not None:
            self.bar.clear()
        print(line, file=stream, flush=True)
        if self.bar is not None:
            self.bar.refresh()

    def watch(
        self, items: Iterable[Item], total: int | None = None, unit: str = "frame"
    ) -> Generator[Item, None, None]:
        from tqdm import tqdm

        class Bar(tqdm):  # type: ignore[type-arg]
            monitor_interval = 0  # without a thread of its own: `verify` forks

        with Bar(items, total=total, unit=unit, disable=None, dynamic_ncols=True) as self.bar:
            yield from self.bar
