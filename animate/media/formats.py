"""File formats, recognised by their first bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from animate.errors import AnimateError

HEAD = 4096  # bytes at the start that are looked at
PICTURE, CLIP, TEMPLATE, FOLDER, UNKNOWN = "picture", "clip", "template", "folder", ""


@dataclass(frozen=True)
class Format:
    """A file format."""

    name: str
    kind: str  # PICTURE, CLIP, TEMPLATE or UNKNOWN
    words: str  # its name in a sentence
    read: bool = True  # whether animate can read it


NOTHING = Format("", UNKNOWN, "of an unknown format")
FORMATS = {
    f.name: f
    for f in (
        Format("jpeg", PICTURE, "a JPEG picture"),
        Format("png", PICTURE, "a PNG picture"),
        Format("webp", PICTURE, "a WebP picture"),
        Format("gif", PICTURE, "a GIF"),
        Format("bmp", PICTURE, "a BMP picture"),
        Format("tiff", PICTURE, "a TIFF picture"),
        Format("heif", PICTURE, "a HEIC picture"),
        Format("avif", PICTURE, "an AVIF picture"),
        Format("jxl", PICTURE, "a JPEG XL picture", read=False),
        Format("jp2", PICTURE, "a JPEG 2000 picture", read=False),
        Format("raw", PICTURE, "a camera's raw picture", read=False),
        Format("psd", PICTURE, "a Photoshop document", read=False),
        Format("exr", PICTURE, "an OpenEXR picture", read=False),
        Format("svg", UNKNOWN, "a drawing (SVG)", read=False),
        Format("pdf", UNKNOWN, "a PDF", read=False),
        Format("mp4", CLIP, "an MP4"),
        Format("mov", CLIP, "a QuickTime file"),
        Format("matroska", CLIP, "an MKV or WebM"),
        Format("avi", CLIP, "an AVI"),
        Format("mpegts", CLIP, "an MPEG transport stream"),
        Format("mpeg", CLIP, "an MPEG video"),
        Format("mpegvideo", CLIP, "an MPEG video without sound"),
        Format("flv", CLIP, "a Flash video"),
        Format("asf", CLIP, "a Windows Media file"),
        Format("ogg", CLIP, "an Ogg file"),
        Format("mxf", CLIP, "an MXF", read=False),
        Format("realmedia", CLIP, "a RealMedia file", read=False),
        Format("sound", UNKNOWN, "sound without pictures"),
        Format("zip", TEMPLATE, "a ZIP archive"),
    )
}
# (offset, bytes, name of the format); the first match counts
SIGNATURES = (
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"\x89PNG", "png"),
    (0, b"GIF8", "gif"),
    (0, b"BM", "bmp"),
    (0, b"II*\0", "tiff"),
    (0, b"MM\0*", "tiff"),
    (0, b"II+\0", "tiff"),
    (0, b"MM\0+", "tiff"),
    (8, b"WEBP", "webp"),
    (8, b"AVI ", "avi"),
    (0, b"IIRO", "raw"),
    (0, b"IIRS", "raw"),
    (0, b"IIU\0", "raw"),
    (0, b"FUJIFILMCCD-RAW", "raw"),
    (0, b"FOVb", "raw"),
    (0, b"\xff\x0a", "jxl"),
    (4, b"JXL ", "jxl"),
    (4, b"jP  ", "jp2"),
    (0, b"\xff\x4f\xff\x51", "jp2"),
    (0, b"8BPS", "psd"),
    (0, b"v/1\x01", "exr"),
    (0, b"%PDF-", "pdf"),
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (0, b"FLV\x01", "flv"),
    (0, bytes.fromhex("3026b2758e66cf11"), "asf"),
    (0, b"OggS", "ogg"),
    (0, b"\0\0\x01\xba", "mpeg"),
    (0, b"\0\0\x01\xb3", "mpegvideo"),
    (0, bytes.fromhex("060e2b34020501"), "mxf"),
    (0, b".RMF", "realmedia"),
    (0, b"PK\3\4", "zip"),
    (0, b"PK\5\6", "zip"),
)
FILE_TYPE = b"ftyp"  # the first box of an ISO base media file
ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid")  # QuickTime without ftyp
BITMAPS = [struct.pack("<I", size) for size in (12, 16, 40, 52, 56, 64, 108, 124)]
# Containers that may hold sound alone: bytes that name video codecs, and sound codecs.
MOVING = {
    "matroska": ((b"V_",), (b"A_",)),
    "ogg": ((b"theora", b"BBCD", b"VP80", b"video\0"), (b"vorbis", b"OpusHead", b"Speex", b"FLAC")),
    "asf": (
        (bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b"),),
        (bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b"),),
    ),
}
HEIF = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"miaf"}


def format_of(path: Path) -> Format:
    """The format by a file's first bytes; `NOTHING` for an unknown one.

    Raises AnimateError for a file that can't be opened.
    """
    try:
        with path.open("rb") as file:
            return FORMATS.get(_named(file), NOTHING)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise AnimateError(f"{path} can't be read ({why}): check its rights") from error


def _named(file: BinaryIO) -> str:
    head = file.read(HEAD)
    if head[4:8] == FILE_TYPE:
        return _by_brand(head)
    name = named(head)
    if name == "bmp" and head[14:18] not in BITMAPS:
        return ""
    if name == "tiff" and _from_a_camera(file, head):
        return "raw"
    if name in MOVING and not _has_video(head, *MOVING[name]):
        return "sound"
    if name:
        return name
    packets = ((0, 188), (4, 192), (0, 204))  # offset and size: plain, of cameras, with parity
    if any(_in_step(head, *packet) for packet in packets):
        return "mpegts"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return "svg" if text[:5] in (b"<?xml", b"<svg ", b"<!DOC") and b"<svg" in head else ""


def named(head: bytes) -> str:
    """The format that a file's first bytes name, whatever follows; "mp4" where brands say more."""
    if head[4:8] == FILE_TYPE:
        return "mp4"
    if head[4:8] in ATOMS and head[0] < 32:  # otherwise a text with that word
        return "mov"
    found = (n for at, start, n in SIGNATURES if head[at : at + len(start)] == start)
    name = next(found, "")
    riff = head[:4] in (b"RIFF", b"RIFX")
    return "" if name in ("webp", "avi") and not riff else name


