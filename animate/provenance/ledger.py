"""Ledger of published files: a local SQLite file with chained and signed entries.

A file that lost its metadata still carries its payload; the ledger then supplies its claim and its
signed manifest. Each entry's hash covers the previous one, so nobody can change, remove or insert
an entry unnoticed. Only a user who noted the last hash can notice that the newest entries were cut
off (`animate ledger verify` prints it).
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from animate.errors import AnimateError, VerificationError
from animate.provenance import identity, keys
from animate.system.paths import home
from animate.system.text import safe
from animate.watermark import Claim

VERSION = 1  # of the tables; PRAGMA user_version
WAIT = 60.0  # seconds to wait for other writers
START = "0" * 64  # the hash before the first entry
TABLES = """
CREATE TABLE entries (
    number INTEGER PRIMARY KEY,     -- 1, 2, 3, ... without gaps
    created TEXT NOT NULL,          -- the claim's time, ISO 8601
    payload TEXT NOT NULL,          -- in the pixels, 16 hex digits
    content_id TEXT NOT NULL,       -- of the claim, 8 hex digits
    sha256 TEXT NOT NULL,           -- of the published file
    claim TEXT NOT NULL,            -- canonical JSON
    manifest BLOB NOT NULL,         -- the signed C2PA manifest store
    key TEXT NOT NULL,              -- id of the identity that signed
    before TEXT NOT NULL,           -- hash of the previous entry
    hash TEXT NOT NULL UNIQUE,
    signature BLOB NOT NULL         -- of the hash
);
CREATE INDEX by_payload ON entries (payload);
CREATE INDEX by_content_id ON entries (content_id);
CREATE INDEX by_sha256 ON entries (sha256);
CREATE TRIGGER no_change BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END;
CREATE TRIGGER no_removal BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are never removed'); END;
"""


@dataclass(frozen=True)
class Entry:
    """One published file."""

    number: int
    created: str
    payload: str
    content_id: str
    sha256: str
    claim: str
    manifest: bytes
    key: str
    before: str
    hash: str
    signature: bytes

    def digest(self) -> str:
        """The right `hash`: SHA-256 over the other fields but `signature`, as canonical JSON."""
        value = asdict(self)
        del value["hash"], value["signature"]
        value["manifest"] = hashlib.sha256(self.manifest).hexdigest()
        text = json.dumps(value, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def plain(self) -> dict[str, Any]:
        """The entry as JSON values."""
        return {
            **asdict(self),
            "claim": _json(self.claim),
            "manifest": self.manifest.hex(),
            "signature": self.signature.hex(),
        }


def _json(text: str) -> Any:
    """A claim as JSON values; the text itself if it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


COLUMNS = ", ".join(f.name for f in fields(Entry))


def path() -> Path:
    return home() / "ledger.sqlite3"


def check() -> None:
    """Raise AnimateError if the ledger can't be written; call it before work starts."""
    try:
        home().mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise AnimateError(_trouble(error)) from error
    for place in (home(), path()):
        if place.exists() and not os.access(place, os.W_OK):
            raise AnimateError(_trouble(PermissionError("no permission to write")))


@contextmanager
def recording(
    claim: Claim, *, payload: str, sha256: str, manifest: bytes, signer: identity.Signer
) -> Iterator[Entry]:
    """Record a published file only if the block succeeds; the block gives the file its name.

    Writers wait for each other. Raises AnimateError if the ledger can't be written.
    """
    with _open(create=True) as base:
        base.execute("BEGIN IMMEDIATE")
        try:
            last = base.execute("SELECT max(number), hash FROM entries").fetchone()
            number, before = (last[0] or 0) + 1, last[1] or START
            entry = Entry(
                number=number, created=claim.created, payload=payload,
                content_id=f"{claim.content_id():08x}", sha256=sha256, claim=claim.json(),
                manifest=manifest, key=signer.public.id, before=before, hash="", signature=b"",
            )  # fmt: skip
            digest = entry.digest()
            made = signer.sign(digest.encode())
            entry = Entry(**{**asdict(entry), "hash": digest, "signature": made})
            marks = ", ".join("?" * len(fields(Entry)))
            values = [getattr(entry, f.name) for f in fields(Entry)]
            base.execute(f"INSERT INTO entries ({COLUMNS}) VALUES ({marks})", values)
            yield entry
            base.execute("COMMIT")
        except BaseException:
            if base.in_transaction:
                base.execute("ROLLBACK")
            raise


