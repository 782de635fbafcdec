"""What the mark says: 64 bits with their authentication, check and error-correcting codes.

Everything here is bits and keys; no pixel is touched. A payload of 64 bits gets a check code of 24,
and the 88 go through a tail-biting convolutional code of rate 1/4, decoded softly.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from animate.errors import AnimateError

if TYPE_CHECKING:
    from animate.watermark.manifest import Claim

TOOLKIT_KEY = b"animate toolkit key, public: tells that a file was made here, never by whom"
"""The key of everybody's marks. It is published, so anyone can check for a mark and anyone can
forge one: it guards against forgetting, not against lying. A secret key of one's own does both."""

KEY_BYTES = 16  # the shortest key that Payload.of accepts
FIELDS = (("version", 4), ("key_id", 12), ("content_id", 32), ("mac", 16))
PAYLOAD_BITS = 64
CHECK_BITS = 24
MESSAGE_BITS = PAYLOAD_BITS + CHECK_BITS
RATE = 4
CODE_BITS = RATE * MESSAGE_BITS


def key_id(key: bytes) -> int:
    """12 bits that tell keys apart in a report; they prove nothing."""
    return int.from_bytes(hashlib.sha256(b"animate key id" + key).digest()[:2], "big") >> 4


@dataclass(frozen=True)
class Payload:
    """64 bits: mark version (4), key id (12), content id of the claim (32), HMAC-SHA256, cut (16).

    Sixteen bits of HMAC can be guessed once in 65,536 tries; a forger without the key must also hit
    the keyed signs of the carriers, which is what protects the mark of a secret key.
    """

    version: int
    key_id: int
    content_id: int
    mac: int

    def __post_init__(self) -> None:
        for name, width in FIELDS:
            if not 0 <= getattr(self, name) < 1 << width:
                raise AnimateError(
                    f"payload field {name} does not fit {width} bits: {getattr(self, name)}"
                )

    @classmethod
    def of(cls, claim: Claim, key: bytes = TOOLKIT_KEY, *, version: int = 1) -> Payload:
        """The payload that binds pixels to `claim` under `key`."""
        if len(key) < KEY_BYTES:
            raise AnimateError(f"a watermark key of {len(key)} bytes: use at least {KEY_BYTES}")
        content = claim.content_id()
        return cls(version, key_id(key), content, _mac(version, key_id(key), content, key))

    def authentic(self, key: bytes) -> bool:
        """Whether the HMAC is the one that `key` makes."""
        return self.mac == _mac(self.version, self.key_id, self.content_id, key)

    def to_bits(self) -> np.ndarray:
        """(64,) of 0 and 1, most significant first, in the order of the fields."""
        text = "".join(f"{getattr(self, name):0{width}b}" for name, width in FIELDS)
        return np.array([int(c) for c in text], np.uint8)

    @classmethod
    def from_bits(cls, bits: np.ndarray) -> Payload:
        """The inverse of `to_bits`."""
        text, values, at = "".join(str(int(b)) for b in bits), [], 0
        for _, width in FIELDS:
            values.append(int(text[at : at + width], 2))
            at += width
        return cls(*values)

    def __str__(self) -> str:
        return "".join(f"{getattr(self, name):0{width // 4}x}" for name, width in FIELDS)


def _mac(version: int, key: int, content: int, secret: bytes) -> int:
    text = f"animate payload {version} {key} {content}".encode()
    return int.from_bytes(hmac.new(secret, text, hashlib.sha256).digest()[:2], "big")


def check_code(bits: np.ndarray) -> np.ndarray:
    """CRC-24 of OpenPGP (RFC 9580, section 6.1.1) over bits, as 24 bits."""
    register = 0xB704CE
    for bit in bits:
        feedback = (register >> 23 & 1) ^ int(bit)
        register = (register << 1 & 0xFFFFFF) ^ (0x864CFB if feedback else 0)
    return np.array([register >> i & 1 for i in range(23, -1, -1)], np.uint8)


# The rate-1/4 code of constraint length 9 of 3GPP2 C.S0002 (cdma2000), bent to a ring (tail-biting:
# the register starts as it will end, so that no bits are spent on closing it).
GENERATORS = (0o765, 0o671, 0o513, 0o473)
MEMORY = 8


@cache
def _trellis() -> tuple[np.ndarray, np.ndarray]:
    """For each next state and its 2 predecessors: (256, 2) the predecessor, (512, 4) code signs."""
    state = np.arange(1 << MEMORY)
    before = (state << 1 & 0xFF)[:, None] | np.arange(2)  # (256, 2): the bit that falls out
    register = (state >> 7 << MEMORY)[:, None] | before  # the newest bit on top, 9 bits
    parity = np.array(
        [[[bin(r & g).count("1") & 1 for g in GENERATORS] for r in row] for row in register]
    )
    return before, (1.0 - 2.0 * parity).reshape(-1, RATE)  # (256, 2), (512, 4)


def encode(payload: Payload) -> np.ndarray:
    """(352,) code signs of +-1 for a payload: check code appended, then the convolutional code."""
    bits = payload.to_bits()
    bits = np.concatenate([bits, check_code(bits)])
    return code_signs(bits)


def code_signs(message: np.ndarray) -> np.ndarray:
    """(352,) code signs of +-1 for 88 message bits."""
    window = np.stack([np.roll(message, i) for i in range(MEMORY + 1)]).astype(int)  # newest first
    taps = np.array([[g >> MEMORY - i & 1 for i in range(MEMORY + 1)] for g in GENERATORS])
    return (1.0 - 2.0 * (taps @ window % 2)).T.reshape(-1)


def decode(soft: np.ndarray) -> np.ndarray:
    """(88,) the message whose code word fits best to (352,) soft signs: Viterbi, thrice around."""
    before, signs = _trellis()
    gains = soft.reshape(-1, RATE) @ signs.T  # (88, 512)
    gains = gains.reshape(MESSAGE_BITS, -1, 2)
    score = np.zeros(1 << MEMORY)
    chosen = np.empty((3 * MESSAGE_BITS, 1 << MEMORY), np.uint8)
    states = np.arange(1 << MEMORY)
    for step in range(len(chosen)):
        path = score[before] + gains[step % MESSAGE_BITS]
        chosen[step] = path[:, 1] > path[:, 0]
        score = path[states, chosen[step]]
    state, bits = int(score.argmax()), np.empty(len(chosen), np.uint8)
    for step in range(len(chosen) - 1, -1, -1):
        bits[step] = state >> 7
        state = int(before[state, chosen[step, state]])
    return bits[MESSAGE_BITS : 2 * MESSAGE_BITS]


def checked(message: np.ndarray) -> Payload | None:
    """The payload of 88 message bits, or None where the check code does not fit."""
    bits = message[:PAYLOAD_BITS]
    return Payload.from_bits(bits) if (check_code(bits) == message[PAYLOAD_BITS:]).all() else None
