"""Judge what the content credentials (C2PA) in or beside a file prove.

Source: C2PA 2.2, sections 9 (binding) and 15 (validation). `manifest` defines what is signed.
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from animate.errors import AnimateError
from animate.provenance import findings, identity, keys
from animate.provenance.certificates import fingerprint
from animate.provenance.consent import words_in
from animate.provenance.exclusions import is_exact
from animate.provenance.findings import RECORD, UNTRUSTED, Findings
from animate.provenance.identity import Public
from animate.provenance.kinds import kind_of
from animate.provenance.manifest import BESIDE, Record, beside, settings
from animate.provenance.signing_chain import signing_chain

if TYPE_CHECKING:
    from cryptography import x509

LARGEST = 64 << 20  # bytes of the largest manifest read beside a file
BLOCK = 1 << 24  # bytes searched at a time
STORES = (b"c2ma", b"c2um", b"c2cm")  # types of manifests in a store: C2PA 2.2, section 11.1.4
STORE = b"c2pa"  # type of the store itself
TYPE = b"\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71"  # rest of their UUIDs


@dataclass(frozen=True)
class Signature:
    """What a manifest proves.

    `state`: "none", there is no manifest; "remote", the file names its address, which is not
    fetched; "unchecked", it can't be checked, or not in full: `notes` say why; "invalid", it is
    damaged or forged; "changed", it is sound, but was signed for another file or another version of
    this one. The other states hold for the very file that was signed and describe the signer:
    "trusted", an identity that this machine trusts; "untrusted", an unknown one; "public", the
    toolkit's public key, which everybody has; "expired"; "revoked". `trust` describes the signer
    in the same words, even if the file was changed.
    """

    state: str = "none"
    trust: str = "none"
    key: str | None = None  # the identity's id
    name: str | None = None  # the trusted name, else the name in the certificate
    generator: str | None = None
    beside: bool = False  # the manifest is a file beside this one
    ingredients: tuple[str, ...] = ()
    record: Record | None = field(default=None, repr=False)
    manifest: bytes | None = field(default=None, repr=False)
    problems: tuple[str, ...] = ()  # C2PA's codes of failed checks
    notes: tuple[str, ...] = ()  # failures in words, beyond what the state says
    ingredient_problems: tuple[tuple[str, str], ...] = ()  # (title, code)
    sources: tuple[str, ...] = ()  # IPTC source types in the manifest
    ingredient_sources: tuple[str, ...] = ()  # IPTC source types in its ingredients' manifests
    remote: str | None = None  # address of a remote manifest


def read(path: Path, *, manifest: bytes | None = None, sha256: str | None = None) -> Signature:
    """What the manifest in or beside a file proves about it.

    `manifest` replaces the one beside the file; `sha256` is the file's, if already known.
    """
    kind = kind_of(path)
    found = _examine(kind, path) if kind and manifest is None else Signature()
    if found.state not in ("none", "remote"):
        return found
    if manifest is None and beside(path).is_file() and beside(path).stat().st_size <= LARGEST:
        manifest = beside(path).read_bytes()
    return found if manifest is None else _judge_beside(path, kind, manifest, sha256)


def source_types(path: Path) -> tuple[str, ...]:
    """IPTC source types in the manifest in a file, unverified; its ingredients' types come last."""
    kind = kind_of(path)
    found = _read(kind, path, check=False) if kind else None
    return (*found.sources, *found.earlier) if isinstance(found, Findings) else ()


def _judge_beside(path: Path, kind: str | None, manifest: bytes, sha256: str | None) -> Signature:
    from animate.media.clips import sha256 as digest

    found = read_alone(manifest)
    if found.record is None or found.record.sha256 is None:
        found = _judge_foreign(path, kind, manifest, found)
        return replace(found, beside=found.state != "none")
    signed, found = found.record.sha256, replace(found, beside=True)
    if found.state != "changed" or signed != (sha256 or digest(path)):
        return found
    problems = tuple(code for code in found.problems if code not in findings.CHANGED)
    return replace(found, state=found.trust, problems=problems)  # the record's hash binds it


