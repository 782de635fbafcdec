"""Verify whether this toolkit made a file: gather pixels, signature, tags and ledger; judge."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from animate.errors import AnimateError
from animate.media import clips, files, photos
from animate.media.pipes import through_pipes
from animate.media.strange import what
from animate.provenance import ledger
from animate.provenance import tags as metadata
from animate.provenance.aigc import Aigc
from animate.provenance.credentials import Signature, read, read_alone
from animate.provenance.fingerprint import Fingerprint, file_sampler, matches
from animate.provenance.identity import Public, toolkit
from animate.provenance.keys import trusted
from animate.provenance.tags import Tags
from animate.system.text import named
from animate.verification.names import Verdict
from animate.verification.verdict import Evidence, judge
from animate.watermark import APART, Claim, Detection, detect
from animate.watermark.payload import key_id


@dataclass
class Report:
    """The result of `verify` for one file; `verdict.py` defines the verdicts."""

    path: Path
    verdict: Verdict
    reasons: list[str]
    detection: Detection
    owner: Public | None  # identity whose key made the payload, the toolkit's public one included
    signature: Signature
    claim: Claim | None  # unproven text, unless the verdict is "authentic" or "traced"
    source: str | None  # of the claim: "manifest", "tags" or "ledger"
    agrees: bool | None  # whether claim and payload have one content id; None if either is missing
    alike: bool | None  # whether the pictures match the manifest's thumbnails; None if unknown
    aigc: Aigc | None  # the GB 45438-2025 label, if well-formed
    tags: Tags
    entry: ledger.Entry | None = field(repr=False)  # for the payload
    words: str | None = None  # on consent, in the manifest that the claim was read in

    @property
    def consent(self) -> str | None:
        """What is stated about consent: in the claim, or apart from it; None without a claim."""
        if self.claim is None or self.claim.consent != APART or self.words is None:
            return None if self.claim is None else self.claim.consent
        return self.words


@through_pipes("path")
def verify(
    path: str | Path,
    keys: bytes | Sequence[bytes] | None = None,
    *,
    manifest: bytes | None = None,
    thorough: bool = True,
) -> Report:
    """Decode a whole video or still and compare its pixels, manifest, tags and ledger entry.

    Looks for the mark under all known keys, or under `keys`, mark keys without an identity.
    `manifest` replaces the one beside the file. Not `thorough`, the mark is looked for only where a
    published file has it, at any quarter turn. A truncated clip is judged by what can be decoded.
    Needs neither network nor GPU. Memory does not grow with the clip's length; `pool.verify_all`
    limits memory and time. Raises AnimateError if a file can't be read as a picture or a video.
    """
    path = Path(path)
    public = toolkit().public
    known = [p for p in [*trusted(), public] if p.mark_key is not None]
    if keys is None:
        keys = [p.mark_key for p in known if p.mark_key is not None]
    keys = [keys] if isinstance(keys, bytes) else list(keys)
    frames, rate = frames_of(path)
    sampler = file_sampler(rate)
    detection = detect(sampler(frames), keys, rate=rate, thorough=thorough)
    fingerprint, place = sampler.result(), detection.place
    if place is not None:
        fingerprint = fingerprint.set_upright(place.quarters, place.mirrored)

    owner = None
    if detection.payload is not None:
        named = [p for p in known if p.mark_id == detection.payload.key_id and p.mark_key in keys]
        owner = next((p for p in named if detection.payload.authentic(p.mark_key or b"")), None)
    tags = metadata.read(path)
    signature = read(path, manifest=manifest)
    if signature.state == "none" and tags.manifest is not None:
        signature = Signature("remote", remote=tags.manifest)
    entry, restored = _look_up(path, detection, signature, fingerprint)
    record = (restored or signature).record
    evidence = Evidence(
        detection=detection,
        owner=owner,
        public=owner is not None and owner.id == public.id,
        known=frozenset(key_id(key) for key in keys),
        signature=signature,
        claim=_claim(tags),
        restored=restored,
        alike=None
        if record is None or record.claim.live
        else matches(record.fingerprint, fingerprint),
    )
    verdict, reasons = judge(evidence)
    reasons += _unseen(path)
    claim, source, words = _reported(evidence)
    payload = detection.payload
    agrees = claim.content_id() == payload.content_id if claim and payload else None
    return Report(
        path=path, verdict=verdict, reasons=reasons, detection=detection, owner=owner,
        signature=signature, claim=claim, source=source, agrees=agrees,
        alike=evidence.alike, aigc=_aigc(tags), tags=tags, entry=entry, words=words,
    )  # fmt: skip


def history(path: Path) -> str:
    """The origin of an input by its mark and claim, in words; "" without a known mark.

    Checks the first ten seconds. Also "" for a file that is neither picture nor video, such as a
    motion template.
    """
    keys = [p.mark_key for p in [*trusted(), toolkit().public] if p.mark_key is not None]
    try:
        frames, rate = frames_of(path)
        found = detect(islice(frames, round(10 * rate) or 1), keys, rate=rate, thorough=False)
    except AnimateError:
        return ""
    if not found.marked:
        return ""
    payload = "unreadable" if found.payload is None else str(found.payload)
    claim = _claim(metadata.read(path))
    made = f", made by {named(claim.generator)} on {named(claim.created)}" if claim else ""
    return f"carries this toolkit's mark, payload {payload}{made}"


def frames_of(path: Path) -> tuple[Iterator[np.ndarray], float]:
    """The frames of a clip and their rate, or the one of a still: the file's content decides."""
    if not os.path.isfile(path):
        if not os.path.lexists(path):
            raise AnimateError(files.absent(path))
        closed = os.path.isdir(path) and not os.access(path, os.R_OK | os.X_OK)
        kind = "a folder that can't be read" if closed else "not a file"
        raise AnimateError(f"{path} is {kind}: give a picture or a video")
    if metadata.is_still(path):
        return iter([clips.read_photo(path)]), 1.0
    try:
        clip = clips.open_clip(path, truncated="accept")
    except AnimateError as error:
        words = what(path)
        if not words:
            raise
        raise AnimateError(
            f"{path} is {words}, neither a picture nor a video: give one of them"
        ) from error
    return clip.frames(), float(clip.rate)


