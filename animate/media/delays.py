"""How long each frame of an animated GIF, WebP or PNG is shown, from the file's headers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from animate.errors import AnimateError
from animate.media.formats import format_of

MOST_PIXELS = 100_000_000  # larger pictures are not decoded


def moves(path: Path) -> bool:
    """Whether a picture has two frames or more."""
    return len(list(islice(delays(path), 2))) == 2


def delays(path: Path) -> Iterator[Fraction]:
    """The seconds that each frame of an animated GIF, WebP or PNG is shown.

    Empty for other formats, and for a PNG or WebP without animation.
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
