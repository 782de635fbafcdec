"""Identities: a signing key with its certificate chain, and the mark key derived from it.

An identity is a signing key (ES256, or Ed25519 where the user brings one) with X.509 certificates
as C2PA 2.2, section 14.5 asks for. `keys` stores them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from animate.provenance.certificates import (
    YEARS,
    certificate,
    hkdf,
    identity_of,
    made_here,
    new_key,
    read_chain,
    rotated,
    same,
    split,
    to_pem,
)
from animate.watermark.payload import TOOLKIT_KEY, key_id

if TYPE_CHECKING:
    from cryptography import x509

TOOLKIT = "toolkit"  # the id of the public identity that everybody has


@dataclass(frozen=True)
class Public:
    """The public half of an identity.

    `certificates` is PEM, leaf first, root (or the topmost there is) last. A verifier who has the
    `mark_key` can read this identity's marks, and forge them.
    """

    id: str
    name: str
    certificates: str
    mark_key: bytes | None = None
    revoked: str | None = None  # since when, ISO 8601
    revokes: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def anchor(self) -> str:
        """The last certificate, PEM: the user's root, or the topmost that an authority gave."""
        return split(self.certificates)[-1]

    def of_same_user(self, other: Public) -> bool:
        """Whether both keys come from one user's root, made by `keys init`.

        A root that others share says nothing of the kind.
        """
        chains = [read_chain(each.certificates) for each in (self, other)]
        if not all(map(made_here, chains)):
            return False
        return all(same(*pair) for pair in zip(chains[0][1:], chains[1][1:], strict=True))

    def vouches_for(self, chain: Sequence[x509.Certificate]) -> bool:
        """Whether a chain, leaf first, is this identity's or of a rotated key of the same user."""
        if not chain:
            return False
        own = read_chain(self.certificates)
        return same(chain[0], own[0]) or (made_here(own) and rotated(chain[0], own))

    @property
    def mark_id(self) -> int | None:
        """The 12-bit id in marks of this key; None without the mark key."""
        return None if self.mark_key is None else key_id(self.mark_key)

    def begins(self) -> datetime:
        return read_chain(self.certificates)[0].not_valid_before_utc

    def expires(self) -> datetime:
        return read_chain(self.certificates)[0].not_valid_after_utc


@dataclass(frozen=True)
class Signer:
    """An identity with its private key: it signs claims, and its mark key marks pixels."""

    public: Public
    private: Any  # a private key of `cryptography`: EC P-256 or Ed25519
    mark_key: bytes

    @property
    def algorithm(self) -> str:
        return "es256" if hasattr(self.private, "curve") else "ed25519"

    def sign(self, data: bytes) -> bytes:
        """Sign data as in COSE (RFC 9053): for ES256 r and s, 32 bytes each."""
        if self.algorithm == "ed25519":
            return bytes(self.private.sign(data))
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        r, s = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@cache
def toolkit() -> Signer:
    """The identity with public secrets: its mark says that this toolkit made a file, not who did.

    Its private keys are derived from TOOLKIT_KEY, so that everybody has them.
    """
    name = "animate toolkit, public key"
    seeds = [hkdf(TOOLKIT_KEY, f"animate toolkit {kind}", 40) for kind in YEARS]
    top, middle, leaf = map(new_key, seeds)
    root = certificate("root", name, top, None, top)
    below = certificate("intermediate", name, middle, root, top)
    signed = certificate("leaf", name, leaf, below, middle)
    chain = "".join(to_pem(c).decode() for c in (signed, below, root))
    return Signer(Public(identity_of(chain), name, chain, TOOLKIT_KEY), leaf, TOOLKIT_KEY)


def signed(certificates: str, signature: bytes, data: bytes) -> bool:
    """Verify a signature of `Signer.sign`; the signer's leaf is first in `certificates`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

    public = read_chain(certificates)[0].public_key()
    try:
        if isinstance(public, ec.EllipticCurvePublicKey):
            r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:]))
            public.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))
        elif isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(signature, data)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def derive(private: Any) -> bytes:
    """The 32-byte mark key of a private key: HKDF-SHA256 (RFC 5869) of its raw secret."""
    if hasattr(private, "curve"):
        secret = private.private_numbers().private_value.to_bytes(32, "big")
    else:
        secret = private.private_bytes_raw()
    return hkdf(secret, "animate mark key 1", 32)