def _unseen(path: Path) -> list[str]:
    """What a player may show of a file that was not looked at, as a sentence."""
    still = metadata.is_still(path)
    more, kind = (
        (photos.further(path), "picture") if still else (clips.further(path), "video track")
    )
    if not more:
        return []
    return [f"{more} other {kind}{' was' if more == 1 else 's were'} not checked"]


def _look_up(
    path: Path, detection: Detection, signature: Signature, fingerprint: Fingerprint
) -> tuple[ledger.Entry | None, Signature | None]:
    """The ledger's entry for the payload, and what that entry's manifest proves.

    If entries share a payload, prefers the one whose thumbnails match.
    """
    if detection.payload is None or not ledger.path().exists():
        return None, None
    best: tuple[ledger.Entry | None, Signature | None] = (None, None)
    for entry in ledger.find(str(detection.payload)):
        found = read_alone(entry.manifest)
        if found.record is None or found.record.payload != entry.payload:
            continue
        if best[0] is None:
            best = entry, found
        if matches(found.record.fingerprint, fingerprint):
            return entry, found
    return best


def _claim(tags: Tags) -> Claim | None:
    """The first comment that is a claim of this toolkit."""
    for text in tags.comments:
        try:
            return Claim.from_json(text)
        except AnimateError:
            continue  # a comment of another program
    return None


def _aigc(tags: Tags) -> Aigc | None:
    for text in tags.aigc:
        try:
            return Aigc.of(text)
        except AnimateError:
            continue
    return None


def _reported(e: Evidence) -> tuple[Claim | None, str | None, str | None]:
    """The claim to report, its source, and the words on consent that were signed with it.

    One signed by a trusted identity comes first, then a signed one.
    """
    found: list[tuple[bool, Claim | None, str | None, str | None]] = [
        (manifest.trust == "trusted", manifest.record.claim, source, manifest.record.consent)
        for manifest, source in ((e.signature, "manifest"), (e.restored, "ledger"))
        if manifest is not None and manifest.record is not None
    ]
    found.append((False, e.claim, "tags" if e.claim else None, None))
    return max(found, key=lambda each: each[0])[1:]  # of equals, the first
