"""Content credentials (C2PA): the manifest that is signed, and what a manifest found proves.

A manifest holds the claim, its thumbnails and the payload in an assertion of ours, `RECORD`, beside
those that every C2PA reader knows: actions, ingredients, soft binding, training and mining. Source:
C2PA 2.2, sections 9 (binding), 18 (assertions); CAWG training and data mining 1.1. Formats that
C2PA can't embed into get the manifest as a file beside them, with the file's SHA-256 in the record.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from animate.errors import AnimateError
from animate.provenance import keys
from animate.provenance.fingerprint import Fingerprint
from animate.provenance.keys import Public
from animate.watermark import Claim, Payload

RECORD = "org.animate-toolkit.record"
SOFT_BINDING = "org.animate-toolkit.mark"  # with the mark's version behind it
BESIDE = "application/c2pa"  # the format of a manifest that lies beside its file
SUFFIXES = {
    ".mp4": "video/mp4", ".mov": "video/quicktime", ".gif": "image/gif", ".png": "image/png",
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp",
}  # fmt: skip
LARGEST = 64 << 20  # bytes of a manifest beside a file
# What a changed file makes fail, and what says something of the signer rather than of the file.
CHANGED = {"assertion.dataHash.mismatch", "assertion.bmffHash.mismatch"}
SIGNER = {"signingCredential.untrusted", "signingCredential.expired",
          "claimSignature.outsideValidity"}  # fmt: skip
STATES = ("none", "invalid", "changed", "expired", "revoked", "public", "untrusted", "trusted")


@dataclass(frozen=True)
class Record:
    """What is signed beside the claim."""

    claim: Claim
    payload: str  # as `str(Payload)` writes it
    fingerprint: Fingerprint
    label: dict[str, Any] | None = None  # the visible label that was drawn
    sha256: str | None = None  # of the file, where the manifest lies beside it

    def plain(self) -> dict[str, Any]:
        value = asdict(replace(self, fingerprint=None))  # type: ignore[arg-type]
        return {**value, "fingerprint": self.fingerprint.plain()}

    @classmethod
    def of(cls, value: Any) -> Record:
        """The inverse of `plain`; AnimateError for anything else."""
        try:
            claim = Claim.from_json(json.dumps(value["claim"]))
            seen = Fingerprint.of(value["fingerprint"])
            label, sha256, payload = value["label"], value["sha256"], value["payload"]
        except (KeyError, TypeError) as error:
            raise AnimateError("the manifest's record is not whole") from error
        sound = isinstance(payload, str) and isinstance(sha256, (str, type(None)))
        if not sound or not isinstance(label, (dict, type(None))):
            raise AnimateError("the manifest's record is not whole")
        return cls(claim, payload, seen, label, sha256)


@dataclass(frozen=True)
class Signature:
    """What a manifest proves.

    `state`: "none" there is no manifest; "invalid" it is damaged or forged; "changed" it is sound,
    but the file is not the one that was signed; then, for the very file that was signed, by whom:
    "trusted" an identity this machine trusts; "untrusted" one it doesn't know; "public" the
    toolkit's public key, which everybody has; "expired" and "revoked". `trust` says the same of the
    signer where the file was changed.
    """

    state: str = "none"
    trust: str = "none"
    key: str | None = None  # the identity's id
    name: str | None = None  # the trusted name, or what the certificate says of itself
    generator: str | None = None
    beside: bool = False  # the manifest lies beside the file
    ingredients: tuple[str, ...] = ()
    record: Record | None = field(default=None, repr=False)
    manifest: bytes | None = field(default=None, repr=False)
    problems: tuple[str, ...] = ()


# ---------------------------------------------------------------- to be signed


@dataclass(frozen=True)
class Ingredient:
    """An input: its role, file, and what was found of its own history."""

    role: str  # "photo" or "driving video"
    path: Path
    sha256: str
    history: str = ""


def definition(
    record: Record,
    payload: Payload,
    source: str,
    ingredients: Iterable[Ingredient] = (),
    own: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The manifest before it is signed, as c2pa's builder takes it; names of files are left out."""
    placed = [name_of(ingredient) for ingredient in ingredients]
    created: dict[str, Any] = {"action": "c2pa.created", "digitalSourceType": source}
    if placed:
        created["parameters"] = {"ingredientIds": placed}
    bound = {"alg": f"{SOFT_BINDING}.{payload.version}", "pad": [],
             "blocks": [{"scope": {}, "value": record.payload}]}  # fmt: skip
    refused = {"use": "notAllowed"}
    kinds = ("cawg.ai_generative_training", "cawg.ai_training", "cawg.data_mining",
             "cawg.ai_inference")  # fmt: skip
    name, _, version = record.claim.generator.partition(" ")
    assertions = [
        ("c2pa.actions.v2", {"actions": [created, {"action": "c2pa.watermarked.bound"}]}),
        ("c2pa.soft-binding", bound),
        ("cawg.training-mining", {"entries": dict.fromkeys(kinds, refused)}),
        (RECORD, record.plain()),
    ]
    return {
        "claim_generator_info": [{"name": name or "animate", "version": version or "0"}],
        "title": "animated portrait",
        "assertions": [{"label": k, "data": v, "created": True} for k, v in assertions],
    }


