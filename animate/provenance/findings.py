"""Interpret what C2PA's reader reports on a manifest store: what it proves about the file.

Codes and their meaning: C2PA 2.2, section 15.2; CAWG identity assertion 1.1, section 9. A manifest
of this toolkit must pass every check. For other makers' manifests, a failed check proves no more
than it says. A file that can't be checked here is not called changed. A fault in the signer's
certificate or in an ingredient is not a fault of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography import x509

RECORD = "org.animate-toolkit.record"  # label of this toolkit's own assertion
OURS = "animate"  # first word of the generator in this toolkit's manifests
UNTRUSTED = "signingCredential.untrusted"
EXPIRED = {"signingCredential.expired", "claimSignature.outsideValidity"}
REVOKED = {"signingCredential.revoked", "signingCredential.ocsp.revoked"}
# Codes that fail for a changed file, and codes that succeed for an unchanged one.
BINDINGS = ("dataHash", "bmffHash", "boxesHash", "collectionHash", "multiAssetHash")
CHANGED = {f"assertion.{name}.mismatch" for name in BINDINGS}
MATCHED = {f"assertion.{name}.match" for name in BINDINGS}
# Codes that show that a manifest changed after it was signed.
DAMAGED = {
    "claimSignature.mismatch", "claimSignature.missing", "claim.missing", "claim.multiple",
    "claim.malformed", "claim.cbor.invalid", "assertion.missing", "assertion.undeclared",
    "assertion.hashedURI.mismatch", "assertion.outsideManifest", "hashedURI.mismatch",
}  # fmt: skip
# Beginnings of codes about the signer, a time stamp, an identity or this library.
ASIDE = ("signingCredential.", "timeStamp.", "cawg.", "algorithm.", "claimSignature.outsideValid")
# Codes for what could not be checked.
UNSEEN = {"manifest.inaccessible", "assertion.inaccessible", "ingredient.unknownProvenance",
          "general.error"}  # fmt: skip
CODE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,79}")
MORE = "its hash leaves out more bytes than the manifest: others can have written those"
MOST = 50  # source types and ingredient faults kept
LONGEST = 200  # characters kept of another maker's text


def is_ours(generator: str | None) -> bool:
    """Whether a manifest's generator, "NAME VERSION", is this toolkit."""
    return (generator or "").partition(" ")[0] == OURS


@dataclass(frozen=True)
class Fault:
    """A failed check of an ingredient."""

    title: str  # of the ingredient
    code: str
    sure: bool = True  # False: it could not be checked, so it may be sound


@dataclass(frozen=True)
class Findings:
    """What the reader reports on the active manifest; `of` makes it."""

    store: dict[str, Any]  # the active manifest
    failed: tuple[str, ...] = ()  # codes
    passed: frozenset[str] = frozenset()  # codes
    why: tuple[str, ...] = ()  # the reader's explanations of file hashes that don't match
    valid: bool = True  # the reader's own verdict
    ingredients: tuple[Fault, ...] = ()  # faults of ingredients now
    recorded: tuple[Fault, ...] = ()  # faults of ingredients recorded when this was signed
    sources: tuple[str, ...] = ()  # IPTC source types in the active manifest
    earlier: tuple[str, ...] = ()  # IPTC source types in its ingredients' manifests
    chain: tuple[x509.Certificate, ...] = ()  # of the signer, leaf first; () where it is unclear
    exact: bool = True  # the file's hash leaves out the manifest and nothing else

    @property
    def ours(self) -> bool:
        labels = [a.get("label") for a in self.store.get("assertions") or []]
        return RECORD in labels or is_ours(self.generator)

    @property
    def generator(self) -> str | None:
        info = (self.store.get("claim_generator_info") or [{}])[0]
        name = f"{info.get('name', '')} {info.get('version', '')}".strip()
        return (name or str(self.store.get("claim_generator") or ""))[:LONGEST] or None


