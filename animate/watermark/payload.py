"""What the mark says: 64 bits with their authentication, check and error-correcting codes.

Everything here is bits and keys; no pixel is touched. A payload travels in two parts, each through
a tail-biting convolutional code of rate 1/4, decoded softly. The tag is public and short, so that
it survives what the rest does not: 12 bits of key id and a nonce of 8. The body is the key's own:
32 bits of content id and 16 of authentication, which are its check code, too, for who can read the
body has the key. The version is told by the layout that fits.
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
    from animate.watermark.claim import Claim

TOOLKIT_KEY = b"animate toolkit key, public: tells that a file was made here, never by whom"
"""The key of everybody's marks. It is published, so anyone can check for a mark and anyone can
forge one: it guards against forgetting, not against lying. A secret key of one's own does both."""

KEY_BYTES = 16  # the shortest key that Payload.of accepts
FIELDS = (("version", 4), ("key_id", 12), ("content_id", 32), ("mac", 16))
NONCE_BITS = 8
TAG_BITS = 12 + NONCE_BITS
BODY_BITS = 32 + 16
RATE = 4
TAG_CODE = RATE * TAG_BITS
BODY_CODE = RATE * BODY_BITS


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

    @property
    def nonce(self) -> int:
        """8 bits that differ from file to file and choose the signs of the body.

        They follow from the rest, so that one run gives one file, and a reader can check them. One
        file of a key in 256 shares its signs, and its code differs from the others': averaging many
        files leaves nothing but what is public anyway.
        """
        text = f"animate nonce {self.version} {self.key_id} {self.content_id} {self.mac}".encode()
        return hashlib.sha256(text).digest()[0]

    def __str__(self) -> str:
        return "".join(f"{getattr(self, name):0{width // 4}x}" for name, width in FIELDS)


def _mac(version: int, key: int, content: int, secret: bytes) -> int:
    text = f"animate payload {version} {key} {content}".encode()
    return int.from_bytes(hmac.new(secret, text, hashlib.sha256).digest()[:2], "big")


def unpacked(number: int, width: int) -> np.ndarray:
    """(width,) the bits of a number, most significant first."""
    return np.array([number >> i & 1 for i in range(width - 1, -1, -1)], np.uint8)


def packed(message: np.ndarray) -> int:
    """The inverse of `unpacked`."""
    return int("".join(str(int(bit)) for bit in message), 2)


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


def encode(payload: Payload) -> tuple[np.ndarray, np.ndarray]:
    """(80,) and (256,) code signs of +-1: the tag's and the body's."""
    body = np.append(unpacked(payload.content_id, 32), unpacked(payload.mac, 16))
    return tag_signs(payload.key_id, payload.nonce), code_signs(body)


def tag_signs(key: int, nonce: int) -> np.ndarray:
    """(80,) the code signs of +-1 of a tag."""
    return code_signs(np.append(unpacked(key, 12), unpacked(nonce, NONCE_BITS)))


def code_signs(message: np.ndarray) -> np.ndarray:
    """(4 n,) code signs of +-1 for n message bits."""
    window = np.stack([np.roll(message, i) for i in range(MEMORY + 1)]).astype(int)  # newest first
    taps = np.array([[g >> MEMORY - i & 1 for i in range(MEMORY + 1)] for g in GENERATORS])
    return (1.0 - 2.0 * (taps @ window % 2)).T.reshape(-1)


def decode(soft: np.ndarray) -> np.ndarray:
    """(n,) the message whose code word fits best to (4 n,) soft signs."""
    return decode_each(soft[None])[0]


def decode_each(soft: np.ndarray) -> np.ndarray:
    """(R, n) the message that fits best to each row of (R, 4 n) soft signs."""
    return _viterbi(soft, np.full(len(soft), -1), np.zeros(len(soft), int))


def decode_others(soft: np.ndarray) -> np.ndarray:
    """(n, n) for each bit, the message that fits best of those that differ from `decode` there."""
    best = decode(soft)
    return _viterbi(soft[None], np.arange(len(best)), 1 - best.astype(int))


def _viterbi(soft: np.ndarray, at: np.ndarray, bit: np.ndarray) -> np.ndarray:
    """(R, n) R messages at once, thrice around the ring; message r has bit[r] at place at[r].

    `soft` is (R, 4 n), or (1, 4 n) for all of them; a place of -1 is nowhere.
    """
    before, signs = _trellis()
    gains = soft.reshape(len(soft), -1, RATE) @ signs.T  # (R, n, 512)
    gains = np.moveaxis(gains, 1, 0).reshape(-1, len(soft), 2, len(before) // 2, 2)
    length, states = len(gains), np.arange(len(before))
    barred = (states[None] >> MEMORY - 1) != bit[:, None]  # (R, 256) the newest bit is on top
    score = np.zeros((len(at), len(before)))
    chosen = np.empty((3 * length, *score.shape), np.uint8)
    for step in range(len(chosen)):
        # states s and s + 128 come from 2 s or 2 s + 1
        either = score.reshape(-1, 1, len(before) // 2, 2) + gains[step % length]  # (R, 2, 128, 2)
        zero, one = either[..., 0], either[..., 1]
        chosen[step] = (one > zero).reshape(score.shape)
        score = np.maximum(zero, one).reshape(score.shape)
        here = at == step % length
        score[here] -= 1e9 * barred[here]
    state = score.argmax(1)
    out, rows = np.empty((len(chosen), len(at)), np.uint8), np.arange(len(at))
    for step in range(len(chosen) - 1, -1, -1):
        out[step] = state >> MEMORY - 1
        state = before[state, chosen[step, rows, state]]
    return out[length : 2 * length].T


def read_tag(message: np.ndarray) -> tuple[int, int]:
    """The key id and the nonce of 20 tag bits."""
    return packed(message[:12]), packed(message[12:])


def read_body(message: np.ndarray, key: int, version: int = 1) -> Payload:
    """The payload of 48 body bits under a key id; whether it is authentic remains to be seen."""
    return Payload(version, key, packed(message[:32]), packed(message[32:]))
