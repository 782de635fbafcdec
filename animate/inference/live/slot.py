"""A place for the newest item alone."""

from __future__ import annotations

from threading import Condition
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Slot(Generic[Item]):
    """Holds one item: a newer one takes its place, so that nothing waits in a queue."""

    def __init__(self) -> None:
        self.changed = Condition()
        self.item: Item | None = None
        self.closed = False

    def put(self, item: Item) -> None:
        with self.changed:
            self.item = item
            self.changed.notify()

    def take(self, timeout: float | None = None) -> Item | None:
        """The item, as soon as there is one; None after `timeout` seconds, or if it is closed."""
        with self.changed:
            self.changed.wait_for(lambda: self.item is not None or self.closed, timeout)
            item, self.item = self.item, None
            return None if self.closed else item

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()
