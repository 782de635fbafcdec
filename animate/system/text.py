"""Text from files and users, safe to print on a terminal."""

from __future__ import annotations


def frames(count: int) -> str:
    """A number of frames in words."""
    return f"{count} frame" + "s" * (count != 1)


def safe(text: str, most: int = 500) -> str:
    """Text that can't move a terminal's cursor or break a line, of `most` characters of it."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:most])
    return shown.encode("utf-8", "backslashreplace").decode() + ("..." if len(text) > most else "")
