"""Read a file's unsigned metadata, wherever its format keeps it: comments, XMP, AIGC labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from animate.media import delays, formats, photos
from animate.media.reader import CONTAINERS
from animate.provenance import xmp
from animate.provenance.credentials import source_types

XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # ISO 16684-3: uuid box in MP4
GIF_XMP = b"XMP DataXMP"  # name of a GIF's XMP extension
MOST_BOXES, MOST_PACKETS, LONGEST_TEXT = 10_000, 8, 1 << 20  # per level, per file, characters


@dataclass(frozen=True)
class Tags:
    """Metadata as it is in the file: anybody can write it."""

    comments: tuple[str, ...] = ()
    aigc: tuple[str, ...] = ()  # every copy; GB 45438 requires one
    source: str | None = None  # IPTC digital source type, from XMP or else from a C2PA manifest
    manifest: str | None = None  # address of a C2PA manifest, from XMP


def read(path: Path) -> Tags:
    """The tags of a picture or video; empty if there are none or they can't be read."""
    if is_still(path):
        tags = _picture_tags(path)
    else:
        tags = {**_container_tags(path), **_picture_tags(path)}
    named = [(str(k).lower().split(".")[-1], _text(v)) for k, v in tags.items()]
    comments = [v for k, v in named if k == "comment"]
    aigc = [v for k, v in named if k == "aigc"]
    sources = [v for k, v in named if k == "digital_source_type"]
    packets = [_bytes(v) for k, v in tags.items() if k == "xmp"] + list(_packets(path))
    links = []
    for packet in map(xmp.read, packets):
        comments += [packet.comment] if packet.comment else []
        aigc += packet.aigc
        sources += [packet.source] if packet.source else []
        links += [packet.manifest] if packet.manifest else []
    sources = sources or list(source_types(path)[:1])
    first = next(iter(sources), None), next(iter(links), None)
    return Tags(tuple(comments), tuple(aigc), *first)


def is_still(path: Path) -> bool:
    """Whether a file is one picture; animated pictures are read as clips."""
    found = formats.format_of(path)
    return found.kind == formats.PICTURE and sum(1 for _ in delays.delays(path)) < 2


def _text(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text[:LONGEST_TEXT]


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def _picture_tags(path: Path) -> dict[Any, Any]:
    from PIL import Image

    try:
        with photos.opened(path) as image:
            width, height = image.size
            if width * height <= photos.MOST_PIXELS:
                image.load()  # a PNG may hold its text after the picture
            return dict(image.info)
    except (*photos.BROKEN, Image.DecompressionBombError):
        return {}


def _container_tags(path: Path) -> dict[Any, Any]:
    import av

    options = {"format_whitelist": CONTAINERS}
    try:
        with av.open(f"file:{path.absolute()}", options=options) as container:
            return dict(container.metadata)
    except (av.FFmpegError, OSError, ValueError):
        return {}


def _packets(path: Path) -> Iterator[bytes]:
    """XMP packets of a GIF, MP4 or MOV, which neither Pillow nor ffmpeg reports."""
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(0)
        found: list[bytes] = []
        if formats.named(head) == "gif":
            found = [body for kind, body in gif_extensions(file) if kind == GIF_XMP]
        elif formats.named(head) in ("mp4", "mov"):
            found = list(islice(_xmp_boxes(file, 0, path.stat().st_size), MOST_PACKETS))
        yield from found[:MOST_PACKETS]


def _xmp_boxes(
    file: BinaryIO, at: int, end: int, into: tuple[bytes, ...] = (b"moov", b"udta")
) -> Iterator[bytes]:
    """XMP in uuid boxes (MP4) and in moov/udta/XMP_ (QuickTime).

    Source: ISO/IEC 14496-12, section 4.2; XMP part 3, section 1.2.7; QuickTime File Format, "User
    data atoms".
    """
    for _ in range(MOST_BOXES):
        file.seek(at)
        head = file.read(16) if at + 8 <= end else b""
        if len(head) < 8:
            return
        size, kind, start = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:
            size, start = int.from_bytes(head[8:16], "big"), 16
        elif size == 0:
            size = end - at
        if size < start or at + size > end:
            return
        file.seek(at + start)
        if kind == b"uuid" and start + 16 <= size <= xmp.LARGEST and file.read(16) == XMP_BOX:
            yield file.read(size - start - 16)
        elif kind == b"XMP_" and not into and size <= xmp.LARGEST:
            yield file.read(size - start)
        elif kind in into[:1]:
            yield from _xmp_boxes(file, at + start, at + size, into[1:])
        at += size


def gif_extensions(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """(identifier, data) of a GIF's application extensions, (b"comment", text) of its comments.

    XMP data are unchanged, without the magic trailer. Source: GIF89a, sections 24 and 26; XMP part
    3, section 1.1.2. Stops without an error where the file is broken.
    """
    head = file.read(13)
    if len(head) < 13:
        return
    if head[10] & 128:
        file.seek(3 << (head[10] & 7) + 1, 1)
    while True:
        kind = file.read(1)
        if kind == b"!":
            label = file.read(1)
            if label == b"\xff" and file.read(1) == b"\x0b":
                name = file.read(11)
                yield name, _gif_xmp(file) if name == GIF_XMP else b"".join(_sub_blocks(file))
            elif label == b"\xfe":
                yield b"comment", b"".join(_sub_blocks(file))
            else:
                for _ in _sub_blocks(file):
                    pass
        elif kind == b",":
            header = file.read(9)
            if len(header) < 9:
                return
            if header[8] & 128:
                file.seek(3 << (header[8] & 7) + 1, 1)
            file.seek(1, 1)
            for _ in _sub_blocks(file):
                pass
        else:
            return


def _sub_blocks(file: BinaryIO) -> Iterator[bytes]:
    while (size := file.read(1)) not in (b"", b"\0"):
        yield file.read(size[0])


def _gif_xmp(file: BinaryIO) -> bytes:
    """A packet up to its magic trailer: 0x01, 0xff, 0xfe, ... 0x00, 0x00."""
    start, data = file.tell(), b""
    while len(data) <= xmp.LARGEST:
        block = file.read(4096)
        data += block
        at = data.find(b"\x01\xff\xfe\xfd\xfc")
        if at >= 0:
            file.seek(start + at + 258)
            return data[:at]
        if not block:
            break
    return b""
