"""The MIME type of a file by its first bytes, as C2PA needs it."""

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
STARTS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif",
          b"II*\0": "image/tiff", b"MM\0*": "image/tiff"}  # fmt: skip


def kind_of(path: Path) -> str | None:
    """The MIME type by a file's first bytes; None if C2PA can't embed a manifest in that type."""
    with path.open("rb") as file:
        return _kind(file.read(64))


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