def _by_brand(head: bytes) -> str:
    """The format of an ISO base media file (ISO/IEC 14496-12, section 4.3)."""
    size = max(16, min(struct.unpack(">I", head[:4])[0], len(head)))
    major = head[8:12]
    brands = {major, *(head[i : i + 4] for i in range(16, size - 3, 4))}
    if major == b"crx ":
        return "raw"
    if major in (b"M4A ", b"M4B ", b"F4A ", b"F4B "):
        return "sound"
    if major == b"avif" or (major in HEIF and b"avif" in brands):
        return "avif"
    if major in HEIF:
        return "heif"
    return "mov" if major == b"qt  " else "mp4"


def _has_video(head: bytes, video: tuple[bytes, ...], sound: tuple[bytes, ...]) -> bool:
    return any(mark in head for mark in video) or not any(mark in head for mark in sound)


def _in_step(head: bytes, first: int, step: int) -> bool:
    """Whether MPEG transport packets follow one another (ISO/IEC 13818-1, section 2.4.3.2)."""
    marks = head[first::step][:8]
    return len(marks) >= 3 and set(marks) == {0x47}


def _from_a_camera(file: BinaryIO, head: bytes) -> bool:
    """Whether a TIFF is a sensor's raw data: DNG, CR2, NEF, ARW and their like.

    Then its first page is a preview (NewSubfileType 1), or it has the tag DNGVersion, or the
    photometric interpretation CFA or LinearRaw (DNG 1.7, chapter 2).
    """
    if head[8:10] == b"CR":
        return True
    order = "<" if head[:1] == b"I" else ">"
    if head[2:4] not in (b"*\0", b"\0*"):
        return False  # BigTIFF
    file.seek(struct.unpack(order + "I", head[4:8].ljust(4, b"\0"))[0])
    count = struct.unpack(order + "H", file.read(2).ljust(2, b"\0"))[0]
    tags = {}
    for _ in range(min(count, 512)):
        entry = file.read(12)
        if len(entry) < 12:
            break
        tag, kind, _, value = struct.unpack(order + "HHI4s", entry)
        tags[tag] = struct.unpack(order + ("H2x" if kind == 3 else "I"), value)[0]
    sensor = tags.get(262) in (32803, 34892)
    preview = tags.get(254) == 1 and 330 in tags
    return 50706 in tags or sensor or preview
