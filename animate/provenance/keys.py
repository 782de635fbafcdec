"""The key ring: the user's identities, trusted public halves and revocations, as files.

The user's root certificate is made once, so that a verifier who trusts it also trusts every key
that `rotate` makes.

    <home>/authority.pem        private keys of root and intermediate, with their certificates
    <home>/keys/<id>/           key.pem and chain.pem (leaf first) of one identity
    <home>/trusted/<id>.json    public halves of other identities
    <home>/revoked/<id>.json    the time since when a key is revoked
    <home>/revoked/<by>/<id>.json  the same, according to the public half of the identity <by>
    <home>/revoked.json         the same of several keys, from earlier versions

Only their owner can read the files; a pass-phrase also encrypts the private keys.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from animate.errors import AnimateError
from animate.provenance import halves
from animate.provenance.certificates import (
    certificate,
    check_chain,
    fit_name,
    identity_of,
    new_key,
    open_key,
    read_chain,
    split,
    subject,
    to_pem,
)
from animate.provenance.files import read_bytes, read_json, write
from animate.provenance.identity import TOOLKIT, Public, Signer, derive, toolkit
from animate.system.paths import home

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
        chain = read_bytes(certificates).decode("utf-8", "replace")
        private = open_key(read_bytes(private_key), passphrase, private_key)
        check_chain(chain, private)
        if halves.is_toolkits(chain):
            raise AnimateError(f"{certificates} holds the toolkit's key, which everybody has")
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
    """Revoke a key, for good: nothing that it signed or marked counts any more.

    Each has a file of its own, so that revocations at the same time don't meet.
    """
    if not halves.KEY.fullmatch(identity):
        raise AnimateError(f"there is no key {identity}: see `animate keys list`")
    if identity not in _revoked_here():
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        _note(home() / "revoked" / f"{identity}.json", now)


def _note(path: Path, since: str) -> None:
    write(path, json.dumps({"since": since}).encode())


def _make_authority(name: str, passphrase: str | None) -> None:
    root, middle = new_key(), new_key()
    top = certificate("root", name, root, None, root)
    below = certificate("intermediate", name, middle, top, root)
    parts = [to_pem(root, passphrase), to_pem(middle, passphrase), to_pem(below), to_pem(top)]
    write(home() / "authority.pem", b"".join(parts))


def _make_leaf(name: str, passphrase: str | None) -> Public:
    path = home() / "authority.pem"
    authority = read_bytes(path).decode()
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
        write(scratch / "key.pem", to_pem(private, passphrase))
        write(scratch / "chain.pem", chain.encode())
        scratch.rename(target)
    except OSError as error:
        raise AnimateError(f"{target} can't be written ({error.strerror})") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return _public(target)


# ---------------------------------------------------------------- reading


def identities() -> list[Public]:
    """The user's identities, oldest first, without the mark keys of locked ones."""
    since = revocations()
    found = [
        (replace(public, revoked=since.get(public.id)), (folder / "chain.pem").stat().st_mtime_ns)
        for folder in _folders()
        for public in [_unlocked(folder)]
    ]
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
    return _open(known[identity], passphrase)


def _open(public: Public, passphrase: str | None = None) -> Signer:
    path = home() / "keys" / public.id / "key.pem"
    private = open_key(read_bytes(path), passphrase, path)
    return Signer(public, private, derive(private))


def trusted() -> list[Public]:
    """The identities that this user trusts: their own and those of imported public halves.

    A half that can't be read is left out: `damaged` names it.
    """
    own, others = identities(), _halves()[0]
    since = revocations()
    others = [p for p in others if p.id not in {o.id for o in own}]
    return own + [replace(p, revoked=since.get(p.id)) for p in others]


def unsigned_revocations(path: Path) -> bool:
    """Whether a public half lists revocations that its key did not sign, and `trust` left out."""
    return halves.claims_more(path)


