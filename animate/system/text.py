"""Prepare text for a terminal: counts in words, and safe text from files and users."""

from __future__ import annotations


def frames(count: int) -> str:
    """A number of frames in words: "1 frame", "2 frames"."""
    return f"{count} frame" + "s" * (count != 1)


def safe(text: str, most: int = 500) -> str:
    """The first `most` characters, escaped so that they can't move the cursor or break a line."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:most])
    return shown.encode("utf-8", "backslashreplace").decode() + ("..." if len(text) > most else "")
