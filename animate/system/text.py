"""Prepare text for a terminal: counts in words, and safe text from files and users."""

from __future__ import annotations

import re
import unicodedata

LIKE_A_QUOTE = '"\u201c\u201d\u201e\u201f\u2033\u2036\u301d\u301e\u301f\uff02\u02ba\u02dd\u02ee'
QUOTES = dict.fromkeys(map(ord, LIKE_A_QUOTE), "'")
PLAIN = re.compile(r"[A-Za-z0-9][\w.+:/-]{0,59}( [\w.+-]{1,20})?", re.ASCII)


def frames(count: int) -> str:
    """A number of frames in words: "1 frame", "2 frames"."""
    return f"{count} frame" + "s" * (count != 1)


def safe(text: str, most: int = 500) -> str:
    """The first `most` characters, escaped so that they can't move the cursor or break a line."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:most])
    return shown.encode("utf-8", "backslashreplace").decode() + ("..." if len(text) > most else "")


def quoted(text: str, most: int = 200) -> str:
    """Untrusted text on one line between double quotes; quotes inside it are replaced."""
    return f'"{safe(text.translate(QUOTES), most)}"'


def named(text: str) -> str:
    """The name of a program, a time or the like as it stands; anything else `quoted`."""
    return text if PLAIN.fullmatch(text) else quoted(text)


def alike(one: str, other: str) -> bool:
    """Whether people would read two names as one: letters' size, width and spaces don't count."""
    return _folded(one) == _folded(other)


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
