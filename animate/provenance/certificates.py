"""Certificates and keys as C2PA wants them: made, checked, read and written as PEM."""

from __future__ import annotations

import hashlib
import os
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animate.errors import AnimateError

if TYPE_CHECKING:
    from cryptography import x509

PASSPHRASE = "ANIMATE_PASSPHRASE"  # the environment variable that opens locked keys
YEARS = {"root": 30, "intermediate": 20, "leaf": 10}
EMAIL_PROTECTION = "1.3.6.1.5.5.7.3.4"  # the extended key usage that C2PA validators accept
P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # the group's order


def new_key(seed: bytes | None = None) -> Any:
    """An EC P-256 private key, drawn at random or made from a seed of 40 bytes."""
    from cryptography.hazmat.primitives.asymmetric import ec

    if seed is None:
        return ec.generate_private_key(ec.SECP256R1())
    return ec.derive_private_key(int.from_bytes(seed, "big") % (P256 - 1) + 1, ec.SECP256R1())


def certificate(
    kind: str, name: str, key: Any, issuer: x509.Certificate | None, signer: Any
) -> x509.Certificate:
    """An X.509 v3 certificate as C2PA 2.2, section 14.5.1 wants it; a root where no issuer is."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    words = name if kind == "leaf" else f"{name} ({kind})"
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, name[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, words[:64]),
        ]
    )
    now = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(minutes=5)
    above: Any = key.public_key() if issuer is None else issuer.public_key()
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "encipher_only", "decipher_only"), False)  # fmt: skip
    ca = kind != "leaf"
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(int(fingerprint(key.public_key()), 16))
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=365 * YEARS[kind]))
        .add_extension(x509.BasicConstraints(ca, None if kind != "intermediate" else 0), True)
        .add_extension(
            x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **usage), True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above), False)
    )
    if not ca:
        purpose = x509.ExtendedKeyUsage([x509.ObjectIdentifier(EMAIL_PROTECTION)])
        builder = builder.add_extension(purpose, False)
    return builder.sign(signer, hashes.SHA256())


def check_chain(chain: str, private: Any) -> None:
    """AnimateError where certificates that were brought along can't sign C2PA claims."""
    from cryptography import x509

    certificates = read_chain(chain)
    if not certificates:
        raise AnimateError("the certificates hold none in PEM: give leaf and intermediates")
    leaf = certificates[0]
    if leaf.public_key() != private.public_key():
        raise AnimateError("the first certificate is not the private key's: put the leaf first")
    try:
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
        purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound as error:
        raise AnimateError("the leaf certificate states no (extended) key usage: C2PA asks for "
                           "digitalSignature and emailProtection") from error  # fmt: skip
    if not usage.digital_signature or usage.key_cert_sign or not len(purposes):
        raise AnimateError("the leaf certificate may not sign documents: C2PA asks for "
                           "digitalSignature alone, and emailProtection")  # fmt: skip
    if leaf.not_valid_after_utc < datetime.now(timezone.utc):
        raise AnimateError(f"the leaf certificate expired on {leaf.not_valid_after_utc:%Y-%m-%d}")


def hkdf(secret: bytes, purpose: str, length: int) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(hashes.SHA256(), length, salt=None, info=purpose.encode()).derive(secret)


def open_key(pem: bytes, passphrase: str | None, path: Path) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    word = passphrase or os.environ.get(PASSPHRASE)
    locked = b"ENCRYPTED" in pem
    if locked and not word:
        raise AnimateError(f"{path} is locked: set {PASSPHRASE} to its pass-phrase")
    try:
        key = load_pem_private_key(pem, word.encode() if locked and word else None)
    except (ValueError, TypeError) as error:
        raise AnimateError(f"{path} can't be opened: check the pass-phrase and the file") from error
    curve = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1"
    if not curve and not isinstance(key, ed25519.Ed25519PrivateKey):
        raise AnimateError(f"{path} is of another kind of key: use EC P-256 or Ed25519")
    return key


def to_pem(item: Any, passphrase: str | None = None) -> bytes:
    """A certificate, or a private key as PKCS #8, encrypted where there is a pass-phrase."""
    from cryptography.hazmat.primitives import serialization as s

    if hasattr(item, "public_bytes"):
        return bytes(item.public_bytes(s.Encoding.PEM))
    lock = s.BestAvailableEncryption(passphrase.encode()) if passphrase else s.NoEncryption()
    return bytes(item.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, lock))


def split(pem: str) -> list[str]:
    return re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", pem, re.S)


def read_chain(pem: str) -> list[x509.Certificate]:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        chain = [x509.load_pem_x509_certificate(part.encode()) for part in split(pem)]
        for one in chain:
            one.public_key()  # read only now
        return chain
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise AnimateError("a certificate can't be read: give PEM") from error


def fingerprint(public: Any) -> str:
    """16 hex digits of a public key's SHA-256: an identity's id and its leaf's serial number."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:16]


def identity_of(pem: str) -> str:
    """The id of the identity whose leaf certificate comes first in PEM."""
    leaf = next(iter(read_chain(pem)), None)
    if leaf is None:
        raise AnimateError("there is no certificate in PEM: export the key again")
    return fingerprint(leaf.public_key())


def subject(pem: str) -> str:
    from cryptography.x509.oid import NameOID

    names = read_chain(pem)[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else "unnamed"
