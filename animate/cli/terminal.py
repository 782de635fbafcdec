"""Show a run on a terminal: notes on standard error, and a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable
from typing import TypeVar

from animate.system.observer import Observer
from animate.system.text import safe

Item = TypeVar("Item")


class Terminal(Observer):
    """Prints notes to standard error, and a progress bar if that is a terminal."""

    def note(self, words: str) -> None:
        print(f"animate: note: {safe(words, 5000)}", file=sys.stderr)

    def watch(
        self, items: Iterable[Item], total: int | None = None, unit: str = "frame"
    ) -> Generator[Item, None, None]:
        from tqdm import tqdm

        class Bar(tqdm):  # type: ignore[type-arg]
            monitor_interval = 0  # without a thread of its own: `verify` forks

        with Bar(items, total=total, unit=unit, disable=None) as shown:
            yield from shown
