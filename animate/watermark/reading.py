"""Read a mark's payload: the tag (key id), the body under each key; bound the false positives."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product

import numpy as np

from animate.watermark import payload as bits
from animate.watermark.carriers import LATEST, MarkVersion, Waves, layout, seed, signs
from animate.watermark.payload import TOOLKIT_KEY, Payload, key_id
from animate.watermark.search import TINY

SECOND = 1e-3  # false positives per second of a marked file, and per key id read
WEIGHINGS = 2  # of the numbers a, see `spectrum.weighed`
UNLIKE = 0.8  # of the loudest tag's statistic: a clear tag shows in others, which share signs, too
NONCES = 4  # likeliest nonces, with which `read` tries the body


@dataclass(frozen=True)
class Reading:
    """A body under one key: its best code word's statistic; the payload if the HMAC is right."""

    statistic: float
    payload: Payload | None

    @property
    def rank(self) -> tuple[bool, float]:
        """Sort key. Of two marks under two keys, the stronger was embedded over the other."""
        return self.payload is not None, self.statistic


def read(a: np.ndarray, key: bytes, version: MarkVersion = LATEST) -> Reading:
    """Read the body from the numbers a (3, 128, 65) under a key, with the best-fitting nonces."""
    owner, waves = key_id(key), layout(version).body
    best = Reading(0.0, None)
    for rank, nonce in enumerate(_nonces(a, key, version)):
        soft = _soft(a, waves, signs(seed(key, f"body {nonce}", version), waves))
        message = bits.decode(soft)
        score = float(soft @ bits.code_signs(message) / (_norm(a, waves) + TINY))
        best = max(best, Reading(score, None), key=lambda reading: reading.statistic)
        others = bits.decode_others(soft) if rank == 0 else ()
        for word in (message, *others):
            payload = bits.read_body(word, owner, version.number)
            if payload.nonce == nonce and payload.authentic(key):
                return Reading(score, payload)
    return best


def loudest_word(weighings: np.ndarray, keys: Sequence[bytes], version: MarkVersion) -> float:
    """Highest statistic of a body's code word over weighings (2, 3, 128, 65), keys and nonces.

    No reading has a higher one. Decodes all in one batch, which takes little longer than one.
    """
    waves, soft, norms = layout(version).body, [], []
    for key, a in product(keys, weighings):
        for nonce in _nonces(a, key, version):
            soft.append(_soft(a, waves, signs(seed(key, f"body {nonce}", version), waves)))
            norms.append(_norm(a, waves) + TINY)
    words = bits.code_signs(bits.decode_each(np.stack(soft)))
    return max(float(s @ word / norm) for s, word, norm in zip(soft, words, norms, strict=True))


def _nonces(a: np.ndarray, key: bytes, version: MarkVersion) -> np.ndarray:
    """The nonces for which a key's tag fits the numbers a best, the likeliest first."""
    fit = _tag_words(key_id(key)) @ _soft(a, layout(version).tag, _public(version))
    return np.argsort(-fit)[:NONCES]


def read_key_id(weighings: np.ndarray, keys: Sequence[bytes], version: MarkVersion) -> int | None:
    """The key id in the tag: one of the keys', else any; None if noise could explain it."""
    waves = layout(version).tag
    for a in weighings:
        soft, norm = _soft(a, waves, _public(version)), _norm(a, waves) + TINY
        message = bits.decode(soft)
        loudest = float(soft @ bits.code_signs(message) / norm)
        for key in keys:
            score = float((_tag_words(key_id(key)) @ soft).max() / norm)
            least = bound(score, WEIGHINGS * len(keys) << bits.NONCE_BITS)
            if least <= SECOND and score > UNLIKE * loudest:
                return key_id(key)
        if bound(loudest, WEIGHINGS << bits.TAG_BITS) <= SECOND:
            return bits.read_tag(message)[0]
    return None


@lru_cache(64)
def _tag_words(owner: int) -> np.ndarray:
    """(256, 80) code signs of a key id with every nonce."""
    return bits.every_tag_signs(owner)


@cache
def _public(version: MarkVersion) -> np.ndarray:
    """(K,) signs of the tag's waves."""
    return signs(seed(TOOLKIT_KEY, "tag", version), layout(version).tag)


def _soft(a: np.ndarray, waves: Waves, sign: np.ndarray) -> np.ndarray:
    """(bits,) soft value of each code bit, summed over its waves."""
    values = a.reshape(-1)[waves.index]
    return np.bincount(waves.slot, values.real * sign.real + values.imag * sign.imag)


def _norm(a: np.ndarray, waves: Waves) -> float:
    return float(np.linalg.norm(a.reshape(-1)[waves.index]))


def bound(statistic: float, hypotheses: int) -> float:
    """min(1, N exp(-S^2 / 2)), Hoeffding's inequality for random signs and the union bound over N.

    Never 0: smaller values become the smallest positive normal float.
    Source: W. Hoeffding, Probability inequalities for sums of bounded random variables, theorem 2,
    JASA 58 (1963).
    """
    p = math.exp(min(0.0, math.log(hypotheses) - max(statistic, 0.0) ** 2 / 2))
    return max(p, sys.float_info.min)
