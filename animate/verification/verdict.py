"""Judge evidence: the verdict that pixels, signature, tags and ledger prove together.

"tampered": two layers contradict each other, or one contradicts itself.
"authentic": no contradiction, and a trusted identity signed these very bytes, with the claim.
"traced": no contradiction, and the mark leads to a file that a trusted identity published: the
    pixels carry its secret mark, with a correct authentication code; the manifest that it signed
    for the payload is available (ledger, or beside the file); and the pictures resemble its
    thumbnails. What was changed since can't be told: small things in the pictures, what is between
    two thumbnails, and the sound. So a mark copied onto unlike pictures proves nothing. The
    toolkit's key never counts: everybody has it.
"marked": there is a mark (p <= 1e-6), but neither of the above holds.
"not found": no mark. The file may still come from this toolkit: a mark can be destroyed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from animate.provenance.credentials import Signature
from animate.provenance.findings import is_ours
from animate.provenance.identity import Public
from animate.verification.names import Verdict
from animate.watermark import Claim, Detection

UNSURE = {  # states that leave open whether the file was changed
    "remote": "its manifest is kept elsewhere and was not fetched",
    "unchecked": "its manifest could not be checked here",
}
CHANGED = "the file is not the one that its manifest was signed for"
BOUND = ("trusted", "untrusted", "public", "expired", "revoked")  # states of signed, same bytes


@dataclass(frozen=True)
class Evidence:
    """All evidence on one file."""

    detection: Detection
    owner: Public | None  # identity whose mark key made the payload; None if unknown or unread
    public: bool  # the owner is the toolkit's public key
    known: frozenset[int]  # ids of all mark keys tried
    signature: Signature  # in the file, or beside it
    claim: Claim | None = None  # in the unsigned tags
    restored: Signature | None = None  # from the ledger's manifest for the payload
    alike: bool | None = None  # the pictures match the manifest's thumbnails; None if unknown


def judge(e: Evidence) -> tuple[Verdict, list[str]]:
    """The verdict and its reasons, as sentences."""
    against = list(_contradictions(e))
    if against:
        return "tampered", against
    if e.signature.state == "trusted" and e.signature.record is not None:
        name = e.signature.name
        return "authentic", [f"signed by {name!r}, a trusted identity, and unchanged since"]
    if _is_traced(e):
        return "traced", list(_traces(e))
    if e.detection.marked:
        return "marked", list(_shortcomings(e))
    return "not found", list(_absences(e))


def _contradictions(e: Evidence) -> Iterator[str]:
    found, signed = e.detection, e.signature
    record = None if signed.state in ("none", "invalid", *UNSURE) else signed.record
    kept = e.restored.record if e.restored else None
    payload = found.payload
    if payload is not None and not found.authentic:
        yield "the payload in the pixels fails the authentication code of its key"
    if signed.state == "invalid" and (found.marked or is_ours(signed.generator)):
        yield f"the signed manifest is damaged or forged ({', '.join(signed.problems)[:200]})"
    if record is None:
        if payload and e.claim and e.claim.content_id() != payload.content_id:
            yield "the tags state another claim than the one that the pixels identify"
        elif e.claim and kept and e.claim != kept.claim:
            yield "the tags state another claim than the ledger's entry that the pixels identify"
        return
    if signed.state == "changed" and not signed.beside:
        yield "the file was changed after it was signed"
    if signed.state == "changed" and signed.beside and not (found.marked and e.alike):
        yield "the manifest beside the file was signed for another file"
    if int(record.payload[4:12], 16) != record.claim.content_id():
        yield "the manifest's payload does not fit its claim"
    if payload is not None and str(payload) != record.payload:
        yield "the pixels carry another payload than the one that was signed"
    if e.claim is not None and e.claim != record.claim:
        yield "the tags state another claim than the one that was signed"
    if not found.marked and int(record.payload[1:4], 16) in e.known:
        yield "it was signed as marked, but its pixels carry no mark"


def _is_traced(e: Evidence) -> bool:
    """Whether the mark leads to a published file; all conditions of the module's docstring."""
    found, manifest = e.detection, e.restored or e.signature
    if not (found.marked and found.authentic and found.payload is not None and e.alike):
        return False
    if e.owner is None or e.public or e.owner.revoked is not None:
        return False
    record = manifest.record
    if record is None or manifest.trust != "trusted" or manifest.key != e.owner.id:
        return False
    return record.payload == str(found.payload)


def _traces(e: Evidence) -> Iterator[str]:
    """What the mark of a traced file says, and what it leaves open."""
    owner, place = e.owner, e.detection.place
    assert owner is not None
    turned = f"; the copy is {place.orientation}" if place and place.orientation else ""
    yield (f"the pixels carry the mark of a file that {owner.name!r} published, and the pictures "
           f"resemble it{turned}")  # fmt: skip
    yield "what was changed since, sound included, can't be told"


def _shortcomings(e: Evidence) -> Iterator[str]:
    """Why a marked file is neither authentic nor traced."""
    if e.public:
        yield "the mark uses the toolkit's public key: made with this toolkit, or by an imitator"
    elif e.detection.payload is None:
        yield "its mark can't be read: the mark is weak, or its key is not available here"
    elif e.owner is None:
        yield "the mark's key belongs to no identity trusted here"
    elif e.owner.revoked is not None:
        yield f"the mark's key was revoked on {e.owner.revoked}"
    elif e.restored is None and e.signature.record is None:
        yield "the claim that the pixels identify is missing: no metadata, no ledger entry"
    elif e.alike is False:
        yield ("the pictures are not those that were published with this mark: cut, sped up, "
               "changed, or the mark was copied onto others")  # fmt: skip
    elif e.restored is not None and e.restored.record is not None and e.restored.record.claim.live:
        yield "it was shown live, and the pictures were not kept to compare it with"
    elif e.alike is None:
        yield ("one picture, or less than the time between two thumbnails, is too little to "
               "compare with the clip that was published with this mark")  # fmt: skip
    if e.signature.state not in ("none", "public", "trusted"):
        yield _in_words(e.signature.state, "signature")


def _absences(e: Evidence) -> Iterator[str]:
    yield "the pixels carry no mark of a known key"
    if e.claim is not None:
        yield "its tags claim that this toolkit made it; nothing supports them"
    if e.signature.state in BOUND:
        yield "its signed manifest is not from this toolkit"
    elif e.signature.state != "none":
        yield _in_words(e.signature.state, "manifest")


def _in_words(state: str, what: str) -> str:
    return {**UNSURE, "changed": CHANGED}.get(state, f"its {what} is {state}")
