"""Carriers of the mark: which Fourier coefficients carry which bit, and with which signs.

A picture is divided into square cells, 128 along its short side, in Y, Cb, Cr (ITU-R BT.601, full
range). The mark repeats every 128 cells in both directions: it fills pictures of any shape, and
each period holds all of it. A wave is one coefficient of the Fourier transform of one period; its
cosine and its sine each have a keyed random sign. All of this is fixed for each version of the
mark, so a reader needs no settings.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import cache

import numpy as np

from animate.watermark.payload import (
    BODY_CODE,
    PUBLISHED,
    TAG_CODE,
    TOOLKIT_KEY,
    Payload,
    encode,
)

GRID = 128  # cells per period, and along the short side of a marked picture
HALF = GRID // 2 + 1  # columns of a real FFT: (128, 65) coefficients per period

FORWARD = np.array(  # RGB to Y, Cb, Cr
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)
BACKWARD = np.linalg.inv(FORWARD)

DOWN = np.fft.fftfreq(GRID, 1 / GRID)[:, None]  # (128, 1) vertical cycles per period
ACROSS = np.arange(HALF)[None]  # (1, 65) horizontal cycles per period
RADIUS = np.hypot(DOWN, ACROSS)  # (128, 65) cycles per period


@dataclass(frozen=True)
class Waves:
    """K waves of one purpose: flat indices into (3, 128, 65), and the code bit each carries."""

    index: np.ndarray  # (K,)
    slot: np.ndarray  # (K,)


@dataclass(frozen=True)
class Layout:
    """The waves of a version: the pilot locates the mark, tag and body carry the payload."""

    pilot: Waves  # known signs: presence and place
    tag: Waves  # 80 code bits: key id and nonce
    body: Waves  # 192 code bits: content id and its authentication


FREE = (ACROSS > 0) & (ACROSS < GRID // 2)  # columns 0 and 64 of a real FFT are not independent


@dataclass(frozen=True)
class Ring:
    """Waves of luma or chroma with inner <= radius < outer, in cycles per period."""

    channels: str  # "luma" (Y) or "chroma" (Cb and Cr)
    inner: float
    outer: float
    pilot: float  # share of its waves that carry the pilot
    tag: float  # share that carry the tag; the rest carry the body
    weight: float = 1.0  # amplitude of its waves relative to those of other rings


@dataclass(frozen=True)
class Limits:
    """CIEDE2000 that the mark may reach in pictures blurred by 1/40 of the short side."""

    small: float  # at 256 pixels and below
    large: float  # from 512 pixels of the short side on
    grey: float  # in pictures without colours, whatever their size
    close: float  # from 640 pixels on, seen at 100 %: blurred by 6 pixels; 1.5 times that below 427

    def of(self, short: int, colourful: float) -> float:
        """The limit for a picture of `short` pixels, coloured from 0 (grey) to 1."""
        size = min(max((short - 256) / 256, 0.0), 1.0)
        coloured = self.small + size * (self.large - self.small)
        return self.grey + colourful * (coloured - self.grey)


@dataclass(frozen=True)
class MarkVersion:
    """Parameters of one version of the mark, which embedder and reader must share.

    A new version is a new object in VERSIONS and leaves the others as they are. All versions share
    the 128 cells and the payload with its codes, so one transform of a picture serves them all.
    Carriers and signs depend on `number`.
    """

    number: int  # 1 to 15, in the payload
    rings: tuple[Ring, ...]
    luma: float  # weight of a luma wave relative to a chroma wave
    luma_share: float  # luma's share of the energy; two thirds of it in larger pictures
    pilot: float  # amplitude relative to the body's waves
    tag: float  # amplitude relative to the body's waves
    chroma_half: tuple[float, float]  # radius at which a codec keeps half, steepness of the decline
    luma_half: tuple[float, float]  # the same for luma
    coarse_weighings: int = 2  # that the coarse search for a distant place tries
    patch_cost: float = 0.0  # what energy costs more where waves are so coarse that they show
    limits: Limits | None = None  # of the visible change; None: of the energy alone
    finest: float = 1.0  # most that large pictures shift the mark's energy to finer waves
    luma_most: float = 1.0  # rms of luma relative to the strength, where colours leave it energy


# Coarse chroma must survive most: codecs keep it longest, and it helps to find a distant place.
# Chroma waves are 8 to 64 pixels long in a 256-pixel picture: the picture drowns coarser ones, the
# codec removes finer ones. Luma waves are 4 to 9 pixels long: the eye and VMAF tolerate those more
# than coarser ones. Luma only shows that a mark is there, for pictures without colours.
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
# An eye takes coarse chroma for patches, so energy costs more there and most of what is left is the
# pilot's, which helps to find a distant place. Large pictures have room for chroma of 34 cycles and
# more, which nobody sees. Luma carries the payload, too: grey pictures get hardly any chroma.
V2 = MarkVersion(
    number=2,
    rings=(
        Ring("chroma", 5, 9, 0.70, 0.20),
        Ring("chroma", 9, 14, 0.45, 0.20),
        Ring("chroma", 14, 21, 0.30, 0.10),
        Ring("chroma", 21, 34, 0.08, 0.0),
        Ring("chroma", 34, 58, 0.08, 0.05, 0.5),
        Ring("luma", 30, 58, 0.60, 0.10),
    ),
    luma=0.25,
    luma_share=0.05,
    pilot=1.2,
    tag=1.2,
    chroma_half=(15, 4),
    luma_half=(28, 3),
    coarse_weighings=1,
    patch_cost=2.0,
    limits=Limits(small=1.2, large=0.9, grey=0.4, close=1.2),
    finest=4.0,
    luma_most=0.4,
)
VERSIONS = {V1.number: V1, V2.number: V2}  # all that `detect` tries; each adds to the hypotheses
LATEST = VERSIONS[PUBLISHED]


@cache
def band(version: MarkVersion = LATEST) -> np.ndarray:
    """(3, 128, 65) weight of each coefficient in the mark; 0 where the mark has no waves."""
    out = np.zeros((3, GRID, HALF))
    for ring in version.rings:
        inside = (ring.inner <= RADIUS) & (ring.outer > RADIUS) & FREE
        if ring.channels == "luma":
            out[0, inside] = version.luma
        else:
            out[1:, inside] = ring.weight
    return out


@cache
def survival(version: MarkVersion = LATEST, finer: float = 1.0) -> np.ndarray:
    """(3, 128, 65) approximate share of each amplitude that H.264 keeps at usual bit rates.

    It keeps waves that are `finer` times as fine in pictures that have so many more pixels.
    """
    declines = (version.luma_half, version.chroma_half)
    luma, chroma = (1 / (1 + (RADIUS / (finer * half)) ** power) for half, power in declines)
    return np.stack([luma, chroma, chroma])


@cache
def layout(version: MarkVersion = LATEST) -> Layout:
    """The layout of a version, the same for every key.

    Like the signs, it is drawn from SHAKE-256: a library may change the stream of its random
    generator, but a mark must stay readable for good.
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
    """Assign waves, sorted by radius, to the bits in turn: each bit gets waves of all radii."""
    index = np.concatenate(parts)
    index = index[np.argsort(np.tile(RADIUS.reshape(-1), 3)[index], kind="stable")]
    index = index[: len(index) // bits * bits]
    rounds = np.arange(len(index)) // bits
    slot = (np.arange(len(index)) + rounds * 37) % bits
    return Waves(index, slot)


def signs(seed: bytes, waves: Waves) -> np.ndarray:
    """(K,) signs +-1 +-i of the waves, drawn from a seed by SHAKE-256."""
    draw = hashlib.shake_256(seed).digest(-(-2 * len(waves.index) // 8))
    plane = 1.0 - 2.0 * np.unpackbits(np.frombuffer(draw, np.uint8))[: 2 * len(waves.index)]
    return plane[0::2] + 1j * plane[1::2]


def seed(key: bytes, purpose: str, version: MarkVersion = LATEST) -> bytes:
    """32-byte seed for the signs of a purpose: HMAC-SHA256 under the key."""
    text = f"animate mark {version.number} {purpose}".encode()
    return hmac.new(key, text, hashlib.sha256).digest()


def carried(payload: Payload, key: bytes) -> tuple[Waves, np.ndarray]:
    """All waves of a mark and their signs, code included; slot 0 is the pilot, then tag, body.

    The body's signs also depend on the nonce, so averaging many files of one key does not reveal
    them. Pilot and tag use the public key: anyone can find them.
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
