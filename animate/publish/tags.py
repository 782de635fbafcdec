"""The texts of a result's metadata, and writers for places that ffmpeg and Pillow can't reach."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from animate.provenance import xmp
from animate.provenance.aigc import Aigc
from animate.provenance.tags import GIF_XMP, XMP_BOX


@dataclass(frozen=True)
class Texts:
    """The unsigned metadata of a file; the AIGC label goes into exactly one place."""

    claim: str  # JSON, ASCII
    aigc: Aigc
    source: str  # the IPTC digital source type's URI

    def xmp(self, *, label: bool, claim: bool = False) -> bytes:
        """An XMP packet: with the AIGC label, or the claim, where they have no other place."""
        aigc, comment = self.aigc if label else None, self.claim if claim else None
        return xmp.packet(self.source, aigc, comment)


def append_xmp_box(draft: Path, texts: Texts) -> None:
    """Append XMP to an MP4 or MOV file, as a uuid box (ISO/IEC 14496-12, section 11.1)."""
    body = XMP_BOX + texts.xmp(label=False)
    with draft.open("ab") as file:
        file.write((len(body) + 8).to_bytes(4, "big") + b"uuid" + body)


def extend_gif(draft: Path, texts: Texts) -> None:
    """Insert a comment and an XMP extension before a GIF's first picture.

    Source: GIF89a, sections 24 and 26; XMP specification part 3, section 1.1.2, magic trailer.
    """
    comment, packet = texts.claim.encode("ascii"), texts.xmp(label=True)
    parts = [comment[at : at + 255] for at in range(0, len(comment), 255)]
    added = b"!\xfe" + b"".join(bytes([len(part)]) + part for part in parts) + b"\0"
    trailer = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    added += b"!\xff\x0b" + GIF_XMP + packet + trailer
    with draft.open("rb+") as file:
        flags = file.read(13)[10]
        start = 13 + (3 << (flags & 7) + 1 if flags & 128 else 0)  # after the common palette
        end = file.seek(0, os.SEEK_END)
        for at in reversed(range(start, end, 1 << 20)):  # move the rest up, from its end
            file.seek(at)
            block = file.read(min(1 << 20, end - at))
            file.seek(at + len(added))
            file.write(block)
        file.seek(start)
        file.write(added)
