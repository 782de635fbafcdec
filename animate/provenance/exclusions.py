"""Whether the bytes that the hash in a C2PA manifest leaves out are the manifest and nothing else.

A data hash leaves out the range of the file in which the manifest is embedded (C2PA 2.2, 18.6;
embedding: annex A). Readers compare the hash, but not that range. Anybody can split or shrink the
manifest and put other segments into it: a turn of the picture, its colours, another picture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

LARGEST = 1 << 27  # bytes of a range that is read
JUMBF = b"jumb"


def is_exact(stream: BinaryIO, kind: str, detail: dict[str, Any]) -> bool:
    """Whether every range that the active manifest's data hash leaves out holds just a manifest.

    `kind` is the file's MIME type, `detail` the reader's detailed JSON. True for kinds whose hash
    names boxes instead of ranges (MP4, HEIF).
    """
    embedded = EMBEDDINGS.get(kind, is_box)
    try:
        manifest = detail["manifests"][detail["active_manifest"]]
        for label, assertion in manifest["assertion_store"].items():
            if not label.startswith("c2pa.hash.data"):
                continue
            for each in assertion.get("exclusions") or []:
                start, length = int(each["start"]), int(each["length"])
                if start < 0 or not 0 <= length <= LARGEST:
                    return False
                stream.seek(start)
                if not embedded(stream.read(length)):
                    return False
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return False  # a stranger's assertions
    return True


def is_box(data: bytes | bytearray) -> bool:
    """One JUMBF superbox that is as long as its size says (ISO/IEC 19566-5, A.2)."""
    return int.from_bytes(data[:4], "big") == len(data) and data[4:8] == JUMBF


def is_jpeg(data: bytes) -> bool:
    """APP11 segments that hold one box, in order (ISO/IEC 19566-5, D.2)."""
    box, at, number, instance = bytearray(), 0, 1, data[6:8]
    while at < len(data):
        body = data[at + 4 : (end := at + 2 + int.from_bytes(data[at + 2 : at + 4], "big"))]
        head = b"JP" + instance + number.to_bytes(4, "big")
        if data[at : at + 2] != b"\xff\xeb" or not body.startswith(head) or end > len(data):
            return False
        box += body[8:] if number == 1 else body[16:]  # the box's size and type are repeated
        at, number = end, number + 1
    return is_box(box)


def is_png(data: bytes) -> bool:
    """One chunk."""
    fits = int.from_bytes(data[:4], "big") + 12 == len(data)
    return fits and data[4:8] == b"caBX" and is_box(data[8:-4])


def is_gif(data: bytes) -> bool:
    """One application extension with its sub-blocks."""
    if data[:14] != b"\x21\xff\x0bC2PA_GIF\x01\x00\x00":
        return False
    box, at = bytearray(), 14
    while at < len(data) and data[at]:
        size = data[at]
        box += data[at + 1 : at + 1 + size]
        at += 1 + size
    return at == len(data) - 1 and is_box(box)


def is_riff(data: bytes) -> bool:
    """One chunk, with or without the byte that makes its size even."""
    size = int.from_bytes(data[4:8], "little")
    fits = len(data) - size - 8 in (0, size % 2)
    return fits and data[:4] == b"C2PA" and is_box(data[8 : 8 + size])


EMBEDDINGS: dict[str, Callable[[bytes], bool]] = {
    "image/jpeg": is_jpeg, "image/png": is_png, "image/gif": is_gif, "image/webp": is_riff,
    "video/avi": is_riff,
}  # fmt: skip
