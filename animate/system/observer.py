"""Report a run's progress and notes to its caller."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import TypeVar

Item = TypeVar("Item")


class Observer:
    """Receives a run's notes and progress; this base class ignores them.

    A terminal, a notebook, a web page or a test overrides the methods. They are called in the
    thread that called the run.
    """

    def note(self, words: str) -> None:
        """Receive one sentence for the user, such as a warning about what will look bad."""

    def values(self, numbers: Mapping[str, float]) -> None:
        """Receive the numbers of a training step, such as its losses, by name."""

    def watch(
        self, items: Iterable[Item], total: int | None = None, unit: str = "frame"
    ) -> Generator[Item, None, None]:
        """Yield the same items and count them; `total` is their number, None if unknown.

        Close the generator if the work ends early.
        """
        yield from items


QUIET = Observer()


class Notes(Observer):
    """An observer that collects the notes of a run."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, words: str) -> None:
        self.notes.append(words)