def of(whole: dict[str, Any]) -> Findings | None:
    """Extract the findings from the reader's JSON; None without an active manifest."""
    label, manifests = whole.get("active_manifest"), whole.get("manifests") or {}
    active = manifests.get(label)
    if not isinstance(active, dict):
        return None
    results = whole.get("validation_results") or {}
    own = results.get("activeManifest") or {}
    failed, faults, why = set(), [], []
    for fault in own.get("failure") or []:
        code, uri = _code(fault.get("code")), str(fault.get("url"))
        if code.startswith("ingredient.") or _manifest_of(uri) not in (label, ""):
            faults.append(Fault(_title(manifests, uri), code))
        else:
            failed.add(code)
            why += [str(fault.get("explanation"))[:LONGEST]] if code in CHANGED else []
    for delta in results.get("ingredientDeltas") or []:
        title = _title(manifests, str(delta.get("ingredientAssertionURI")))
        faults += _faults(title, delta.get("validationDeltas") or {})
    others = [m for k, m in manifests.items() if k != label and isinstance(m, dict)]
    return Findings(
        store=active,
        failed=tuple(sorted(failed)),
        passed=frozenset(str(s.get("code")) for s in own.get("success") or []),
        why=tuple(dict.fromkeys(why)),
        valid=whole.get("validation_state") in ("Valid", "Trusted"),
        ingredients=tuple(dict.fromkeys(faults))[:MOST],
        recorded=tuple(dict.fromkeys(f for m in manifests.values() for f in _recorded(m)))[:MOST],
        sources=tuple(dict.fromkeys(_sources(active)))[:MOST],
        earlier=tuple(dict.fromkeys(s for m in others for s in _sources(m)))[:MOST],
    )


def _manifest_of(uri: str) -> str:
    """The label of the manifest that a JUMBF URI names; "" if the URI is relative to its own."""
    return uri.partition("/c2pa/")[2].partition("/")[0]


def _title(manifests: dict[str, Any], uri: str) -> str:
    """The title of the ingredient whose assertion or manifest a URI names; "" if unknown."""
    place, label = _manifest_of(uri), uri.rpartition("/")[2]
    own = (manifests.get(place) or {}).get("ingredients") or []
    titles = [i.get("title") for i in own if i.get("label") == label]
    for manifest in manifests.values():
        used = manifest.get("ingredients") or []
        titles += [i.get("title") for i in used if place and i.get("active_manifest") == place]
    return str(titles[0] or "")[:LONGEST] if titles else ""


def _recorded(manifest: dict[str, Any]) -> Iterator[Fault]:
    """Faults of ingredients that the maker of a manifest recorded in it."""
    for ingredient in manifest.get("ingredients") or []:
        title = str(ingredient.get("title") or "")[:LONGEST]
        yield from _faults(title, {"failure": ingredient.get("validation_status") or []})
        results = ingredient.get("validation_results") or {}
        yield from _faults(title, results.get("activeManifest") or {})


def _faults(title: str, results: dict[str, Any]) -> Iterator[Fault]:
    matched = {s.get("code") for s in results.get("success") or []} & MATCHED
    for fault in results.get("failure") or []:
        code = _code(fault.get("code"))
        unsure = code in UNSEEN or (code in CHANGED and bool(matched))
        yield Fault(title, code, not unsure)


def _code(value: Any) -> str:
    """A status code; whoever records one in a manifest can't put sentences there."""
    return value if isinstance(value, str) and CODE.fullmatch(value) else "a code of no standard"


def _sources(manifest: dict[str, Any]) -> Iterator[str]:
    """Every digital source type in a manifest's assertions, in any vocabulary.

    `digitalSourceType` of actions (C2PA 2.2, section 18.15.4), `Iptc4xmpExt:DigitalSourceType` of
    metadata (section 18.17), and similar keys of other makers.
    """
    waiting = [a.get("data") for a in manifest.get("assertions") or [] if a.get("label") != RECORD]
    waiting.reverse()
    while waiting:
        data = waiting.pop()
        if isinstance(data, list):
            waiting += reversed(data)
        elif isinstance(data, dict):
            for key, value in data.items():
                if _last(str(key)) == "digitalsourcetype":
                    yield from _texts(value)
            waiting += reversed(list(data.values()))


def _last(key: str) -> str:
    return key.replace(":", "/").replace(".", "/").replace("_", "").rpartition("/")[2].lower()


