"""The key ring: the user's identities, trusted public halves and revocations, as files.

The user's root certificate is made once, so that a verifier who trusts it also trusts every key
that `rotate` makes.

    <home>/authority.pem        private keys of root and intermediate, with their certificates
    <home>/keys/<id>/           key.pem and chain.pem (leaf first) of one identity
    <home>/trusted/<id>.json    public halves of other identities
    <home>/revoked.json         ids of revoked keys, each with its time

Only their owner can read the files; a pass-phrase also encrypts the private keys.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import shutil
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from animate.errors import AnimateError
from animate.provenance.certificates import (
    certificate,
    check_chain,
    fit_name,
    identity_of,
    named,
    new_key,
    open_key,
    read_chain,
    split,
    subject,
    to_pem,
)
from animate.provenance.identity import TOOLKIT, Public, Signer, derive, toolkit
from animate.system.paths import home
from animate.watermark.payload import KEY_BYTES

SCHEMA = "animate.public-key/1"
LONGEST = 1 << 20  # bytes of a key file or public half


# ---------------------------------------------------------------- making


def init(
    name: str,
    *,
    passphrase: str | None = None,
    certificates: Path | None = None,
    private_key: Path | None = None,
) -> Public:
    """Make the first identity, with a new certificate chain or the given one.

    `certificates` is PEM, leaf first. `private_key` is a PEM file (EC P-256 or Ed25519);
    `passphrase` opens an encrypted one, and encrypts our copy. Raises AnimateError if there is an
    identity already, if the name is not printable text of 1 to 64 bytes, or if the certificates are
    not fit for signing C2PA claims.
    """
    name = fit_name(name)
    if identities():
        raise AnimateError(f"there is a key in {home()}: use `animate keys rotate` for a new one")
    if (certificates is None) != (private_key is None):
        raise AnimateError("own certificates need both --certificates and --private-key")
    if certificates is not None and private_key is not None:
        chain = _read(certificates).decode("utf-8", "replace")
        private = open_key(_read(private_key), passphrase, private_key)
        check_chain(chain, private)
        return _keep(private, chain, passphrase)
    if not (home() / "authority.pem").exists():
        _make_authority(name, passphrase)
    return _make_leaf(name, passphrase)


def rotate(*, stolen: bool = False, passphrase: str | None = None) -> Public:
    """Make a new key under the same root. The old one can still verify, unless it is `stolen`.

    Raises AnimateError if there is no key, or if its certificates were issued elsewhere.
    """
    old = current()
    if old is None:
        raise AnimateError("there is no key yet: make one with `animate keys init`")
    if not (home() / "authority.pem").exists():
        raise AnimateError(
            f"key {old.id} was issued elsewhere: have new certificates issued there, move "
            f"{home() / 'keys'} away and run `animate keys init` with them"
        )
    new = _make_leaf(old.name, passphrase)
    if stolen:
        revoke(old.id)
    return new


def revoke(identity: str) -> None:
    """Revoke a key, for good: nothing that it signed or marked counts any more."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    _revoke({identity: now, **revocations()})


def _revoke(entries: dict[str, str]) -> None:
    _write(home() / "revoked.json", json.dumps(entries, indent=2).encode())


def _make_authority(name: str, passphrase: str | None) -> None:
    root, middle = new_key(), new_key()
    top = certificate("root", name, root, None, root)
    below = certificate("intermediate", name, middle, top, root)
    parts = [to_pem(root, passphrase), to_pem(middle, passphrase), to_pem(below), to_pem(top)]
    _write(home() / "authority.pem", b"".join(parts))


def _make_leaf(name: str, passphrase: str | None) -> Public:
    path = home() / "authority.pem"
    authority = _read(path).decode()
    _, middle = re.findall(
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----\n", authority, re.S
    )
    issuer = open_key(middle.encode(), passphrase, path)
    below, top = split(authority)
    leaf = new_key()
    signed = certificate("leaf", name, leaf, read_chain(below)[0], issuer)
    return _keep(leaf, to_pem(signed).decode() + below + top, passphrase)


def _keep(private: Any, chain: str, passphrase: str | None) -> Public:
    """Store an identity, atomically."""
    identity = identity_of(chain)
    target = home() / "keys" / identity
    if target.exists():
        raise AnimateError(f"key {identity} is here already: see `animate keys list`")
    scratch = target.with_name(f".{identity}.{secrets.token_hex(4)}")
    try:
        _write(scratch / "key.pem", to_pem(private, passphrase))
        _write(scratch / "chain.pem", chain.encode())
        scratch.rename(target)
    except OSError as error:
        raise AnimateError(f"{target} can't be written ({error.strerror})") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return _public(target)


# ---------------------------------------------------------------- reading


def identities() -> list[Public]:
    """The user's identities, oldest first, without the mark keys of locked ones."""
    folders = [p for p in (home() / "keys").glob("[0-9a-f]*") if (p / "chain.pem").is_file()]
    found = [(_public(folder), (folder / "chain.pem").stat().st_mtime_ns) for folder in folders]
    return [p for p, _ in sorted(found, key=lambda pair: (pair[0].begins(), pair[1]))]


def current() -> Public | None:
    """The user's newest identity that is neither revoked nor expired."""
    now = datetime.now(timezone.utc)
    valid = [p for p in identities() if p.revoked is None and p.expires() > now]
    return valid[-1] if valid else None


