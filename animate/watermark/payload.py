"""The mark's payload: 64 bits, their authentication, and the error-correcting code.

This module handles bits and keys, no pixels. A payload travels in two parts, each in a tail-biting
convolutional code of rate 1/4 with soft decoding. The tag is public and short, so it survives when
the body does not: 12 bits of key id, 8 of nonce. Reading the body takes the key: 32 bits of content
id, 16 of authentication, which also serve as its checksum. The layout that fits gives the version.
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
"""The default, public key: anyone can check for a mark under it, and anyone can forge one. It
guards against forgetting, not against lying; a secret key of your own guards against both."""

PUBLISHED = 2  # version of the mark in new files
KEY_BYTES = 16  # shortest key that Payload.of accepts
FIELDS = (("version", 4), ("key_id", 12), ("content_id", 32), ("mac", 16))  # name, bits
NONCE_BITS = 8
TAG_BITS = 12 + NONCE_BITS  # key id, nonce
BODY_BITS = 32 + 16  # content id, HMAC
RATE = 4  # code bits per message bit
TAG_CODE = RATE * TAG_BITS  # 80 code bits
BODY_CODE = RATE * BODY_BITS  # 192 code bits


def key_id(key: bytes) -> int:
    """12 bits that distinguish keys in a report; they prove nothing."""
    return int.from_bytes(hashlib.sha256(b"animate key id" + key).digest()[:2], "big") >> 4


@dataclass(frozen=True)
class Payload:
    """64 bits: mark version (4), key id (12), claim's content id (32), truncated HMAC-SHA256 (16).

    A guess hits 16 bits of HMAC once in 65,536 tries. A forger without the key must also guess the
    keyed signs of the carriers; these protect the mark of a secret key.
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
    def of(cls, claim: Claim, key: bytes = TOOLKIT_KEY, *, version: int = PUBLISHED) -> Payload:
        """The payload that binds pixels to `claim` under `key`."""
        if len(key) < KEY_BYTES:
            raise AnimateError(
                f"a watermark key of {len(key)} bytes is too short: use at least {KEY_BYTES}"
            )
        content = claim.content_id()
        return cls(version, key_id(key), content, _mac(version, key_id(key), content, key))

    def authentic(self, key: bytes) -> bool:
        """Whether `key` gives this HMAC."""
        return self.mac == _mac(self.version, self.key_id, self.content_id, key)

    @property
    def nonce(self) -> int:
        """8 bits that vary from file to file and choose the signs of the body.

        They are a hash of the other fields: runs are reproducible, and a reader can check them. Of
        a key's files, one in 256 shares a given file's signs, but with another code word. Averaging
        many files reveals only what is public anyway.
        """
        text = f"animate nonce {self.version} {self.key_id} {self.content_id} {self.mac}".encode()
        return hashlib.sha256(text).digest()[0]

    def __str__(self) -> str:
        return "".join(f"{getattr(self, name):0{width // 4}x}" for name, width in FIELDS)


def _mac(version: int, key: int, content: int, secret: bytes) -> int:
    text = f"animate payload {version} {key} {content}".encode()
    return int.from_bytes(hmac.new(secret, text, hashlib.sha256).digest()[:2], "big")


def unpacked(number: int, width: int) -> np.ndarray:
    """(width,) bits of a number, most significant first."""
    return np.array([number >> i & 1 for i in range(width - 1, -1, -1)], np.uint8)


def packed(message: np.ndarray) -> int:
    """The inverse of `unpacked`."""
    return int("".join(str(int(bit)) for bit in message), 2)


# The rate-1/4 code of constraint length 9 in 3GPP2 C.S0002 (cdma2000), made tail-biting: the
# register starts in its final state, so no bits are spent on closing it.
GENERATORS = (0o765, 0o671, 0o513, 0o473)
MEMORY = 8  # past bits in the register


@cache
def _trellis() -> tuple[np.ndarray, np.ndarray]:
    """For each next state and its 2 predecessors: (256, 2) the predecessor, (512, 4) code signs."""
    state = np.arange(1 << MEMORY)
    before = (state << 1 & 0xFF)[:, None] | np.arange(2)  # (256, 2): either bit may have left
    register = (state >> 7 << MEMORY)[:, None] | before  # the newest bit on top, 9 bits
    parity = np.array(
        [[[bin(r & g).count("1") & 1 for g in GENERATORS] for r in row] for row in register]
    )
    return before, (1.0 - 2.0 * parity).reshape(-1, RATE)  # (256, 2), (512, 4)


def encode(payload: Payload) -> tuple[np.ndarray, np.ndarray]:
    """(80,) code signs +-1 of the tag, and (192,) of the body."""
    body = np.append(unpacked(payload.content_id, 32), unpacked(payload.mac, 16))
    return tag_signs(payload.key_id, payload.nonce), code_signs(body)


def tag_signs(key: int, nonce: int) -> np.ndarray:
    """(80,) code signs +-1 of a tag."""
    return code_signs(_tag(key, nonce))


def every_tag_signs(key: int) -> np.ndarray:
    """(256, 80) `tag_signs` of a key with every nonce."""
    return code_signs(np.stack([_tag(key, nonce) for nonce in range(1 << NONCE_BITS)]))


def _tag(key: int, nonce: int) -> np.ndarray:
    return np.append(unpacked(key, 12), unpacked(nonce, NONCE_BITS))


def code_signs(message: np.ndarray) -> np.ndarray:
    """(..., 4 n) code signs +-1 of (..., n) message bits."""
    length = message.shape[-1]
    newest_first = (np.arange(length)[:, None] - np.arange(MEMORY + 1)) % length
    taps = np.array([[g >> MEMORY - i & 1 for g in GENERATORS] for i in range(MEMORY + 1)])
    ones = message[..., newest_first].astype(int) @ taps  # (..., n, 4)
    return (1.0 - 2.0 * (ones % 2)).reshape(*message.shape[:-1], RATE * length)


def decode(soft: np.ndarray) -> np.ndarray:
    """(n,) the message whose code word fits (4 n,) soft signs best."""
    return decode_each(soft[None])[0]


def decode_each(soft: np.ndarray) -> np.ndarray:
    """(R, n) the message that fits each row of (R, 4 n) soft signs best."""
    return _viterbi(soft, np.full(len(soft), -1), np.zeros(len(soft), int))


def decode_others(soft: np.ndarray) -> np.ndarray:
    """(n, n) for each bit, the best-fitting message that differs from `decode` in that bit."""
    best = decode(soft)
    return _viterbi(soft[None], np.arange(len(best)), 1 - best.astype(int))


def _viterbi(soft: np.ndarray, at: np.ndarray, bit: np.ndarray) -> np.ndarray:
    """(R, n) decode R messages at once, three times around; message r has bit[r] at index at[r].

    `soft` is (R, 4 n), or (1, 4 n) for all messages; at[r] = -1 leaves message r free.
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


def read_body(message: np.ndarray, key: int, version: int) -> Payload:
    """The payload of 48 body bits under a key id, not yet authenticated."""
    return Payload(version, key, packed(message[:32]), packed(message[32:]))
