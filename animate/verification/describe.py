"""Turn a report into words for people, and into JSON for machines (docs/verify-json.md)."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from animate.provenance.credentials import Signature
from animate.system.text import LIKE_A_QUOTE, named, quoted, safe
from animate.verification.verify import Report
from animate.watermark import Claim

SIGNATURE = {
    "none": "There is no signature.",
    "remote": "Its manifest is kept at {remote}; it was not fetched, so it was not checked.",
    "unchecked": "Its manifest could not be checked here, or not in full, so it is unknown whether "
    "the file was changed.",
    "invalid": "Its signed manifest is damaged or forged.",
    "changed": "The file is not the one that was signed.",
    "untrusted": "It is signed by a key that is not trusted here, and unchanged since; the "
    "certificate {calls}.",
    "public": "It is signed with the toolkit's public key, which anyone can use, and unchanged "
    "since.",
    "expired": "It is signed by {name} with a certificate that was not valid then or is no longer "
    "valid.",
    "revoked": "It is signed by {name} with a key that was revoked.",
    "trusted": "It is signed by {name}, an identity you trust, and unchanged since.",
}
MADE = {"authentic": "Made", "traced": "The published file was made"}  # of verdicts that prove it


def describe(report: Report) -> str:
    """One paragraph on the report."""
    reasons = "; ".join(report.reasons)
    path = os.fspath(report.path)
    odd = not path.isprintable() or any(mark in path for mark in (": ", ". ", *LIKE_A_QUOTE))
    shown = quoted(path, 500) if odd else safe(path)
    parts = [f"{shown}: {report.verdict}: {safe(reasons)}."]
    parts.append(_pixels(report))
    parts.append(_signature(report.signature))
    claim = report.claim
    if claim is not None:
        made = MADE.get(report.verdict, "Made (unproven)")
        parts.append(
            f"{made} by {named(claim.generator)} with {named(claim.model)} on "
            f"{named(claim.created)}{_provider(claim)}, according to the {report.source}; consent: "
            f"{quoted(report.consent or '')}."
        )
    parts.append(_labels(report))
    if report.entry is not None:
        parts.append(f"The ledger has it as entry {report.entry.number}.")
    return " ".join(part for part in parts if part)


def _provider(claim: Claim) -> str:
    return "" if claim.provider is None else f", provider {named(claim.provider)}"


def _signature(signed: Signature) -> str:
    name = repr(safe(signed.name)) if signed.name else "an unnamed signer"
    calls = f"names {name}" if signed.name else "gives no name"
    text = SIGNATURE[signed.state].format(name=name, calls=calls, remote=named(signed.remote or ""))
    if signed.state == "unchecked" and signed.name:
        text = f"{text.rstrip('.')}; the certificate {calls}."
    if signed.notes:
        text = f"{text.rstrip('.')}; {safe('; '.join(signed.notes))}."
    return text + (" The manifest lies beside the file." if signed.beside else "")


def _pixels(report: Report) -> str:
    found = report.detection
    if not found.marked:
        return f"No mark in the pixels (p = {found.p_value:.1e})."
    mark = "the mark" if report.owner is None else f"the mark of {safe(report.owner.name)!r}"
    payload = "payload not read" if found.payload is None else f"payload {found.payload}"
    where = ", ".join(f"{a:.1f}-{b:.1f}" for a, b in found.seconds[:10])
    more = " and more" if len(found.seconds) > 10 else ""
    seconds = f", about in seconds {where}{more}" if where else ""
    turned = f", {found.place.orientation}" if found.place and found.place.orientation else ""
    return f"The pixels carry {mark}{turned} (p <= {found.p_value:.1e}, {payload}{seconds})."


def _labels(report: Report) -> str:
    found = []
    if report.aigc is not None:
        found.append(f"AIGC label of {safe(report.aigc.producer)!r}")
    elif report.tags.aigc:
        found.append("an AIGC label that violates GB 45438-2025")
    if len(report.tags.aigc) > 1:
        found.append(f"{len(report.tags.aigc)} AIGC labels instead of one")
    found += _source_types(report)
    record = report.signature.record
    if record is not None and record.label is not None:
        found.append(f"visible label {safe(str(record.label.get('text')))!r}")
    return f"Labels: {', '.join(found)}." if found else "No labels."


def _source_types(report: Report) -> list[str]:
    """Each IPTC source type once, with its place if that is a manifest."""
    signed, words = report.signature, []
    shown: set[str] = set()
    places = {
        "": [report.tags.source] if report.tags.source else [],
        " in the manifest": signed.sources,
        " in an ingredient's manifest": signed.ingredient_sources,
    }
    for place, types in places.items():
        new = [each for each in types if each not in shown]
        words += [f"IPTC source type {named(each.rsplit('/', 1)[-1])}{place}" for each in new]
        shown.update(new)
    return words


def unreadable(path: Path, error: str) -> dict[str, Any]:
    """The JSON values of a file that can't be read."""
    return {"path": os.fspath(path), "verdict": "unreadable", "error": error}


def plain(report: Report) -> dict[str, Any]:
    """The report as JSON values, as docs/verify-json.md describes them."""
    found, signed = report.detection, report.signature
    place = found.place
    owner, entry, record = report.owner, report.entry, report.signature.record
    return {
        "path": os.fspath(report.path),
        "verdict": report.verdict,
        "reasons": report.reasons,
        "mark": {
            "found": found.marked,
            "p_value": found.p_value,
            "statistic": found.statistic,
            "hypotheses": found.hypotheses,
            "version": found.version,
            "payload": None if found.payload is None else str(found.payload),
            "authenticated": found.authentic,
            "seconds": [list(span) for span in found.seconds],
            "orientation": None
            if place is None
            else {"turned": 90 * place.quarters, "mirrored": place.mirrored},
            "key": None if owner is None else {"id": owner.id, "name": owner.name},
        },
        "signature": {
            "state": signed.state,
            "signer": signed.trust,
            "key": signed.key,
            "name": signed.name,
            "generator": signed.generator,
            "beside": signed.beside,
            "ingredients": list(signed.ingredients),
            "problems": list(signed.problems),
            "notes": list(signed.notes),
            "ingredient_problems": [
                {"ingredient": title, "code": code} for title, code in signed.ingredient_problems
            ],
            "remote": signed.remote,
        },
        "claim": None
        if report.claim is None
        else {**report.claim.plain(), "consent": report.consent},
        "claim_source": report.source,
        "claim_agrees": report.agrees,
        "pictures_agree": report.alike,
        "labels": {
            "aigc": None if report.aigc is None else asdict(report.aigc),
            "aigc_copies": len(report.tags.aigc),
            "digital_source_type": report.tags.source,
            "manifest_source_types": list(signed.sources),
            "ingredient_source_types": list(signed.ingredient_sources),
            "visible": None if record is None else record.label,
        },
        "ledger": None
        if entry is None
        else {"number": entry.number, "hash": entry.hash, "created": entry.created},
    }