def _texts(value: Any) -> Iterator[str]:
    """The texts of a JSON-LD value: plain, in a list, or as `@id` or `@value`."""
    for each in value if isinstance(value, list) else [value]:
        text = (each.get("@id") or each.get("@value")) if isinstance(each, dict) else each
        if isinstance(text, str) and text.strip():
            yield text.strip()[:LONGEST]


# ---------------------------------------------------------------- what it proves


def standing(found: Findings) -> str:
    """What the manifest proves about the file: "bound" if these very bytes were signed.

    Otherwise "invalid", "changed" or "unchecked", as in `Signature.state`.
    """
    failed = set(found.failed)
    if found.ours:
        return _standing_of_ours(found, failed)
    if failed & DAMAGED:
        return "invalid"
    if "claimSignature.validated" not in found.passed:
        return "unchecked" if failed and all(map(_aside, failed)) else "invalid"
    matched = bool(found.passed & MATCHED)
    if failed & CHANGED and not matched:
        return "changed"
    doubted = failed & (CHANGED | {"general.error"}) or not found.exact
    return "bound" if matched and not doubted else "unchecked"


def _standing_of_ours(found: Findings, failed: set[str]) -> str:
    """`standing` for this toolkit's manifests: only the file's hash and trust may fail."""
    broken = failed - CHANGED - EXPIRED - {UNTRUSTED}
    if broken or any(not _aside(fault.code) for fault in found.ingredients):
        return "invalid"
    explained = found.valid or failed or found.ingredients
    if "claimSignature.validated" not in found.passed or not explained:
        return "invalid"
    return "changed" if failed & CHANGED or not found.exact else "bound"


def _aside(code: str) -> bool:
    return code.startswith(ASIDE)


def notes(found: Findings, state: str) -> tuple[str, ...]:
    """Failures in words, beyond what the state says."""
    rest = [c for c in found.failed if c not in (CHANGED | EXPIRED | REVOKED | {UNTRUSTED})]
    kinds = {
        "C2PA rejects the signer's certificate": "signingCredential.",
        "C2PA rejects its time stamp": "timeStamp.",
        "an identity in it (CAWG) could not be confirmed": "cawg.",
        "it uses an algorithm that can't be checked here": "algorithm.",
    }
    out = []
    for words, start in kinds.items():
        codes = [c for c in rest if c.startswith(start)]
        rest = [c for c in rest if c not in codes]
        out += [f"{words}: {', '.join(codes)}"] if codes else []
    out += [f"C2PA reports {', '.join(rest)}"] if rest else []
    out += [] if found.exact else [MORE]
    out += list(_unbound(found)) if state == "unchecked" else []
    out += _of_ingredients(found)
    return tuple(out)


def _of_ingredients(found: Findings) -> Iterator[str]:
    faults = [f for f in (*found.ingredients, *found.recorded) if not _aside(f.code)]
    wrong = {f.title for f in faults if f.sure}
    unsure = {f.title for f in faults} - wrong
    wrong = wrong - {""} or wrong  # a fault without a title belongs to an ingredient with one
    if wrong:
        what = "one of its ingredients is" if len(wrong) == 1 else "some of its ingredients are"
        codes = dict.fromkeys(f.code for f in faults if f.title not in unsure)
        yield f"{what} faulty: {', '.join(codes)}"
    if unsure:
        what = "one of its ingredients" if len(unsure) == 1 else "some of its ingredients"
        codes = dict.fromkeys(f.code for f in faults if f.title in unsure)
        yield f"{what} could not be checked in full: {', '.join(codes)}"


def _unbound(found: Findings) -> Iterator[str]:
    """Why it is unknown whether the file is the one that was signed."""
    mismatch = sorted(set(found.failed) & CHANGED)
    if mismatch and "claimSignature.validated" in found.passed:
        why = "; ".join(found.why) or "it does not say why"
        but = "though the hash holds for the bytes that it covers"
        yield f"C2PA reports {', '.join(mismatch)} ({why}), {but}"
    elif "claimSignature.validated" not in found.passed:
        yield "its signature could not be checked"
    elif not found.passed & MATCHED:
        yield "it holds no hash of the file that could be checked"
