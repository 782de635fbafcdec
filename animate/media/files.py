"""What a file is: told by what is in it; its name counts only where its bytes tell nothing."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from animate.errors import AnimateError

ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")  # https://...
LONGEST_NAME = 255  # bytes
HEAD = 4096  # bytes that tell
MOST_PIXELS = 100_000_000  # of a picture that is decoded
PICTURE, CLIP, TEMPLATE, FOLDER, UNKNOWN = "picture", "clip", "template", "folder", ""


@dataclass(frozen=True)
class Format:
    """A file format: `kind` is one of the above, `words` name it in a sentence."""

    name: str
    kind: str
    words: str
    mime: str | None = None
    read: bool = True  # whether there is a reader for it here


NOTHING = Format("", UNKNOWN, "of no kind that is known here")
FORMATS = {
    f.name: f
    for f in (
        Format("jpeg", PICTURE, "a JPEG picture", "image/jpeg"),
        Format("png", PICTURE, "a PNG picture", "image/png"),
        Format("webp", PICTURE, "a WebP picture", "image/webp"),
        Format("gif", PICTURE, "a GIF", "image/gif"),
        Format("bmp", PICTURE, "a BMP picture", "image/bmp"),
        Format("tiff", PICTURE, "a TIFF picture", "image/tiff"),
        Format("heif", PICTURE, "a HEIC picture", "image/heic"),
        Format("avif", PICTURE, "an AVIF picture", "image/avif"),
        Format("jxl", PICTURE, "a JPEG XL picture", "image/jxl", read=False),
        Format("jp2", PICTURE, "a JPEG 2000 picture", "image/jp2", read=False),
        Format("raw", PICTURE, "a camera's raw picture", "image/x-dcraw", read=False),
        Format("psd", PICTURE, "a Photoshop document", "image/vnd.adobe.photoshop", read=False),
        Format("exr", PICTURE, "an OpenEXR picture", "image/x-exr", read=False),
        Format("svg", UNKNOWN, "a drawing (SVG)", "image/svg+xml", read=False),
        Format("pdf", UNKNOWN, "a PDF", "application/pdf", read=False),
        Format("mp4", CLIP, "an MP4", "video/mp4"),
        Format("mov", CLIP, "a QuickTime file", "video/quicktime"),
        Format("matroska", CLIP, "an MKV or WebM", "video/x-matroska"),
        Format("avi", CLIP, "an AVI", "video/avi"),
        Format("mpegts", CLIP, "an MPEG transport stream", "video/mp2t"),
        Format("mpeg", CLIP, "an MPEG video", "video/mpeg"),
        Format("mpegvideo", CLIP, "an MPEG video without sound", "video/mpeg"),
        Format("flv", CLIP, "a Flash video", "video/x-flv"),
        Format("asf", CLIP, "a Windows Media file", "video/x-ms-asf"),
        Format("ogg", CLIP, "an Ogg file", "video/ogg"),
        Format("mxf", CLIP, "an MXF", "application/mxf", read=False),
        Format("realmedia", CLIP, "a RealMedia file", "application/vnd.rn-realmedia", read=False),
        Format("sound", UNKNOWN, "sound without pictures", "audio/mp4"),
        Format("zip", TEMPLATE, "a ZIP archive", "application/zip"),
    )
}
# (offset, bytes, format), the first that fits
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
ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid")  # QuickTime without ftyp
BITMAPS = [struct.pack("<I", size) for size in (12, 16, 40, 52, 56, 64, 108, 124)]
# By what a container's first bytes name pictures, and sound: of files that may be sound alone.
MOVING = {
    "matroska": ((b"V_",), (b"A_",)),
    "ogg": ((b"theora", b"BBCD", b"VP80", b"video\0"), (b"vorbis", b"OpusHead", b"Speex", b"FLAC")),
    "asf": (
        (bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b"),),
        (bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b"),),
    ),
}
HEIF = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"miaf"}
# What a name promises where the bytes tell nothing: an empty, damaged or unknown file.
SUFFIXES = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp",
                     ".tif", ".tiff", ".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".dng",
                     ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".psd"), PICTURE),
    **dict.fromkeys((".mp4", ".mov", ".webm", ".mkv", ".avi", ".m4v", ".mpg", ".mpeg", ".ts",
                     ".mts", ".m2ts", ".flv", ".wmv", ".asf", ".ogv", ".3gp", ".3g2", ".qt", ".vob",
                     ".f4v", ".mxf", ".rm", ".rmvb", ".dv"), CLIP),
    ".npz": TEMPLATE,
}  # fmt: skip
SCRIPTS = (".ts", ".mts")  # these hold text as well, in another trade


def existing(path: Path) -> Path:
    """The path of a file or folder that is there.

    Raises AnimateError for a path that names nothing, an empty file, a pipe and a device.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise AnimateError(absent(path)) from error
    if size == 0 and path.is_file():
        raise AnimateError(f"{path} is empty: use a whole file")
    if not path.is_file() and not path.is_dir():
        raise AnimateError(f"{path} is a pipe or a device: give a file")
    return path


