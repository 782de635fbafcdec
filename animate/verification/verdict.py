"""From evidence to a verdict: what pixels, signature, tags and ledger prove together, and no more.

"tampered": two layers contradict each other, or one contradicts itself.
"authentic": one of two proofs, and no contradiction:
    by signature - a trusted identity signed these very bytes, together with the claim;
    by the mark - the pixels answer to the secret mark key of a trusted identity, with the payload's
    authentication code right; the manifest that this identity signed for that payload is at hand
    (ledger, or beside the file); and the pictures are those of its thumbnails. So a mark that was
    lifted onto other pictures proves nothing. Never under the toolkit's key, which everybody has.
"marked": the mark is there (p <= 1e-6), and neither of the above.
"not found": no mark. It doesn't say that the file was not made here: a mark can be destroyed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from animate.provenance.credentials import Signature
from animate.provenance.findings import is_ours
from animate.provenance.identity import Public
from animate.watermark import Claim, Detection

Verdict = Literal["authentic", "marked", "tampered", "not found"]
UNSURE = {
    "remote": "its manifest is kept elsewhere and was not fetched",
    "unchecked": "its manifest could not be checked here",
}
CHANGED = "the file is not the one that its manifest was signed for"
BOUND = ("trusted", "untrusted", "public", "expired", "revoked")  # these very bytes were signed


@dataclass(frozen=True)
class Evidence:
    """What was found in one file."""

    detection: Detection
    owner: Public | None  # whose mark key made the payload; None: nobody's that is known, or unread
    public: bool  # ... and that it is the toolkit's
    known: frozenset[int]  # the key ids of all mark keys that were tried
    signature: Signature  # in the file, or beside it
    claim: Claim | None = None  # in the unsigned tags
    restored: Signature | None = None  # the ledger's manifest for the payload
    alike: bool | None = None  # the pictures are those of the manifest's thumbnails


def judge(e: Evidence) -> tuple[Verdict, list[str]]:
    """The verdict and its reasons, as sentences."""
    against = list(_contradictions(e))
    if against:
        return "tampered", against
    signature, mark = _by_signature(e), _by_mark(e)
    if signature or mark:
        return "authentic", [words for words in (signature, mark) if words]
    if e.detection.marked:
        return "marked", list(_shortcomings(e))
    return "not found", list(_absences(e))


def _contradictions(e: Evidence) -> Iterator[str]:
    found, signed = e.detection, e.signature
    record = None if signed.state in ("none", "invalid", *UNSURE) else signed.record
    said = found.payload
    if said is not None and not found.authentic:
        yield "the payload in the pixels fails the authentication code of its key"
    if signed.state == "invalid" and (found.marked or is_ours(signed.generator)):
        yield f"the signed manifest is damaged or forged ({', '.join(signed.problems)[:200]})"
    if record is None:
        if said is not None and e.claim is not None and e.claim.content_id() != said.content_id:
            yield "the tags state another claim than the one that the pixels name"
        return
    if signed.state == "changed" and not signed.beside:
        yield "the file was changed after it was signed"
    if signed.state == "changed" and signed.beside and not (found.marked and e.alike):
        yield "the manifest beside the file was signed for another one"
    if int(record.payload[4:12], 16) != record.claim.content_id():
        yield "the manifest's payload is not that of its claim"
    if said is not None and str(said) != record.payload:
        yield "the pixels name another claim than the one that was signed"
    if e.claim is not None and e.claim != record.claim:
        yield "the tags state another claim than the one that was signed"
    if not found.marked and int(record.payload[1:4], 16) in e.known:
        yield "it was signed as marked, and its pixels carry no mark"


def _by_signature(e: Evidence) -> str | None:
    if e.signature.state == "trusted" and e.signature.record is not None:
        return f"signed by {e.signature.name!r}, who is trusted here, and unchanged since"
    return None


def _by_mark(e: Evidence) -> str | None:
    """The proof that outlives re-encoding; every condition of the module's docstring."""
    found, manifest = e.detection, e.restored or e.signature
    if not (found.marked and found.authentic and found.payload is not None and e.alike):
        return None
    if e.owner is None or e.public or e.owner.revoked is not None:
        return None
    record = manifest.record
    if record is None or manifest.trust != "trusted" or manifest.key != e.owner.id:
        return None
    if record.payload != str(found.payload):
        return None
    turned = found.place.orientation if found.place else ""
    since = f", {turned} since" if turned else ""
    return (f"the pixels carry the secret mark of {e.owner.name!r} and are those that were "
            f"published{since}")  # fmt: skip


def _shortcomings(e: Evidence) -> Iterator[str]:
    """Why marked is not authentic."""
    if e.public:
        yield "the mark is that of the toolkit's public key: made here, or by an imitator"
    elif e.detection.payload is None:
        yield "the mark is there, but its payload can't be read: weak, or of a key not at hand"
    elif e.owner is None:
        yield "the mark's key is not that of an identity trusted here"
    elif e.owner.revoked is not None:
        yield f"the mark's key was revoked on {e.owner.revoked}"
    elif e.restored is None and e.signature.record is None:
        yield "the claim that the pixels name is not at hand: no metadata, no ledger entry"
    elif e.alike is False:
        yield ("the pictures are not those that were published with this mark: cut, sped up, "
               "changed, or the mark was laid over others")  # fmt: skip
    if e.signature.state not in ("none", "public", "trusted"):
        yield _said(e.signature.state, "signature")


def _absences(e: Evidence) -> Iterator[str]:
    yield "no mark of a known key is in the pixels"
    if e.claim is not None:
        yield "its tags claim that it was made here; nothing supports them"
    if e.signature.state in BOUND:
        yield "it carries a signed manifest that this toolkit did not make"
    elif e.signature.state != "none":
        yield _said(e.signature.state, "manifest")


def _said(state: str, what: str) -> str:
    return {**UNSURE, "changed": CHANGED}.get(state, f"its {what} is {state}")
