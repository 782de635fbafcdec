"""Name files that are neither a picture nor a clip that can be read."""

from __future__ import annotations

import codecs
from pathlib import Path

from animate.errors import AnimateError
from animate.media import formats

# (offset, bytes, words); the first match counts. `formats` has the formats of pictures and clips.
STARTS = (
    (0, b"ID3", "sound without pictures"),
    (0, b"fLaC", "sound without pictures"),
    (8, b"WAVE", "sound without pictures"),
    (8, b"AIFF", "sound without pictures"),
    (0, b"MThd", "sound without pictures"),
    (4, b"jumb", "a C2PA manifest without its file"),
    (0, b"{\\rtf", "a document (RTF)"),
    (0, bytes.fromhex("d0cf11e0a1b11ae1"), "an Office document"),
    (0, b"7z\xbc\xaf\x27\x1c", "an archive"),
    (0, b"Rar!", "an archive"),
    (0, b"\x1f\x8b", "an archive"),
    (257, b"ustar", "an archive"),
)
MP3 = {0xFA, 0xFB, 0xF2, 0xF3, 0xE2, 0xE3, 0xF0, 0xF1, 0xF8, 0xF9}  # after 0xFF: MPEG sound, ADTS
SPACES = "\t\n\r\f"


def what(path: Path) -> str:
    """The kind of a file in words, such as "a PDF"; "" for a possible picture or clip, and for an
    unknown kind.

    To be asked of what could not be read: a start of a file is no proof. Never raises.
    """
    try:
        found = formats.format_of(path)
        with path.open("rb") as file:
            head = file.read(formats.HEAD)
    except (OSError, ValueError, AnimateError):
        return ""
    if found is not formats.NOTHING:
        return "" if found.read and found.kind in (formats.PICTURE, formats.CLIP) else found.words
    for at, start, words in STARTS:
        if head[at : at + len(start)] == start:
            return words
    if head[:1] == b"\xff" and len(head) > 1 and head[1] in MP3:
        return "sound without pictures"
    return "a text" if _is_text(head) else ""


def _is_text(head: bytes) -> bool:
    """Whether a file starts as UTF-8 that can be printed; the last letter may be cut."""
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return False
    return bool(text.strip()) and all(c.isprintable() or c in SPACES for c in text)