def name_of(ingredient: Ingredient) -> str:
    return ingredient.role.replace(" ", "-")


def plain_ingredient(ingredient: Ingredient) -> dict[str, Any]:
    """An ingredient's description for c2pa's builder."""
    return {
        "title": ingredient.role,
        "relationship": "inputTo",
        "instance_id": f"sha256:{ingredient.sha256}",
        "label": name_of(ingredient),
        "description": ingredient.history or "no mark of this toolkit found",
    }


def settings(anchors: str = "") -> dict[str, Any]:
    """c2pa's settings: nothing is fetched, no thumbnails of inputs, trust only in `anchors`."""
    chosen: dict[str, Any] = {
        "version": 1,
        "builder": {"thumbnail": {"enabled": False}},
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
    }
    if anchors:
        chosen["trust"] = {"user_anchors": anchors}
    return chosen


# ---------------------------------------------------------------- reading


def beside(path: Path) -> Path:
    """Where the manifest of a file lies that can't hold it."""
    return path.with_name(path.name + ".c2pa")


def kind_of(path: Path) -> str | None:
    """The MIME type by a file's first bytes; None where C2PA can't embed a manifest in its like."""
    with path.open("rb") as file:
        head = file.read(16)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "video/quicktime" if head[8:12] == b"qt  " else "video/mp4"
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"AVI ": "video/avi"}.get(head[8:12])
    starts = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif",
              b"II*\0": "image/tiff", b"MM\0*": "image/tiff"}  # fmt: skip
    return next((kind for start, kind in starts.items() if head.startswith(start)), None)


def read(path: Path, *, manifest: bytes | None = None, sha256: str | None = None) -> Signature:
    """What the manifest in or beside a file proves of it.

    `manifest` stands for the one beside; `sha256` is the file's, where it is known already.
    """
    kind = kind_of(path)
    found = _examine(kind, path) if kind and manifest is None else Signature()
    if found.state != "none":
        return found
    if manifest is None and beside(path).is_file() and beside(path).stat().st_size <= LARGEST:
        manifest = beside(path).read_bytes()
    return Signature() if manifest is None else _judge_beside(path, manifest, sha256)


def _judge_beside(path: Path, manifest: bytes, sha256: str | None) -> Signature:
    from animate.media.clips import sha256 as digest

    found = read_alone(manifest)
    if found.record is None or found.record.sha256 is None:
        return replace(found, beside=True, state="invalid" if found.state != "none" else "none")
    same = found.record.sha256 == (sha256 or digest(path))
    state = found.trust if same and found.state == "changed" else found.state
    return replace(found, beside=True, state=state)


def read_alone(manifest: bytes) -> Signature:
    """What a manifest store proves by itself; its state is "changed" at best."""
    return _examine(BESIDE, io.BytesIO(manifest), manifest)