def damaged() -> list[str]:
    """A line for each public half that `trusted` leaves out, with the reason."""
    return _halves()[1]


def _halves() -> tuple[list[Public], list[str]]:
    found, wrong = [], []
    for path in sorted((home() / "trusted").glob("*.json")):
        try:
            found.append(halves.read(path))
        except AnimateError as error:
            wrong.append(f"{' '.join(str(error).split())}; it is left out, the others count")
    return found, wrong


def revocations() -> dict[str, str]:
    """Ids of revoked keys, each with its time: revoked here, or by those whose keys they are."""
    found = _revoked_here()
    known = {p.id: p for p in (*_halves()[0], *_own())}
    for half in known.values():
        for identity, since in _noted(home() / "revoked" / half.id).items():
            theirs = identity in known and known[identity].of_same_user(half)
            if identity == half.id or theirs:
                found.setdefault(identity, since)
    return found


def is_revoked(identity: str, voucher: Public | None) -> bool:
    """Whether a key is revoked; `voucher` is the trusted identity that vouches for it, if any.

    A user revokes keys of their own root, known here or not, and nobody else's.
    """
    if identity in revocations():
        return True
    return voucher is not None and any(
        (home() / "revoked" / half.id / f"{identity}.json").exists() and half.of_same_user(voucher)
        for half in (*_halves()[0], *_own())
    )


def _revoked_here() -> dict[str, str]:
    found = {}
    path = home() / "revoked.json"
    if path.exists():
        value = read_json(path)
        if not all(isinstance(v, str) for v in value.values()):
            raise AnimateError(f"{path} is damaged: every entry is an id and a time")
        found = {str(k): v for k, v in value.items()}
    return {**_noted(home() / "revoked"), **found}


def _noted(folder: Path) -> dict[str, str]:
    """The revocations in a folder. An unreadable one counts too: its file name is the key's id."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            since = read_json(path).get("since")
        except AnimateError:
            since = None
        found[path.stem] = since if isinstance(since, str) else "an unknown time"
    return found


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
    revoked = {k: v for k, v in revocations().items() if k in known}
    opened = _open(chosen) if mark_key or revoked else None
    secret = opened.mark_key if mark_key and opened else None
    half = replace(chosen, mark_key=secret)
    return halves.text(half, revoked=revoked, signer=opened)


def trust(path: Path, *, name: str | None = None) -> Public:
    """Trust the identity whose public half is in a file, under its own name or the given one.

    What is known of others stays as it is: a half can neither take a name or an id that another
    key has, nor revoke keys but those of its own root. Raises AnimateError if it would, or if it is
    the toolkit's.
    """
    new = halves.read(path)
    stored = home() / "trusted" / f"{new.id}.json"
    others, own = _halves()[0], _own()
    before = next((p for p in others if p.id == new.id), None)
    called = name or (before.name if before else None)
    new = replace(new, name=called or new.name)
    new = halves.merged(new, [*own, *others, toolkit().public], path)
    write(stored, halves.text(new, called=called).encode())
    for identity, since in new.revokes.items():
        _note(home() / "revoked" / new.id / f"{identity}.json", since)
    return replace(new, revoked=revocations().get(new.id))


def _own() -> list[Public]:
    return [_unlocked(folder) for folder in _folders()]


def _folders() -> list[Path]:
    return [p for p in (home() / "keys").glob("[0-9a-f]*") if (p / "chain.pem").is_file()]


def _public(folder: Path) -> Public:
    public = _unlocked(folder)
    return replace(public, revoked=revocations().get(public.id))


def _unlocked(folder: Path) -> Public:
    """An identity of the user's, without its revocation."""
    chain = read_bytes(folder / "chain.pem").decode("utf-8", "replace")
    try:
        key = derive(open_key(read_bytes(folder / "key.pem"), None, folder / "key.pem"))
    except AnimateError:  # locked
        key = None
    return Public(identity_of(chain), subject(chain), chain, key)