def check_place(out: Path) -> None:
    """Raise AnimateError where no file can get the name `out`."""
    if "\0" in str(out):
        raise AnimateError(f"{str(out)!r} holds a NUL character: use another name")
    if ADDRESS.match(str(out)):
        raise AnimateError(f"{_address(str(out))} is an address: name a file on this machine")
    if os.path.exists(out.parent) and not os.path.isdir(out.parent):
        raise AnimateError(f"{out.parent} is a file, no folder: use another place")
    if len(os.fsencode(out.name)) > LONGEST_NAME:
        raise AnimateError(f"{out} has too long a name: use at most {LONGEST_NAME} bytes")
    if not os.path.isdir(out.parent):
        raise AnimateError(f"there is no folder {out.parent}: make it first, or use another")


def shortened(name: str) -> str:
    """The first letters of a file's name, in at most 80 bytes."""
    return os.fsencode(name)[:80].decode("utf-8", "ignore")


def _address(text: str) -> str:
    """An address with both its slashes, of which a Path keeps one."""
    found = ADDRESS.match(text)
    return f"{found[1]}://{text[found.end() :]}" if found else text


def absent(path: Path) -> str:
    """What to say of a path that names nothing."""
    text = str(path)
    if ADDRESS.match(text):
        return f"{_address(text)} is an address: download it first, and give the file"
    if "\0" in text:
        return f"{text!r} holds a NUL character: check the path"
    if text.startswith("~"):
        return f"there is no {path}: write the home folder in full, quotes keep ~ as it is"
    near = {text.strip(), text.strip(" '\"\t\r\n"), text.replace("\\ ", " ")} - {text, ""}
    there = next((other for other in sorted(near) if Path(other).exists()), None)
    if there:
        return f"there is no {text!r}: did you mean {there}?"
    return f"there is no {path}: check the path"


