"""The only writer of media: label, mark, encode, tag, sign, read the draft back, name it.

The steps lie in drafts.py, still.py, video.py, tags.py and sign.py; this module puts them in order.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from animate.errors import AnimateError, VerificationError
from animate.media import clips
from animate.provenance import ledger
from animate.provenance.aigc import Aigc
from animate.provenance.credentials import Ingredient, Record, beside, definition
from animate.provenance.fingerprint import Sampler
from animate.provenance.keys import Signer, toolkit
from animate.provenance.xmp import SYNTHETIC
from animate.publish.drafts import new_draft, rename, sweep, writing
from animate.publish.sign import embeds, sign
from animate.publish.still import STILLS, encode_still
from animate.publish.tags import Texts
from animate.publish.video import FORMATS, encode_video
from animate.verification.verify import Report, verify
from animate.watermark import Claim, Embedder, Mark
from animate.watermark.label import Label, Labeller

LONGEST_CLAIM = 16_000  # characters; a JPEG comment holds 65,533, a command line somewhat more
LABEL = Label()
SIGNED = ("trusted", "public", "untrusted")  # by a key that is neither expired nor revoked


@dataclass
class Published:
    """What was written, and what `verify` said of it."""

    path: Path
    frames: int
    report: Report


def publish(
    out: Path,
    frames: Iterable[np.ndarray],
    *,
    mark: Mark,
    claim: Claim,
    rate: Fraction | None,
    signer: Signer | None = None,
    label: Label | None = LABEL,
    ingredients: Sequence[Ingredient] = (),
    producer: str = "animate",
    source: str = SYNTHETIC,
    sound: Path | clips.Sound | None = None,
    force: bool = False,
) -> Published:
    """Write frames, uint8 (H, W, 3) RGB of one size, as the marked file `out`, or nothing at all.

    The suffix says how: .mp4 .mov .mkv (H.264), .webm (VP9), .gif at `rate` frames a second, with
    the sound of the clip `sound` in step; .png .jpg .webp with rate=None, for exactly one frame. An
    odd side is repeated once where the video format wants even ones. Frames are labelled and marked
    before they leave memory; the draft, a hidden file beside `out` that ends in ".part", is signed
    by `signer` (the toolkit's public identity if None; the mark has to be its), decoded and
    verified before it gets its name and its entry in the ledger. MKV and WebM get their manifest as
    a file beside them. Memory doesn't grow with the number of frames.

    `producer` and `source` go into the GB 45438-2025 label and the IPTC digital source type;
    `ingredients` are the inputs. Raises AnimateError for what the caller can mend (an existing
    `out` without `force`, a full disk, no frames) and VerificationError when the draft doesn't
    carry its mark, claim and signature.
    """
    out, signer = Path(out), signer or toolkit()
    inputs = [*(i.path for i in ingredients), *([Path(sound)] if sound else [])]
    check(out, rate=rate, force=force, claim=claim, inputs=inputs)
    if mark.payload.content_id != claim.content_id():
        raise AnimateError("the mark's payload is of another claim: use Payload.of(claim, key)")
    if mark.key != signer.mark_key:
        raise AnimateError("the mark's key is not the signer's: use signer.mark_key")
    texts = Texts(claim.json(), Aigc.first(producer, _full_id(claim)), source)
    look = Sampler(float(rate or 1))
    ledger.check()
    sweep(out.parent)
    draft = scratch = new_draft(out)
    try:
        even = rate is not None and out.suffix.lower() != ".gif"
        made = look(_marked(frames, mark, label, even=even, rate=rate))
        if rate is None:
            count = encode_still(draft, made, out, texts)
        else:
            count = encode_video(draft, made, out, texts, Fraction(rate), sound)
        record = Record(
            claim=claim,
            payload=str(mark.payload),
            fingerprint=look.result(),
            label=None if label is None else asdict(label),
            sha256=None if embeds(out) else clips.sha256(draft),
        )
        scratch = new_draft(out)
        with writing(out):
            whole = definition(record, mark.payload, source, ingredients)
            manifest = sign(draft, scratch, out, whole, ingredients, signer)
        report = _read_back(draft, out, mark, claim, None if embeds(out) else manifest)
        _name(draft, scratch, out, force, report, manifest, signer)
    finally:
        for path in (draft, scratch):
            with suppress(OSError):
                path.unlink(missing_ok=True)
    return Published(out, count, replace(report, path=out))


# ---------------------------------------------------------------- before


def check(
    out: Path,
    *,
    rate: Fraction | None,
    force: bool,
    claim: Claim | None = None,
    inputs: Iterable[Path] = (),
) -> None:
    """Raise AnimateError where `out` can't be published; cheap enough to ask before the work."""
    suffix, known = out.suffix.lower(), STILLS if rate is None else FORMATS
    if suffix not in known:
        kind = "a still" if rate is None else "a video"
        raise AnimateError(f"{out}: {kind} can't have this suffix: use {' '.join(known)}")
    if rate is not None and not 0 < rate <= 1000:
        raise AnimateError(f"a rate of {rate} frames a second: use more than 0 and at most 1000")
    if not out.parent.is_dir():
        raise AnimateError(f"there is no folder {out.parent}: make it first, or use another")
    if out.is_dir():
        raise AnimateError(f"{out} is a folder: give the name of a file")
    if claim is not None and len(claim.json()) > LONGEST_CLAIM:
        raise AnimateError(f"the claim is longer than {LONGEST_CLAIM} characters: shorten consent")
    if not embeds(out) and os.path.lexists(beside(out)) and not force:
        raise AnimateError(f"{beside(out)} exists: use --force to replace it, or another name")
    if not os.path.lexists(out):
        return
    if any(Path(path).exists() and out.exists() and out.samefile(path) for path in inputs):
        raise AnimateError(f"{out} is an input of this run: use another output")
    if not force:
        raise AnimateError(f"{out} exists: use --force to replace it, or another name")
    if claim and out.is_file() and clips.sha256(out) in (claim.photo_sha256, claim.clip_sha256):
        raise AnimateError(f"{out} is an input of this run: use another output")


def _full_id(claim: Claim) -> str:
    """The SHA-256 of a claim, of which the pixels carry the first 32 bits."""
    return hashlib.sha256(claim.json().encode("ascii")).hexdigest()


def _marked(
    frames: Iterable[np.ndarray],
    mark: Mark,
    label: Label | None,
    *,
    even: bool,
    rate: Fraction | None,
) -> Iterator[np.ndarray]:
    """The frames with label and mark in them, their sides even where asked."""
    embed, draw, shape = None, None, None
    for index, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise AnimateError(
                f"frame {index} is {frame.dtype} {frame.shape}: publish takes uint8 (H, W, 3)"
            )
        if shape is not None and frame.shape != shape:
            raise AnimateError(
                f"frame {index} is {frame.shape}, those before {shape}: use one size"
            )
        shape = frame.shape
        if even and (shape[0] % 2 or shape[1] % 2):
            frame = np.pad(frame, ((0, shape[0] % 2), (0, shape[1] % 2), (0, 0)), "edge")
        if embed is None or draw is None:
            embed = Embedder(mark, frame.shape[0], frame.shape[1])
            pace = None if rate is None else float(rate)
            draw = Labeller(label, frame.shape[0], frame.shape[1], pace)
        yield embed(draw(frame))


# ---------------------------------------------------------------- after


def _read_back(draft: Path, out: Path, mark: Mark, claim: Claim, manifest: bytes | None) -> Report:
    """Verify the finished draft as any file: its pixels, its tags and its signature agree."""
    try:
        report = verify(draft, mark.key, manifest=manifest)
    except AnimateError as error:
        text = str(error).replace(str(draft), "the draft")
        raise VerificationError(
            f"{out} was not published, it can't be read back: {text}"
        ) from error
    if not report.detection.marked or report.detection.payload != mark.payload:
        lost = "its mark is not found" if not report.detection.marked else "its payload is damaged"
        raise VerificationError(
            f"{out} was not published, {lost} in the finished draft: use a larger picture, "
            "another format or a higher watermark.strength"
        )
    if report.tags.comments != (claim.json(),) or len(report.tags.aigc) != 1 or not report.aigc:
        raise VerificationError(f"{out} was not published, its tags lost the claim: use .mp4")
    if report.verdict not in ("authentic", "marked") or report.signature.state not in SIGNED:
        why = ", ".join([*report.reasons, *report.signature.problems])
        raise VerificationError(f"{out} was not published, its signature does not hold: {why}")
    return report


def _name(
    draft: Path,
    scratch: Path,
    out: Path,
    force: bool,
    report: Report,
    manifest: bytes,
    signer: Signer,
) -> None:
    """Record the draft and give it its name, with its manifest beside it where it can't hold it."""
    assert report.claim is not None
    payload = str(report.detection.payload)
    with (
        ledger.recording(
            report.claim,
            payload=payload,
            sha256=clips.sha256(draft),
            manifest=manifest,
            signer=signer,
        ),
        writing(out),
    ):
        if embeds(out):
            rename(draft, out, force)
            return
        scratch.write_bytes(manifest)
        rename(scratch, beside(out), force)
        try:
            rename(draft, out, force)
        except OSError:
            beside(out).unlink(missing_ok=True)
            raise
