"""The MIME type of a file by its first bytes, as C2PA needs it."""

from __future__ import annotations

from pathlib import Path

from animate.media import formats

# By the names of `media.formats`; an MP4's brand may say more.
TYPES = {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "tiff": "image/tiff",
         "webp": "image/webp", "avi": "video/avi", "mov": "video/mp4"}  # fmt: skip
# Brands of picture files (ISO/IEC 23008-12, annex B; AV1 Image File Format, section 6).
BRANDS = {
    b"heic": "image/heic", b"heix": "image/heic", b"heim": "image/heic", b"heis": "image/heic",
    b"hevc": "image/heic", b"hevx": "image/heic", b"avif": "image/avif", b"avis": "image/avif",
    b"mif1": "image/heif", b"msf1": "image/heif",
}  # fmt: skip


def kind_of(path: Path) -> str | None:
    """The MIME type by a file's first bytes; None if C2PA can't embed a manifest in that type."""
    with path.open("rb") as file:
        head = file.read(64)
    name = formats.named(head)
    return _brand(head) if name == "mp4" else TYPES.get(name)


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