def find(text: str) -> list[Entry]:
    """The newest 1000 entries whose payload, content id, file hash or own hash is `text` (hex)."""
    where = "payload = ?1 OR content_id = ?1 OR sha256 = ?1 OR hash = ?1"
    if not path().exists():
        return []
    with _open() as base:
        query = f"SELECT {COLUMNS} FROM entries WHERE {where} ORDER BY number DESC LIMIT 1000"
        return [_entry(row) for row in base.execute(query, [text.lower()])]


def entries() -> Iterator[Entry]:
    """All entries, oldest first."""
    if not path().exists():
        return
    with _open() as base:
        for row in base.execute(f"SELECT {COLUMNS} FROM entries ORDER BY number"):
            yield _entry(row)


def verify(head: str | None = None) -> tuple[int, str]:
    """Check chain and signatures; return the number of entries and the last hash.

    `head` is a hash noted earlier, which must still be in the chain. Each signature covers all
    entries before it, so the last one has to be by a key of the user's own, where there is one:
    others' keys and the toolkit's, which everybody has, prove nothing here. Raises
    VerificationError that names the first entry in error.
    """
    own = {p.id: p.certificates for p in keys.identities()}
    others = {p.id: p.certificates for p in [*keys.trusted(), identity.toolkit().public]}
    count, before, has_head, covered = 0, START, head is None or head == START, 0
    for entry in entries():
        count += 1
        if entry.number != count or entry.before != before:
            raise VerificationError(f"the ledger lacks an entry before number {entry.number}")
        if entry.hash != entry.digest():
            raise VerificationError(f"entry {entry.number} of the ledger was changed")
        _check_signature(entry, others | own)
        covered = count if entry.key in own else covered
        before = entry.hash
        has_head = has_head or before == head
    if not has_head:
        raise VerificationError(f"the ledger does not hold {head}: its end was cut off or replaced")
    if own and covered < count:
        raise VerificationError(
            f"entries {covered + 1} to {count} of the ledger are not signed by a key of yours, so "
            "others can have written them: entries from before `keys init` are covered by the "
            "first that your key signs"
        )
    return count, before


def is_proven() -> bool:
    """Whether a ledger that `verify` accepts could be written by its user alone."""
    return bool(keys.identities()) or next(entries(), None) is None


def _check_signature(entry: Entry, certificates: dict[str, str]) -> None:
    chain = certificates.get(entry.key)
    if not entry.signature:
        raise VerificationError(f"entry {entry.number} of the ledger has no signature")
    if chain is None:
        raise VerificationError(
            f"entry {entry.number} of the ledger is signed by {safe(entry.key, 64)}, a key that is "
            "not known here: if it was yours, import its public half with `animate keys trust`"
        )
    if not identity.signed(chain, entry.signature, entry.hash.encode()):
        raise VerificationError(f"entry {entry.number} of the ledger has a wrong signature")


def _entry(row: tuple[Any, ...]) -> Entry:
    """An entry from a row; checks the types, which SQLite does not enforce."""
    found = Entry(*row)
    kinds = {"number": int, "manifest": bytes, "signature": bytes}
    for name, value in vars(found).items():
        if not isinstance(value, kinds.get(name, str)):
            raise VerificationError(f"entry {safe(str(row[0]), 20)} of the ledger was changed")
    return found


@contextmanager
def _open(*, create: bool = False) -> Iterator[sqlite3.Connection]:
    try:
        if create:
            home().mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = "rwc" if create else "rw"
        base = sqlite3.connect(
            f"{path().absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=WAIT,
            isolation_level=None,
        )
    except (OSError, sqlite3.Error) as error:
        raise AnimateError(_trouble(error)) from error
    try:
        version = base.execute("PRAGMA user_version").fetchone()[0] or _prepare(base)
        if version != VERSION:
            raise AnimateError(
                f"{path()} has version {version}, this program knows {VERSION}: update animate"
            )
        yield base
    except sqlite3.Error as error:
        raise AnimateError(_trouble(error)) from error
    finally:
        base.close()


def _prepare(base: sqlite3.Connection) -> int:
    """Create the tables, unless another process just did; a crash leaves all or none."""
    path().chmod(0o600)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("BEGIN IMMEDIATE")
    if not base.execute("PRAGMA user_version").fetchone()[0]:
        for statement in _statements(TABLES):
            base.execute(statement)
        base.execute(f"PRAGMA user_version = {VERSION}")
    base.execute("COMMIT")
    return VERSION


def _statements(text: str) -> Iterator[str]:
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _trouble(error: Exception) -> str:
    return f"the ledger {path()} can't be used ({error}): repair it, or set another ANIMATE_HOME"