def format_of(path: Path) -> Format:
    """The format by a file's first bytes; `NOTHING` where they are of none known here.

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
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    if head[4:8] in ATOMS and head[0] < 32:  # else it is a text with such a word
        return "mov"
    found = (n for at, start, n in SIGNATURES if head[at : at + len(start)] == start)
    name = next(found, "")
    if name in ("webp", "avi") and head[:4] not in (b"RIFF", b"RIFX"):
        return ""
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

    Its first page is a preview (NewSubfileType 1), or it says so: DNGVersion, or the photometric
    interpretations CFA and LinearRaw (DNG 1.7, chapter 2).
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


def kind_of(path: Path) -> str:
    """PICTURE (one), CLIP (moving pictures, animated GIF, WebP and PNG too), TEMPLATE, FOLDER.

    UNKNOWN for anything else. Reads the first bytes, and of pictures that may move the headers.
    Raises AnimateError for a path that names nothing and for an empty file.
    """
    path = existing(path)
    return FOLDER if path.is_dir() else _kind(path, format_of(path))


def _kind(path: Path, found: Format) -> str:
    if found is NOTHING:
        return SUFFIXES.get(path.suffix.lower(), UNKNOWN)
    return CLIP if found.name in DELAYS and moves(path) else found.kind


def is_picture(path: Path) -> bool:
    """Whether a file is of a format of pictures, though they may move."""
    return path.is_file() and format_of(path).kind == PICTURE


def moves(path: Path) -> bool:
    """Whether a picture has two frames or more."""
    return len(list(islice(delays(path), 2))) == 2


def is_media(path: Path) -> bool:
    """Whether a file of a folder is a picture or a clip; cheap, and never raises.

    Its bytes say so, or tell nothing while its name says so: what is damaged, or can't be opened,
    is not passed over. Folders, pipes and devices are none.
    """
    return kind_in_folder(path) in (PICTURE, CLIP)


def kind_in_folder(path: Path) -> str:
    """As `kind_of`, but UNKNOWN for folders, pipes, devices and texts, and by its name alone where
    a file is empty or can't be opened; never raises.
    """
    suffix = path.suffix.lower()
    try:
        if not path.is_file():
            return UNKNOWN
        with path.open("rb") as file:
            head = file.read(HEAD)
        if suffix in SCRIPTS and b"\0" not in head:
            return UNKNOWN
        return _kind(path, format_of(path))
    except (OSError, ValueError, AnimateError):
        return SUFFIXES.get(suffix, UNKNOWN)


def files_in(folder: Path, kind: str = PICTURE) -> list[Path]:
    """The files of a folder that are of a kind, by name; hidden ones are left out."""
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and kind_in_folder(path) == kind
    )


def delays(path: Path) -> Iterator[Fraction]:
    """The seconds that each frame of an animated GIF, WebP or PNG is shown, as its headers say.

    Nothing for a format that doesn't move; a PNG without animation, and a simple WebP, has none.
    """
    walk = DELAYS.get(format_of(path).name)
    if walk is not None:
        with path.open("rb") as file:
            yield from walk(file)


def _gif_delays(file: BinaryIO) -> Iterator[Fraction]:
    """GIF89a: blocks 18 to 23, delays in hundredths of a second.

    Raises AnimateError for a screen or a frame of more pixels than are decoded.
    """

    def skip_blocks() -> None:
        while (size := file.read(1)) and size[0]:
            file.seek(size[0], 1)

    def check(width: int, height: int) -> None:
        if width * height > MOST_PIXELS:
            raise AnimateError(f"{file.name} is too large ({width}x{height}): use a smaller one")

    screen = file.read(13).ljust(13, b"\0")
    check(*struct.unpack("<HH", screen[6:10]))
    if screen[10] & 0x80:
        file.seek(3 << ((screen[10] & 7) + 1), 1)
    delay = 0
    while (mark := file.read(1)) in (b"\x21", b"\x2c", b"\0"):
        if mark == b"\x21" and file.read(1) == b"\xf9":
            data = file.read(6)
            delay = int.from_bytes(data[2:4], "little")
        elif mark == b"\x21":
            skip_blocks()
        elif mark == b"\x2c":
            place = file.read(9)
            if len(place) < 9:
                return
            check(*struct.unpack("<HH", place[4:8]))
            if place[8] & 0x80:
                file.seek(3 << ((place[8] & 7) + 1), 1)
            file.seek(1, 1)
            skip_blocks()
            yield Fraction(delay, 100)
            delay = 0


def _webp_delays(file: BinaryIO) -> Iterator[Fraction]:
    """WebP container (RFC 9649), section 2.7.1.1: ANMF chunks, in milliseconds."""
    at = 12
    while True:
        file.seek(at)
        head = file.read(24)
        if len(head) < 8:
            return
        if head[:4] == b"ANMF" and len(head) == 24:
            yield Fraction(int.from_bytes(head[20:23], "little"), 1000)
        size = int.from_bytes(head[4:8], "little")
        at += 8 + size + size % 2


def _png_delays(file: BinaryIO) -> Iterator[Fraction]:
    """PNG (third edition), sections 11.3.6: fcTL chunks, fractions of a second; after an acTL."""
    at, moving = 8, False
    while True:
        file.seek(at)
        head = file.read(34)
        name = head[4:8]
        if len(name) < 4 or name == b"IEND" or (name == b"IDAT" and not moving):
            return
        moving = moving or name == b"acTL"
        if name == b"fcTL" and moving and len(head) >= 32:
            number, of = struct.unpack(">HH", head[28:32])
            yield Fraction(number, of or 100)
        at += 12 + int.from_bytes(head[:4], "big")


DELAYS = {"gif": _gif_delays, "webp": _webp_delays, "png": _png_delays}