def _examine(kind: str, source: Path | io.BytesIO, manifest: bytes | None = None) -> Signature:
    known = keys.trusted()
    found = _read(kind, source, [p.anchor for p in known])
    if found is None:
        return Signature()
    store, codes = found
    if isinstance(store, str):
        return Signature("invalid", "none", problems=(store,))
    failed = tuple(sorted(codes))
    signed = store.get("signature_info") or {}
    serial = signed.get("cert_serial_number")
    if not str(serial).isdecimal() or set(failed) - CHANGED - SIGNER:
        return Signature("invalid", "none", generator=_generator(store), problems=failed)
    key, who = keys.whose(int(str(serial))), None
    trust = "untrusted"
    if "signingCredential.untrusted" not in failed:
        who = _issuer(kind, source, key, known)
        trust = "trusted" if who else "untrusted"
    elif key == keys.toolkit().public.id:
        trust = "public"
    if set(failed) & {"signingCredential.expired", "claimSignature.outsideValidity"}:
        trust = "expired"
    if key in keys.revocations():
        trust = "revoked"
    record, problem = _record(store)
    return Signature(
        state="changed" if set(failed) & CHANGED else trust,
        trust=trust,
        key=key,
        name=who.name if who else str(signed.get("common_name") or signed.get("issuer") or ""),
        generator=_generator(store),
        ingredients=tuple(str(i.get("title", ""))[:200] for i in store.get("ingredients", [])),
        record=record,
        manifest=manifest,
        problems=(*failed, *problem),
    )


def _issuer(kind: str, source: Path | io.BytesIO, key: str, known: list[Public]) -> Public | None:
    """The trusted identity that signed: its own root, no other one, has to vouch for its key."""
    for public in sorted(known, key=lambda p: p.id != key):
        found = _read(kind, source, [public.anchor])
        if found is not None and "signingCredential.untrusted" not in found[1]:
            same = public.id == key
            claimed = any(p.id == key for p in known)
            if same or not claimed:  # a root can't vouch for somebody else's key
                return public
    return None


def _read(
    kind: str, source: Path | io.BytesIO, anchors: list[str]
) -> tuple[dict[str, Any] | str, set[str]] | None:
    """The active manifest and the codes of what failed; words where it can't be read at all."""
    import c2pa

    stream = source.open("rb") if isinstance(source, Path) else source
    stream.seek(0)
    try:
        context = c2pa.Context.from_dict(settings("".join(dict.fromkeys(anchors))))
        with c2pa.Reader(kind, stream, context=context) as reader:
            whole = json.loads(reader.json())
    except c2pa.C2paError as error:
        missing = "ManifestNotFound" in type(error).__name__ or "ManifestNotFound" in str(error)
        return None if missing else (str(error)[:200], set())
    except (ValueError, RecursionError) as error:
        return f"unreadable: {str(error)[:100]}", set()
    finally:
        if isinstance(source, Path):
            stream.close()
    active = whole.get("manifests", {}).get(whole.get("active_manifest"))
    if not isinstance(active, dict):
        return "no active manifest", set()
    results = whole.get("validation_results", {}).get("activeManifest", {})
    codes = {str(f.get("code")) for f in results.get("failure", [])}
    if whole.get("validation_state") not in ("Valid", "Trusted") and not codes:
        codes = {str(f.get("code")) for f in whole.get("validation_status", [])} or {"unknown"}
    return active, codes


def _record(store: dict[str, Any]) -> tuple[Record | None, tuple[str, ...]]:
    found = [a.get("data") for a in store.get("assertions", []) if a.get("label") == RECORD]
    if not found:
        return None, ()
    try:
        return Record.of(found[0]), ()
    except AnimateError as error:
        return None, (str(error),)


def _generator(store: dict[str, Any]) -> str | None:
    info = store.get("claim_generator_info") or [{}]
    name = f"{info[0].get('name', '')} {info[0].get('version', '')}".strip()
    return name[:200] or None