def _judge_foreign(path: Path, kind: str | None, manifest: bytes, found: Signature) -> Signature:
    """Judge a manifest beside a file that is not this toolkit's, or is incomplete."""
    if found.record is not None or findings.is_ours(found.generator):
        return replace(found, state="invalid")
    if found.trust == "none":  # nothing to compare with the file
        return found
    if kind is None:
        why = "C2PA can't check files of this kind against a manifest beside them"
        return replace(found, state="unchecked", notes=(*found.notes, why))
    return _examine(kind, path, manifest, apart=True)


def read_alone(manifest: bytes) -> Signature:
    """What a manifest store proves without its file; its state is "changed" at best."""
    return _examine(BESIDE, io.BytesIO(manifest), manifest)


def _examine(
    kind: str, source: Path | io.BytesIO, manifest: bytes | None = None, *, apart: bool = False
) -> Signature:
    """Read and judge a manifest; with `apart` it is outside the source and judged against it."""
    found = _read(kind, source, manifest if apart else None)
    if found is None or isinstance(found, Signature):
        return found or Signature()
    who = next((p for p in keys.trusted() if p.vouches_for(found.chain)), None)
    return replace(signature_of(found, who), manifest=manifest)


def key_of(found: Findings) -> str | None:
    """The id of the key that signed, else its certificate's serial number; None without either."""
    if found.chain:
        return fingerprint(found.chain[0].public_key())
    serial = str((found.store.get("signature_info") or {}).get("cert_serial_number"))
    return f"{int(serial):016x}" if re.fullmatch("[0-9]{1,60}", serial) else None


def _valid_now(item: x509.Certificate) -> bool:
    return item.not_valid_before_utc <= datetime.now(timezone.utc) <= item.not_valid_after_utc


def signature_of(found: Findings, who: Public | None) -> Signature:
    """Turn findings into a Signature; `who` is the trusted identity that vouches for its key."""
    standing, key = findings.standing(found), key_of(found)
    if found.ours and key is None:
        standing = "invalid"
    problems = tuple(c for c in found.failed if c != UNTRUSTED or who is None)
    if standing == "invalid":
        problems = problems or tuple(f.code for f in found.ingredients) or ("unknown",)
    failed = set(found.failed)
    trust = "trusted" if who else "untrusted"
    if who is None and key is not None and key == identity.toolkit().public.id:
        trust = "public"
    if any(code.startswith("signingCredential.") for code in failed - {UNTRUSTED}):
        trust = "untrusted"  # C2PA rejects the certificate, whosever it is
    if failed & findings.EXPIRED or (found.chain and not _valid_now(found.chain[0])):
        trust = "expired"
    if failed & findings.REVOKED or (key is not None and keys.is_revoked(key, who)):
        trust = "revoked"
    signed = found.store.get("signature_info") or {}
    signature = Signature(
        generator=found.generator,
        ingredients=tuple(str(i.get("title"))[:200] for i in found.store.get("ingredients") or []),
        problems=problems,
        notes=findings.notes(found, standing),
        ingredient_problems=tuple(
            dict.fromkeys((f.title, f.code) for f in (*found.ingredients, *found.recorded))
        ),
        sources=found.sources,
        ingredient_sources=found.earlier,
    )
    if standing == "invalid":
        return replace(signature, state="invalid")
    record, problem = _record(found.store)
    if problem:  # signed, but by whoever made that record up
        return replace(signature, state="invalid", problems=(*problems, *problem))
    return replace(
        signature,
        state=trust if standing == "bound" else standing,
        trust=trust,
        key=key,
        name=who.name if who else str(signed.get("common_name") or signed.get("issuer") or ""),
        record=record,
    )


