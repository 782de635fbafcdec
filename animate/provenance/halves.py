"""Public halves of identities: JSON that users hand to verifiers, and what it may state.

A half speaks for one key. Its name is that of the key's certificate; its revocations are signed by
the key, so that nobody else can put them in.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animate.errors import AnimateError
from animate.provenance.certificates import (
    identity_of,
    issued,
    made_here,
    read_chain,
    same,
    subject,
    to_pem,
)
from animate.provenance.files import read_json
from animate.provenance.identity import Public, Signer, signed, toolkit
from animate.system.text import alike, quoted
from animate.watermark.payload import KEY_BYTES, TOOLKIT_KEY

if TYPE_CHECKING:
    from cryptography import x509

SCHEMA = "animate.public-key/1"
MOST = 10  # certificates in a half
LONGEST_NAME = 200
KEY = re.compile(r"[0-9a-f]{1,64}")  # an id of a key


def text(
    public: Public,
    *,
    revoked: Mapping[str, str] | None = None,
    signer: Signer | None = None,
    called: str | None = None,
) -> str:
    """A public half as JSON.

    The signer, needed only for revocations, is the half's own; `called` is a verifier's name for
    the identity.
    """
    value: dict[str, Any] = {
        "schema": SCHEMA,
        "id": public.id,
        "name": subject(public.certificates),
        "certificates": public.certificates,
        "revoked": dict(revoked or {}),
    }
    if called is not None and called != value["name"]:
        value["called"] = called
    if revoked and signer is not None:
        made = signer.sign(_statement(public.id, revoked))
        value["revoked_signature"] = base64.b64encode(made).decode()
    if public.mark_key is not None:
        value["mark_key"] = base64.b64encode(public.mark_key).decode()
    return json.dumps(value, indent=2) + "\n"


def read(path: Path) -> Public:
    """The identity in a file; its `revokes` are the revocations that it signed itself.

    Raises AnimateError for what is no public half, contradicts itself or is the toolkit's.
    """
    value = read_json(path)
    try:
        if value["schema"] != SCHEMA:
            raise AnimateError(
                f"{path} has the schema {value['schema']!r}: expected {SCHEMA}, export it again"
            )
        name, called, revoked = value["name"], value.get("called"), value["revoked"]
        chain = _certificates(value["certificates"], path)
        secret = value.get("mark_key")
        key = None if secret is None else base64.b64decode(secret, validate=True)
        made = base64.b64decode(value.get("revoked_signature") or "", validate=True)
        _check_texts(name, "" if called is None else called, *revoked.values())
        if not all(KEY.fullmatch(each) for each in revoked):
            raise ValueError("not ids of keys")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise AnimateError(f"{path} is no public half of a key: export it again") from error
    if not 1 <= len(chain) <= MOST:
        raise AnimateError(f"{path} holds {len(chain)} certificates: export it again")
    pem = "".join(to_pem(each).decode() for each in chain)  # others' PEM may be odd
    identity = identity_of(pem)
    wrong = identity != value.get("id") or name != subject(pem)
    if wrong or (key is not None and len(key) < KEY_BYTES):
        raise AnimateError(f"{path} contradicts itself: export it again")
    if is_toolkits(pem) or key == TOOLKIT_KEY:
        raise AnimateError(
            f"{path} holds the toolkit's public key, which everybody has: it can't be trusted"
        )
    ours = signed(pem, made, _statement(identity, revoked))
    return Public(identity, str(called or name), pem, key, revokes=revoked if ours else {})


def _certificates(pem: str, path: Path) -> list[x509.Certificate]:
    try:
        return read_chain(pem)
    except AnimateError as error:
        raise AnimateError(f"{path}: {error}") from error


def claims_more(path: Path) -> bool:
    """Whether a half that `read` accepts lists revocations that its key did not sign."""
    return bool(read_json(path)["revoked"]) and not read(path).revokes


def _statement(identity: str, revoked: Mapping[str, str]) -> bytes:
    """What a key signs of its revocations."""
    listed = json.dumps(dict(revoked), sort_keys=True, separators=(",", ":"))
    return f"animate revocations 1 {identity} {listed}".encode()


def _check_texts(*values: Any) -> None:
    for value in values:
        if not isinstance(value, str) or len(value) > LONGEST_NAME:
            raise ValueError("not a short text")


def is_toolkits(pem: str) -> bool:
    """Whether a chain holds a key of the toolkit's, or one that such a key issued."""
    own = read_chain(toolkit().public.certificates)
    public = [each.public_key() for each in own]
    chain = read_chain(pem)
    return any(c.public_key() in public for c in chain) or any(
        issued(c, above) for c in chain for above in own
    )


def merged(new: Public, known: Iterable[Public], path: Path) -> Public:
    """A new half, with what an older one of the same key adds.

    Raises AnimateError if it changes what a known identity means: another certificate or mark key
    for the same id, somebody else's mark key, or somebody else's name.
    """
    for old in known:
        if old.id != new.id:
            _refuse_confusion(new, old, path)
            continue
        leaves = [read_chain(each.certificates)[0] for each in (old, new)]
        keys = {each.mark_key for each in (old, new)} - {None}
        if not same(*leaves) or len(keys) > 1:
            raise AnimateError(
                f"{path} gives key {new.id} another meaning than the one known here as "
                f"{quoted(old.name)}: ask its owner which is right"
            )
        better = made_here(read_chain(old.certificates)) or not made_here(
            read_chain(new.certificates)
        )
        chain = old.certificates if better else new.certificates  # one that rotated keys belong to
        new = replace(new, certificates=chain, mark_key=new.mark_key or old.mark_key)
    return new


def _refuse_confusion(new: Public, old: Public, path: Path) -> None:
    if new.mark_key is not None and new.mark_key == old.mark_key:
        raise AnimateError(
            f"{path} gives the mark key of {quoted(old.name)} (key {old.id}) as its own: "
            "ask its owner for another export"
        )
    if alike(new.name, old.name) and not new.of_same_user(old):
        raise AnimateError(
            f"{path}: {quoted(new.name)} is the name of key {old.id} already, which is another "
            "identity: if you trust both, give this one another name with --name"
        )
