"""A file's type by its first bytes: its MIME type for C2PA, and whether it is visual media."""

from __future__ import annotations

from pathlib import Path

# ISO/IEC 14496-12 boxes that may start an MP4 or MOV, and the brands of picture files
# (ISO/IEC 23008-12, annex B; AV1 Image File Format, section 6).
BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
BRANDS = {
    b"heic": "image/heic", b"heix": "image/heic", b"heim": "image/heic", b"heis": "image/heic",
    b"hevc": "image/heic", b"hevx": "image/heic", b"avif": "image/avif", b"avis": "image/avif",
    b"mif1": "image/heif", b"msf1": "image/heif",
}  # fmt: skip
SEQUENCES = (b"hevc", b"hevx", b"avis", b"msf1")  # several pictures: read as a clip
AUDIO_BRANDS = (b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B ")
AUDIO_SUFFIXES = (".wma", ".mka", ".weba")  # audio only, in containers that video uses too
STARTS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif",
          b"II*\0": "image/tiff", b"MM\0*": "image/tiff"}  # fmt: skip
# First bytes of other media: Matroska and WebM, ASF, FLV, MPEG programme streams, Photoshop,
# OpenEXR, JPEG 2000 (file and stream), JPEG XL (file and stream), BigTIFF.
OTHERS = (
    b"\x1a\x45\xdf\xa3", bytes.fromhex("3026b2758e66cf11"), b"FLV\1", b"\0\0\1\xba", b"8BPS\0\1",
    b"\x76\x2f\x31\x01", b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51",
    b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a", b"II+\0", b"MM\0+",
)  # fmt: skip


def kind_of(path: Path) -> str | None:
    """The MIME type by a file's first bytes; None if C2PA can't embed a manifest in that type."""
    with path.open("rb") as file:
        return _kind(file.read(64))


def is_sequence(path: Path) -> bool:
    """Whether a HEIF or AVIF file declares that it holds a sequence of pictures."""
    with path.open("rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in SEQUENCES


def is_medium(path: Path) -> bool:
    """Whether a file starts like a picture or video, including kinds that can't be read here.

    Audio, text and documents do not count. Raises OSError if the file can't be opened.
    """
    if path.suffix.lower() in AUDIO_SUFFIXES:
        return False
    with path.open("rb") as file:
        head = file.read(512)
        size = file.seek(0, 2)
    if head[4:8] in BOXES:  # the box must fit into the file: text may contain these letters too
        first = int.from_bytes(head[:4], "big")
        return (first < 2 or 8 <= first <= size) and head[8:12] not in AUDIO_BRANDS
    if _kind(head) is not None or head.startswith(OTHERS):
        return True
    if head.startswith(b"BM"):
        return int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124)
    if head.startswith(b"OggS"):
        return head[28:35] == b"\x80theora"
    return len(head) == 512 and all(head[at] == 0x47 for at in (0, 188, 376))  # MPEG-TS packets


def _kind(head: bytes) -> str | None:
    if head[4:8] in BOXES:
        return _brand(head) if head[4:8] == b"ftyp" else "video/mp4"
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"AVI ": "video/avi"}.get(head[8:12])
    return next((kind for start, kind in STARTS.items() if head.startswith(start)), None)


def _brand(head: bytes) -> str:
    """The MIME type by a file type box's major brand; for plain HEIF also by compatible brands."""
    if head[8:12] == b"qt  ":
        return "video/quicktime"
    kind = BRANDS.get(head[8:12], "video/mp4")
    if kind != "image/heif":
        return kind
    end = min(int.from_bytes(head[:4], "big"), len(head))
    kinds = [BRANDS.get(head[at : at + 4]) for at in range(16, end - 3, 4)]
    return next((k for k in kinds if k in ("image/heic", "image/avif")), "image/heif")
