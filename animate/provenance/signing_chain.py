"""Find the certificates that a manifest was signed with, in the bytes of its manifest store.

C2PA's reader says whether a signature holds, and of the signer no more than its names. Boxes:
JUMBF, ISO/IEC 19566-5; the signature: COSE_Sign1, RFC 9052; the certificates in it: RFC 9360.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography import x509

MOST = 10  # certificates in a chain
DEEPEST = 8  # boxes in boxes, and values in values
CHAIN = (33, "x5chain")  # names of the header with the certificates
Box = tuple[bytes, bytes]  # type, content


def signing_chain(store: bytes, label: str) -> list[x509.Certificate]:
    """The certificates, leaf first, of the manifest with this label; none where they are unclear.

    They are unclear if the store holds two manifests of this label or two chains, so that nobody
    can hide the chain that counts behind another.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        signatures = [
            content
            for manifest in _labelled(_below(_boxes(store)), label)
            for signature in _labelled(manifest, "c2pa.signature")
            for kind, content in signature
            if kind == b"cbor"
        ]
        if len(signatures) != 1:
            return []
        chains = _chains(signatures[0])
        if len(chains) != 1 or not 1 <= len(chains[0]) <= MOST:
            return []
        return [x509.load_der_x509_certificate(each) for each in chains[0]]
    except (ValueError, IndexError, UnsupportedAlgorithm, x509.InvalidVersion):
        return []


def _boxes(data: bytes) -> list[Box]:
    """The boxes side by side in data; ValueError if they don't fill it."""
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8 or at + size > len(data):
            raise ValueError("a box of a wrong size")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + size]))
        at += size
    return found


def _below(boxes: list[Box]) -> list[Box]:
    """The content of the only superbox among the boxes."""
    inner = [content for kind, content in boxes if kind == b"jumb"]
    if len(inner) != 1:
        raise ValueError("not one store")
    return _boxes(inner[0])


def _labelled(boxes: list[Box], label: str) -> Iterator[list[Box]]:
    """The contents of the superboxes of this label."""
    for kind, content in boxes:
        if kind == b"jumb":
            inner = _boxes(content)
            name, described = inner[0]
            # 16 bytes of type and one of switches come before the label
            if name == b"jumd" and described[17:].partition(b"\0")[0] == label.encode():
                yield inner


def _chains(cose: bytes) -> list[list[bytes]]:
    """Every chain of DER certificates in the headers of a COSE_Sign1."""
    value, end = _cbor(cose, 0)
    if end != len(cose) or not isinstance(value, list) or len(value) != 4:
        raise ValueError("not a COSE_Sign1")
    if not isinstance(value[0], bytes):
        raise ValueError("no protected header")
    protected = _cbor(value[0], 0)[0] if value[0] else {}
    found = []
    for header in (protected, value[1]):
        if not isinstance(header, dict):
            raise ValueError("not a header")
        for key in CHAIN:
            if key in header:
                chain = header[key] if isinstance(header[key], list) else [header[key]]
                if not all(isinstance(each, bytes) for each in chain):
                    raise ValueError("no certificates")
                found.append(chain)
    return found


def _cbor(data: bytes, at: int, depth: int = 0) -> tuple[Any, int]:
    """The CBOR value (RFC 8949) at an offset and the offset behind it; ValueError for others.

    Only definite lengths, each key once, and simple values as their number.
    """
    first, at = data[at], at + 1
    kind, size = first >> 5, first & 31
    if depth > DEEPEST or size > 27:
        raise ValueError("CBOR that is not used here")
    if size > 23:
        width = 1 << size - 24
        size, at = int.from_bytes(data[at : at + width], "big"), at + width
    if (size > len(data) and kind in (2, 3, 4, 5)) or at > len(data):
        raise ValueError("CBOR that is cut off")
    if kind in (2, 3):
        piece = data[at : at + size]
        if len(piece) != size:
            raise ValueError("CBOR that is cut off")
        return (piece if kind == 2 else piece.decode()), at + size
    if kind in (0, 1, 7):
        return (-1 - size if kind == 1 else size), at
    if kind == 6:  # a tag says what the value is
        return _cbor(data, at, depth + 1)
    parts = []
    for _ in range(size if kind == 4 else 2 * size):
        part, at = _cbor(data, at, depth + 1)
        parts.append(part)
    if kind == 4:
        return parts, at
    keys = parts[::2]
    if not all(isinstance(key, (int, str)) for key in keys) or len(set(keys)) != size:
        raise ValueError("a header with odd keys")
    return dict(zip(keys, parts[1::2], strict=True)), at
