"""Create, check, read and write the certificates and keys that C2PA requires, as PEM."""

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

PASSPHRASE = "ANIMATE_PASSPHRASE"  # environment variable with the pass-phrase of encrypted keys
YEARS = {"root": 30, "intermediate": 20, "leaf": 10}  # validity of certificates
UNNAMED = "unnamed"
EMAIL_PROTECTION = "1.3.6.1.5.5.7.3.4"  # extended key usage that C2PA validators accept
LONGEST_NAME = 64  # bytes in UTF-8: RFC 5280, appendix A.1, as the library counts them
P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # order of the group


def new_key(seed: bytes | None = None) -> Any:
    """An EC P-256 private key, random or derived from a 40-byte seed."""
    from cryptography.hazmat.primitives.asymmetric import ec

    if seed is None:
        return ec.generate_private_key(ec.SECP256R1())
    return ec.derive_private_key(int.from_bytes(seed, "big") % (P256 - 1) + 1, ec.SECP256R1())


def certificate(
    kind: str, name: str, key: Any, issuer: x509.Certificate | None, signer: Any
) -> x509.Certificate:
    """An X.509 v3 certificate as in C2PA 2.2, section 14.5.1; a root if there is no issuer."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, name),
            x509.NameAttribute(NameOID.COMMON_NAME, _titled(name, kind)),
        ]
    )
    now = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(minutes=5)
    issuer_key: Any = key.public_key() if issuer is None else issuer.public_key()
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
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), False)
    )
    if not ca:
        purpose = x509.ExtendedKeyUsage([x509.ObjectIdentifier(EMAIL_PROTECTION)])
        builder = builder.add_extension(purpose, False)
    return builder.sign(signer, hashes.SHA256())


def fit_name(name: str) -> str:
    """A name for certificates, without spaces around it; AnimateError where they can't hold it."""
    name = name.strip()
    if not name:
        raise AnimateError("the name is empty: say who signs, such as --name 'Ada Example'")
    strange = next((c for c in name if not c.isprintable()), None)
    if strange is not None:
        raise AnimateError(
            f"the name holds {strange!a}, which can't be printed: use letters, digits, signs "
            "and plain spaces"
        )
    size = len(name.encode())
    if size > LONGEST_NAME:
        raise AnimateError(
            f"the name takes {size} bytes, a certificate holds {LONGEST_NAME}: use a shorter one "
            "(letters beyond ASCII take two bytes or more)"
        )
    return name


def check_chain(chain: str, private: Any) -> None:
    """Raise AnimateError if a user's own certificates can't sign C2PA claims."""
    from cryptography import x509

    certificates = read_chain(chain)
    if not certificates:
        raise AnimateError("no certificate in PEM: give the leaf and its intermediates")
    leaf = certificates[0]
    if leaf.public_key() != private.public_key():
        raise AnimateError("the first certificate doesn't fit the private key: put the leaf first")
    try:
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
        purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound as error:
        raise AnimateError("the leaf certificate has no (extended) key usage: C2PA requires "
                           "digitalSignature and emailProtection") from error  # fmt: skip
    if not usage.digital_signature or usage.key_cert_sign or not len(purposes):
        raise AnimateError("the leaf certificate may not sign documents: C2PA requires "
                           "digitalSignature without keyCertSign, and emailProtection")  # fmt: skip
    if leaf.not_valid_after_utc < datetime.now(timezone.utc):
        expiry = f"{leaf.not_valid_after_utc:%Y-%m-%d}"
        raise AnimateError(f"the leaf certificate expired on {expiry}: give a valid one")


def hkdf(secret: bytes, purpose: str, length: int) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(hashes.SHA256(), length, salt=None, info=purpose.encode()).derive(secret)


def open_key(pem: bytes, passphrase: str | None, path: Path) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    passphrase = passphrase or os.environ.get(PASSPHRASE)
    locked = b"ENCRYPTED" in pem
    if locked and not passphrase:
        raise AnimateError(f"{path} is locked: set {PASSPHRASE} to its pass-phrase")
    try:
        key = load_pem_private_key(pem, passphrase.encode() if locked and passphrase else None)
    except (ValueError, TypeError) as error:
        raise AnimateError(f"{path} can't be opened: check the pass-phrase and the file") from error
    p256 = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1"
    if not p256 and not isinstance(key, ed25519.Ed25519PrivateKey):
        raise AnimateError(f"{path} holds an unsupported kind of key: use EC P-256 or Ed25519")
    return key


def to_pem(item: Any, passphrase: str | None = None) -> bytes:
    """PEM of a certificate, or of a private key (PKCS #8, encrypted if there is a pass-phrase)."""
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
        for item in chain:
            item.public_key()  # parsed only on access
        return chain
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise AnimateError("a certificate can't be read: give it as PEM") from error


def same(one: x509.Certificate, other: x509.Certificate) -> bool:
    from cryptography.hazmat.primitives.serialization import Encoding

    return one.public_bytes(Encoding.DER) == other.public_bytes(Encoding.DER)


def issued(below: x509.Certificate, above: x509.Certificate) -> bool:
    """Whether one certificate names another as its issuer and holds its signature."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        below.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def made_here(chain: list[x509.Certificate]) -> bool:
    """Whether a chain is one that `keys init` makes: a root that issues one user's keys only.

    Leaf, intermediate and root have one user's name, and each its key's fingerprint as its serial
    number. An authority with more than one customer gives neither.
    """
    if len(chain) != 3 or not all(map(_numbered, chain)):
        return False
    leaf, middle, root = chain
    name = _common_name(leaf)
    above = (("intermediate", middle), ("root", root))
    return (
        all(_common_name(c) in (_titled(name, k), f"{name} ({k})"[:64]) for k, c in above)  # 0.1.0
        and issued(leaf, middle)
        and issued(middle, root)
        and issued(root, root)
    )


def rotated(leaf: x509.Certificate, chain: list[x509.Certificate]) -> bool:
    """Whether `keys rotate` made this leaf for the user of a chain that is `made_here`."""
    now = datetime.now(timezone.utc)
    return (
        made_here([leaf, *chain[1:]])
        and _common_name(leaf) == _common_name(chain[0])
        and all(c.not_valid_before_utc <= now <= c.not_valid_after_utc for c in chain[1:])
    )


def _titled(name: str, kind: str) -> str:
    """The common name of a certificate; its suffix, which tells the kinds apart, is never cut."""
    suffix = "" if kind == "leaf" else f" ({kind})"
    room = LONGEST_NAME - len(suffix)
    return name.encode()[:room].decode("utf-8", "ignore") + suffix


def _numbered(item: x509.Certificate) -> bool:
    return item.serial_number == int(fingerprint(item.public_key()), 16)


def _common_name(item: x509.Certificate) -> str:
    from cryptography.x509.oid import NameOID

    names = item.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else UNNAMED


def fingerprint(public: Any) -> str:
    """16 hex digits of a public key's SHA-256: an identity's id and its leaf's serial number."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:16]


def identity_of(pem: str) -> str:
    """The id of the identity whose leaf certificate comes first in PEM."""
    leaf = next(iter(read_chain(pem)), None)
    if leaf is None:
        raise AnimateError("no certificate in PEM: export the key again")
    return fingerprint(leaf.public_key())


def subject(pem: str) -> str:
    return _common_name(read_chain(pem)[0]).strip() or UNNAMED
