"""Single keys of a terminal, without waiting for them."""

from __future__ import annotations

import os
import sys
from collections import deque
from typing import Any


class Keyboard:
    """The keys that are pressed while the with-block runs; none where input is no terminal."""

    def __init__(self) -> None:
        self.on = sys.stdin is not None and sys.stdin.isatty()
        self.number = sys.stdin.fileno() if self.on else -1
        self.typed: deque[str] = deque()
        self.before: Any = None

    def __enter__(self) -> Keyboard:
        if self.on and sys.platform != "win32":
            import termios
            import tty

            self.before = termios.tcgetattr(self.number)
            tty.setcbreak(self.number)
        return self

    def __exit__(self, *error: object) -> None:
        if self.before is not None and sys.platform != "win32":
            import termios

            termios.tcsetattr(self.number, termios.TCSADRAIN, self.before)

    def pressed(self) -> str | None:
        """The next key, if one was pressed."""
        if not self.on:
            return None
        if sys.platform == "win32":
            import msvcrt

            return msvcrt.getwch() if msvcrt.kbhit() else None
        import select

        if not self.typed and select.select([self.number], [], [], 0)[0]:
            typed = os.read(self.number, 64).decode("ascii", "ignore")
            if not (typed[:1] == "\x1b" and typed[1:]):  # an arrow, or the like
                self.typed.extend(typed)
        return self.typed.popleft() if self.typed else None