def _read(
    kind: str,
    source: Path | io.BytesIO,
    store: bytes | None = None,
    *,
    check: bool = True,
) -> Findings | Signature | None:
    """What C2PA's reader finds; None without a manifest, a Signature if it can't be read."""
    import c2pa

    stream = source.open("rb") if isinstance(source, Path) else source
    stream.seek(0)
    chosen = settings()
    chosen["verify"]["verify_after_reading"] = check
    try:
        context = c2pa.Context.from_dict(chosen)
        with c2pa.Reader(kind, stream, store, context=context) as reader:
            whole = json.loads(reader.json())
            label = str(whole.get("active_manifest"))
            found = findings.of(whole)
            if found is not None and check:
                exact = kind == BESIDE or is_exact(stream, kind, json.loads(reader.detailed_json()))
                return replace(found, chain=_chain(reader, label), exact=exact)
    except c2pa.C2paError as error:
        missing = "ManifestNotFound" in type(error).__name__ or "ManifestNotFound" in str(error)
        return None if missing else _unread(str(error)[:200], source, store)
    except (ValueError, RecursionError) as error:
        return _unread(f"unreadable: {str(error)[:100]}", source, store)
    finally:
        if isinstance(source, Path):
            stream.close()
    return found or _unread("no active manifest", source, store)


def _chain(reader: Any, label: str) -> tuple[x509.Certificate, ...]:
    import c2pa

    store = io.BytesIO()
    try:
        reader.resource_to_stream(f"self#jumbf=/c2pa/{label}", store)
    except c2pa.C2paError:
        return ()
    return tuple(signing_chain(store.getvalue(), label))


def _unread(message: str, source: Path | io.BytesIO, store: bytes | None) -> Signature | None:
    """The state of a manifest that the reader rejects with an error message."""
    _, remote, address = message.partition("must fetch remote manifests from url ")
    if remote:
        return Signature("remote", remote=address.strip())
    if store is None and isinstance(source, Path):
        with source.open("rb") as file:
            return _in_a_damaged_file(message, file) or _rejected(message, file)
    stream = io.BytesIO(store) if store is not None else cast(io.BytesIO, source)
    return _rejected(message, stream)


def _rejected(message: str, stream: BinaryIO) -> Signature | None:
    there = _last_of(stream, *(name + TYPE for name in STORES))
    if _last_of(stream, RECORD.encode()) > there:  # the last, active manifest is this toolkit's
        return Signature("invalid", problems=(message,))
    why = f"C2PA's library does not read it ({message})"
    return Signature("unchecked", problems=(message,), notes=(why,)) if there >= 0 else None


def _in_a_damaged_file(message: str, stream: BinaryIO) -> Signature | None:
    """This toolkit's manifest, if it is whole in a file that can't be parsed around it."""
    at = _last_of(stream, STORE + TYPE) - 16  # after the sizes and names of two boxes
    if at < 0:
        return None
    stream.seek(at)
    size = int.from_bytes(stream.read(4), "big")
    stream.seek(at)
    found = read_alone(stream.read(size)) if size <= LARGEST else Signature()
    if found.state != "changed" or found.record is None:
        return None
    rest = (code for code in found.problems if code not in findings.CHANGED)
    why = (f"its manifest is whole, but the file around it is damaged: bytes are missing or were "
           f"added, such as at its end ({message})")  # fmt: skip
    return replace(found, manifest=None, problems=(message, *rest), notes=(*found.notes, why))


def _last_of(stream: BinaryIO, *words: bytes) -> int:
    """Offset of the last occurrence of any of the words; -1 if there is none."""
    last, start, kept = -1, stream.seek(0), b""
    while block := stream.read(BLOCK):
        data = kept + block
        start, kept = start - len(kept), data[-64:]
        last = max(last, *(start + at for word in words if (at := data.rfind(word)) >= 0), -1)
        start += len(data)
    return last


def _record(store: dict[str, Any]) -> tuple[Record | None, tuple[str, ...]]:
    found = [a.get("data") for a in store.get("assertions", []) if a.get("label") == RECORD]
    if not found:
        return None, ()
    try:
        record = Record.of(found[0])
    except AnimateError as error:
        return None, (str(error),)
    return replace(record, consent=words_in(store["assertions"])), ()
