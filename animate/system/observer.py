"""Tell whoever watches a run how far it is, and what is worth knowing."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TypeVar

Item = TypeVar("Item")


class Observer:
    """Told of a run's notes and progress; this one keeps quiet.

    A terminal, a notebook, a page or a test shows them by a class of its own with these two
    methods. They are called from the thread that called the run.
    """

    def note(self, words: str) -> None:
        """One sentence that is worth knowing, such as what will look bad."""

    def watch(
        self, items: Iterable[Item], total: int | None = None, unit: str = "frame"
    ) -> Generator[Item, None, None]:
        """The same items, counted as they pass; `total` of them where that is known.

        Close what it returns when the work ends early.
        """
        yield from items


QUIET = Observer()


class Notes(Observer):
    """Keeps the notes of a run."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, words: str) -> None:
        self.notes.append(words)
