"""Single keys of a terminal, without waiting for them."""

from __future__ import annotations

import sys
from typing import Any


class Keyboard:
    """The keys that are pressed while the with-block runs; none where input is no terminal."""

    def __init__(self) -> None:
        self.on = sys.stdin is not None and sys.stdin.isatty()
        self.before: Any = None

    def __enter__(self) -> Keyboard:
        if self.on and sys.platform != "win32":
            import termios
            import tty

            self.before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(self, *error: object) -> None:
        if self.before is not None and sys.platform != "win32":
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self.before)

    def pressed(self) -> str | None:
        """The next key, if one was pressed."""
        if not self.on:
            return None
        if sys.platform == "win32":
            import msvcrt

            return msvcrt.getwch() if msvcrt.kbhit() else None
        import select

        ready, _, _ = select.select([sys.stdin], [], [], 0)
        return sys.stdin.read(1) if ready else None