def signer(identity: str | None = None, *, passphrase: str | None = None) -> Signer:
    """Open the named identity, or the current one; the toolkit's public one if there is none.

    A locked key needs its pass-phrase, as an argument or in ANIMATE_PASSPHRASE. Raises AnimateError
    for an unknown, revoked or expired key.
    """
    known = {p.id: p for p in identities()}
    newest = current()
    if identity is None:
        if newest is None and known:
            raise AnimateError("every key is expired or revoked: make one with `keys rotate`")
        identity = newest.id if newest else TOOLKIT
    if identity == TOOLKIT:
        return toolkit()
    if identity not in known:
        raise AnimateError(f"there is no key {identity}: see `animate keys list`")
    if known[identity].revoked:
        raise AnimateError(f"key {identity} is revoked: use another, see `animate keys list`")
    ends = known[identity].expires()
    if ends <= datetime.now(timezone.utc):
        raise AnimateError(
            f"key {identity} expired on {ends:%Y-%m-%d}: make a new one with `keys rotate`"
        )
    path = home() / "keys" / identity / "key.pem"
    private = open_key(_read(path), passphrase, path)
    return Signer(known[identity], private, derive(private))


def trusted() -> list[Public]:
    """The identities that this user trusts: their own and those of imported public halves."""
    others = [_load_public(path) for path in sorted((home() / "trusted").glob("*.json"))]
    own = identities()
    return own + [p for p in others if p.id not in {o.id for o in own}]


def revocations() -> dict[str, str]:
    """Ids of revoked keys, each with its time."""
    path = home() / "revoked.json"
    if not path.exists():
        return {}
    value = _json(path)
    if not all(isinstance(v, str) for v in value.values()):
        raise AnimateError(f"{path} is damaged: every entry is an id and a time")
    return {str(k): v for k, v in value.items()}


def whose(serial: int) -> str:
    """The id of the identity whose leaf certificate has this serial number.

    Certificates made here have the id as serial number; others are looked up among the trusted.
    """
    known = {read_chain(p.certificates)[0].serial_number: p.id for p in trusted()}
    return known.get(serial, f"{serial:016x}")


# ---------------------------------------------------------------- exchanging public halves


def export(identity: str | None = None, *, mark_key: bool = False) -> str:
    """The public half of an identity for verifiers, as JSON, with the user's revocations.

    `mark_key` adds the mark key; see `Public` for what that allows.
    """
    known = {p.id: p for p in identities()}
    chosen = known.get(identity) if identity else current()
    if chosen is None:
        raise AnimateError(f"there is no key {identity or 'yet'}: see `animate keys list`")
    secret = signer(chosen.id).mark_key if mark_key else None
    value = {
        "schema": SCHEMA,
        "id": chosen.id,
        "name": chosen.name,
        "certificates": chosen.certificates,
        "revoked": {k: v for k, v in revocations().items() if k in known},
    }
    if secret:
        value["mark_key"] = base64.b64encode(secret).decode()
    return json.dumps(value, indent=2) + "\n"


def trust(path: Path) -> Public:
    """Trust the identity whose public half is in a file, and import its revocations.

    A public half can revoke keys of its own root only.
    """
    public = _load_public(path)
    protected = {p.id for p in trusted() if p.anchor != public.anchor}
    _write(home() / "trusted" / f"{public.id}.json", _read(path))
    news = {k: v for k, v in _json(path)["revoked"].items() if k not in protected}
    if news:
        _revoke({**news, **revocations()})
    return public


def _load_public(path: Path) -> Public:
    value = _json(path)
    try:
        if value["schema"] != SCHEMA:
            raise AnimateError(f"{path} has the schema {value['schema']!r}: expected {SCHEMA}")
        name, chain, revoked = value["name"], value["certificates"], value["revoked"]
        secret = value.get("mark_key")
        key = None if secret is None else base64.b64decode(secret, validate=True)
        identity, since = identity_of(chain), {**revoked, **revocations()}
        if not all(isinstance(v, str) for v in revoked.values()):
            raise ValueError("a time is text")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise AnimateError(f"{path} is no public half of a key: export it again") from error
    if identity != value.get("id") or (key is not None and len(key) < KEY_BYTES):
        raise AnimateError(f"{path} contradicts itself: export it again")
    return Public(identity, named(str(name)), str(chain), key, since.get(identity))


def _public(folder: Path) -> Public:
    chain = _read(folder / "chain.pem").decode("utf-8", "replace")
    try:
        key = derive(open_key(_read(folder / "key.pem"), None, folder / "key.pem"))
    except AnimateError:  # locked
        key = None
    identity = identity_of(chain)
    return Public(identity, subject(chain), chain, key, revocations().get(identity))


# ---------------------------------------------------------------- files


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_read(path))
    except (ValueError, RecursionError) as error:
        raise AnimateError(f"{path} is no JSON: export it again") from error
    if not isinstance(value, dict):
        raise AnimateError(f"{path} is no JSON object: export it again")
    return value


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST + 1)
    except OSError as error:
        raise AnimateError(f"{path} can't be read ({error.strerror}): check the path") from error
    if len(data) > LONGEST:
        raise AnimateError(f"{path} is larger than a key: check the path")
    return data


def _write(path: Path, data: bytes) -> None:
    """Write a file atomically, readable by its owner only."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except OSError as error:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise AnimateError(
            f"{path} can't be written ({error.strerror}): set ANIMATE_HOME to a folder of yours"
        ) from error
