"""The colours that a photo's file names by ITU-T H.273's numbers, which Pillow doesn't tell."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from animate.media.formats import format_of

LARGEST_META = 16 << 20  # bytes of a `meta` box that is read: properties, profiles, places
MOST_BOXES = 100_000  # of one file or one box: more are nonsense


class Box(NamedTuple):
    """A box of an ISO base media file (ISO/IEC 14496-12, section 4.2), without its head."""

    kind: bytes
    data: bytes


def coded_in(path: Path) -> tuple[int, int] | None:
    """The primaries and the transfer that a PNG's cICP or an AVIF's or HEIC's `colr` names.

    None where the file names none, or holds an ICC profile that goes before: in a PNG cICP does
    (third edition, section 4.3); in AVIF and HEIC the profile (MIAF, ISO/IEC 23000-22, 7.3.6.4).
    """
    name = format_of(path).name
    with path.open("rb") as file:
        if name == "png":
            return _of_png(file)
        if name in ("avif", "heif"):
            return _of_heif(_meta(file))
    return None


def premultiplied(path: Path) -> bool:
    """Whether an AVIF's colours are multiplied by its alpha: HEIF, section 6.10.1.1, `prem`."""
    with path.open("rb") as file:
        return b"prem" in dict(_boxes(_meta(file)[4:])).get(b"iref", b"")


def _of_png(file: BinaryIO) -> tuple[int, int] | None:
    """PNG (third edition), section 11.3.2.6: the chunk cICP, which stands before the pixels."""
    file.seek(8)
    while len(head := file.read(8)) == 8 and head[4:] not in (b"IDAT", b"IEND"):
        length = int.from_bytes(head[:4], "big")
        if head[4:] == b"cICP" and length == 4:
            primaries, transfer, _, _ = file.read(4).ljust(4, b"\0")
            return primaries, transfer
        file.seek(length + 4, 1)
    return None


def _of_heif(meta: bytes) -> tuple[int, int] | None:
    """HEIF (ISO/IEC 23008-12), sections 6.5.5 and 9.3: what `colr` says of the primary picture."""
    inside = dict(_boxes(meta[4:]))
    primary = _primary(inside.get(b"pitm", b""))
    properties = list(_boxes(inside.get(b"iprp", b"")))
    known = [box for outer in properties if outer.kind == b"ipco" for box in _boxes(outer.data)]
    named = None
    for outer in properties:
        for index in _associated(outer.data, primary) if outer.kind == b"ipma" else ():
            kind, data = known[index - 1] if 0 < index <= len(known) else (b"", b"")
            if kind != b"colr":
                continue
            if data[:4] in (b"prof", b"rICC"):
                return None
            if data[:4] == b"nclx" and len(data) >= 8:
                named = named or struct.unpack_from(">HH", data, 4)
    return named


def _meta(file: BinaryIO) -> bytes:
    """The content of the file's box `meta`; nothing where there is none."""
    at = 0
    for _ in range(MOST_BOXES):
        file.seek(at)
        size, kind, head = _head(file.read(16))
        if kind == b"meta" and size:
            file.seek(at + head)
            return file.read(min(size - head, LARGEST_META))
        if size < head or not size:
            break
        at += size
    return b""


def _head(data: bytes) -> tuple[int, bytes, int]:
    """A box's size, kind and the size of its head; the size is 0 where there is no box."""
    if len(data) < 8:
        return 0, b"", 8
    size, kind = struct.unpack_from(">I4s", data)
    if size == 1 and len(data) >= 16:
        return struct.unpack_from(">Q", data, 8)[0], kind, 16
    return (LARGEST_META if size == 0 else size), kind, 8  # 0: up to the end


def _boxes(data: bytes) -> Iterator[Box]:
    at = 0
    for _ in range(MOST_BOXES):
        size, kind, head = _head(data[at : at + 16])
        if size < head or not size:
            return
        yield Box(kind, data[at + head : at + size])
        at += size


def _primary(data: bytes) -> int:
    """HEIF, section 8.11.4 of ISO/IEC 14496-12: the number of the primary picture."""
    return int.from_bytes(data[4:8] if data[:1] > b"\0" else data[4:6], "big")


def _associated(data: bytes, item: int) -> list[int]:
    """The numbers, from 1, of an item's properties: ISO/IEC 23008-12, section 9.3.2, `ipma`."""
    if len(data) < 8:
        return []
    wide, long = data[0] > 0, data[3] & 1
    (count,) = struct.unpack_from(">I", data, 4)
    at = 8
    for _ in range(min(count, MOST_BOXES)):
        step = 4 if wide else 2
        number = int.from_bytes(data[at : at + step], "big")
        many = data[at + step] if at + step < len(data) else 0
        at += step + 1
        size = 2 if long else 1
        if number == item:
            some = (data[at + i * size : at + (i + 1) * size] for i in range(many))
            return [int.from_bytes(one, "big") & (0x7FFF if long else 0x7F) for one in some]
        at += many * size
        if at >= len(data):
            break
    return []
