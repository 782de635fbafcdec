"""The carriers of the mark: which waves speak for which bit, and with which sign.

A picture is thought of as a sheet of cells, 128 to its short side, in Y, Cb, Cr (ITU-R BT.601, full
range). The mark is periodic: every 128 cells, both ways, it repeats, so that it covers pictures of
any shape, and a piece of it is a shifted whole. A wave is one coefficient of the Fourier transform
over one period: its cosine and its sine each have a keyed random sign. All of this belongs to a
version of the mark and never changes within it, so that a reader needs no settings.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import cache

import numpy as np

from animate.watermark.payload import BODY_CODE, TAG_CODE, TOOLKIT_KEY, Payload, encode

GRID = 128  # cells to a period, and to the short side of a marked picture
HALF = GRID // 2 + 1  # a real picture's transform has (128, 65) coefficients of its own

FORWARD = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)
BACKWARD = np.linalg.inv(FORWARD)

DOWN = np.fft.fftfreq(GRID, 1 / GRID)[:, None]  # (128, 1) cycles a period
ACROSS = np.arange(HALF)[None]  # (1, 65)
RADIUS = np.hypot(DOWN, ACROSS)  # (128, 65)


@dataclass(frozen=True)
class Waves:
    """K waves of one purpose: flat indices into (3, 128, 65), and the code bit each speaks for."""

    index: np.ndarray  # (K,)
    slot: np.ndarray  # (K,)


@dataclass(frozen=True)
class Layout:
    """The waves of a version. The pilot says where, the tag whose, the body what."""

    pilot: Waves  # known signs: presence and place
    tag: Waves  # 80 code bits: key id and nonce
    body: Waves  # 256 code bits: content id and its authentication


FREE = (ACROSS > 0) & (ACROSS < GRID // 2)  # the columns at the rim are not free


@dataclass(frozen=True)
class Ring:
    """Waves of some channels from an inner to an outer radius (excluded), in cycles a period."""

    channels: str  # "luma" (Y) or "chroma" (Cb and Cr)
    inner: float
    outer: float
    pilot: float  # share of its waves that is pilot, ...
    tag: float  # ... and that is tag; the rest is body


@dataclass(frozen=True)
class MarkVersion:
    """All that a reader and an embedder must share to speak of the same mark.

    Another version is another object in VERSIONS, and changes none of the others. What versions
    share is the sheet of 128 cells and the payload with its codes, so that one transform of a
    picture serves them all; carriers and signs hang on the number.
    """

    number: int  # 1 to 15, in the payload
    rings: tuple[Ring, ...]
    luma: float  # how much a luma wave counts beside a chroma wave
    luma_share: float  # of the energy that is luma, two thirds of it in larger pictures
    pilot: float  # times the amplitude of the body's waves
    tag: float
    chroma_half: tuple[float, float]  # radius at which a codec leaves half, power of the decline
    luma_half: tuple[float, float]


# What has to survive most is coarse chroma: codecs keep it longest, and it finds a place from afar.
# Chroma in waves of 8 to 64 pixels of 256: coarser ones drown in the picture, finer ones in the
# codec. Luma in waves of 4 to 9, which the eye, and VMAF, forgive more than coarser ones; it says
# that a mark is there and no more: it is for pictures without colours.
V1 = MarkVersion(
    number=1,
    rings=(
        Ring("chroma", 4, 9, 0.55, 0.25),
        Ring("chroma", 9, 14, 0.40, 0.20),
        Ring("chroma", 14, 21, 0.30, 0.10),
        Ring("chroma", 21, 34, 0.08, 0.0),
        Ring("luma", 30, 58, 1.00, 0.0),
    ),
    luma=0.25,
    luma_share=0.03,
    pilot=1.2,
    tag=1.2,
    chroma_half=(13, 4),
    luma_half=(28, 3),
)
VERSIONS = {V1.number: V1}  # all that are looked for; each costs its share of the bound on chance


@cache
def band(version: MarkVersion = V1) -> np.ndarray:
    """(3, 128, 65) where the mark may be and how strong."""
    out = np.zeros((3, GRID, HALF))
    for ring in version.rings:
        inside = (ring.inner <= RADIUS) & (ring.outer > RADIUS) & FREE
        if ring.channels == "luma":
            out[0, inside] = version.luma
        else:
            out[1:, inside] = 1.0
    return out


@cache
def survival(version: MarkVersion = V1) -> np.ndarray:
    """(3, 128, 65) about what share of an amplitude H.264 keeps at usual rates."""
    declines = (version.luma_half, version.chroma_half)
    luma, chroma = (1 / (1 + (RADIUS / half) ** power) for half, power in declines)
    return np.stack([luma, chroma, chroma])


@cache
def layout(version: MarkVersion = V1) -> Layout:
    """The layout of a version, the same for everybody.

    Drawn, like the signs, from SHAKE-256 and not from a random generator, whose stream a library
    may change: a mark has to be readable for good.
    """
    groups: list[list[np.ndarray]] = [[], [], []]
    for number, ring in enumerate(version.rings):
        flat = np.flatnonzero((ring.inner <= RADIUS) & (ring.outer > RADIUS) & FREE)
        channels = (0,) if ring.channels == "luma" else (1, 2)
        index = np.concatenate([flat + channel * RADIUS.size for channel in channels])
        name = f"animate mark {version.number} layout {number}".encode()
        draw = np.frombuffer(hashlib.shake_256(name).digest(8 * len(index)), "<u8")
        index = index[np.argsort(draw, kind="stable")]
        cuts = [round(share * len(index)) for share in (ring.pilot, ring.pilot + ring.tag)]
        for group, part in zip(groups, np.split(index, cuts), strict=True):
            group.append(part)
    sizes = (1, TAG_CODE, BODY_CODE)
    return Layout(*(_dealt(group, n) for group, n in zip(groups, sizes, strict=True)))


def _dealt(parts: list[np.ndarray], bits: int) -> Waves:
    """Waves in order of radius, dealt to the bits like cards: each gets some of every radius."""
    index = np.concatenate(parts)
    index = index[np.argsort(np.tile(RADIUS.reshape(-1), 3)[index], kind="stable")]
    index = index[: len(index) // bits * bits]
    rounds = np.arange(len(index)) // bits
    slot = (np.arange(len(index)) + rounds * 37) % bits
    return Waves(index, slot)


def signs(seed: bytes, waves: Waves) -> np.ndarray:
    """(K,) the signs +-1 +-i of a seed on some waves, by SHAKE-256."""
    draw = hashlib.shake_256(seed).digest(-(-2 * len(waves.index) // 8))
    plane = 1.0 - 2.0 * np.unpackbits(np.frombuffer(draw, np.uint8))[: 2 * len(waves.index)]
    return plane[0::2] + 1j * plane[1::2]


def seed(key: bytes, purpose: str, version: MarkVersion = V1) -> bytes:
    """32 bytes from which the signs of a purpose are drawn: HMAC-SHA256 of the key."""
    text = f"animate mark {version.number} {purpose}".encode()
    return hmac.new(key, text, hashlib.sha256).digest()


def carried(payload: Payload, key: bytes) -> tuple[Waves, np.ndarray]:
    """All waves of a mark and their signs, code included; slot 0 is the pilot's, then tag, body.

    The body's signs hang on the nonce too, so that they can't be learnt by averaging many files of
    one key. Pilot and tag are drawn from the public key: everybody may find them.
    """
    version = VERSIONS[payload.version]
    where = layout(version)
    tag, body = encode(payload)
    parts = [
        signs(seed(TOOLKIT_KEY, "pilot", version), where.pilot),
        signs(seed(TOOLKIT_KEY, "tag", version), where.tag) * tag[where.tag.slot],
        signs(seed(key, f"body {payload.nonce}", version), where.body) * body[where.body.slot],
    ]
    index = [where.pilot.index, where.tag.index, where.body.index]
    slot = [where.pilot.slot, where.tag.slot + 1, where.body.slot + 1 + TAG_CODE]
    return Waves(np.concatenate(index), np.concatenate(slot)), np.concatenate(parts)
