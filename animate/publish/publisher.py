"""Publish frames as a file: label, mark, encode, tag, sign, read back, rename, record."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from animate.errors import AnimateError, VerificationError
from animate.media import clips
from animate.media.files import check_place
from animate.media.reader import Reader
from animate.media.sound import Microphone
from animate.options import Statement
from animate.provenance import ledger
from animate.provenance.aigc import Aigc
from animate.provenance.fingerprint import Sampler
from animate.provenance.identity import Signer, toolkit
from animate.provenance.manifest import Ingredient, Record, beside, definition
from animate.provenance.xmp import SYNTHETIC
from animate.publish import containers
from animate.publish.containers import STILLS, VIDEOS, Still, Video, embeds
from animate.publish.drafts import Drafts, rename, sweep, writing
from animate.publish.sign import sign
from animate.publish.spool import Spool
from animate.publish.still import encode_still
from animate.publish.tags import Texts
from animate.publish.video import encode_video
from animate.verification.names import MARKED
from animate.verification.verify import Report, verify
from animate.watermark import Claim, Embedder, Mark
from animate.watermark.label import Label, Labeller, fitting

LONGEST_CLAIM = 16_000  # characters; a JPEG comment holds 65,533, a command line somewhat more
LABEL, OURS = Label(), Statement()


class Attempt(NamedTuple):
    """How strongly a file is marked and how finely coded; if the mark can't be read back, the next
    attempt is made."""

    louder: float = 1  # factor of the mark's strength
    finer: int = 0  # how much more exactly it is encoded: of a CRF, or of a JPEG's quality
    contrast: float = 1  # of the picture, about middle grey


# Pictures that are drawn, flat or mostly transparent hold less of a mark than the first frame
# promises, and codecs take more of it; louder, it hides in edges and strong colours. Only blocks
# of random colours drown that, too: plain grey, at the end, would hold every mark.
ATTEMPTS = (
    Attempt(),
    Attempt(1.3),
    Attempt(1.8, 3),
    Attempt(2.5, 6),
    Attempt(3.5, 9),
    Attempt(5, 12),
    *(Attempt(7, 15, contrast) for contrast in (1, 0.7, 0.5, 0.35, 0.2, 0.1)),
)
SIGNED = ("trusted", "public", "untrusted")  # states of a key neither expired nor revoked


@dataclass
class Published:
    """A published file, and the report of its verification."""

    path: Path
    frames: int
    report: Report
    attempt: Attempt = ATTEMPTS[0]  # what it took to read the mark back
    label: Label | None = None  # as it was drawn, in short on a small picture


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
    producer: str | None = None,
    source: str = SYNTHETIC,
    consent: str | None = None,
    sound: Path | clips.Sound | Microphone | None = None,
    force: bool = False,
) -> Published:
    """Write frames, uint8 (H, W, 3) RGB of one size, as the marked file `out`, or write nothing.

    The suffix chooses the format (`containers`): .mp4 .mov .mkv (H.264), .webm (VP9) and .gif at
    `rate` frames a second, with the sound of the clip `sound` in step; .png .jpg .webp with
    rate=None, for exactly one frame. Where a format needs even sides, the last row or column of an
    odd side is repeated. Frames are labelled and marked before they are encoded. The draft, a
    hidden file beside `out` that ends in ".part", is signed by `signer` (None: the toolkit's public
    identity), decoded and verified. Only then does it get its name and its entry in the ledger.
    If the mark can't be read back, the file is made again by the next of ATTEMPTS: of the frames,
    if they pack well enough to be kept meanwhile, unmarked, in a temporary file without a name
    (`spool`), else of the draft's. MKV and WebM files
    get their manifest as a file beside them. Memory doesn't grow with the number of frames.

    `producer` (None: the claim's provider) goes into the GB 45438-2025 label, `source` is the IPTC
    digital source type, `ingredients` are the inputs, `consent` is the user's words on it, signed
    apart from the claim. Raises AnimateError for user errors (an existing `out` without
    `force`, a full disk, no frames, a mark of another key than the signer's) and VerificationError
    when the draft doesn't carry its mark, claim and signature.
    """
    out, signer = Path(out), signer or toolkit()
    sound_paths = [Path(sound)] if sound and not isinstance(sound, Microphone) else []
    inputs = [*(i.path for i in ingredients), *sound_paths]
    check(out, rate=rate, force=force, claim=claim, inputs=inputs)
    check_mark(mark, claim, signer)
    ledger.check()
    sweep(out.parent)
    producer = producer or claim.provider or OURS.producer
    texts = Texts(claim.json(), Aigc.first(producer, claim.identifier), source)
    kind = containers.of(out)
    assert kind is not None
    even = isinstance(kind, Video) and kind.even
    frames, label = _with_room(frames, label, even)
    label_record = None if label is None else asdict(label)
    with Drafts(out) as drafts, Spool(out) as spool:
        unmarked = Unmarked(spool.keep(frames), label)
        for attempt in ATTEMPTS:
            draft, sampler = drafts.new(), Sampler(float(rate or 1))
            strong = replace(mark, louder=attempt.louder)
            calm = _with_contrast(unmarked.frames, attempt.contrast)
            made = sampler(_marked(calm, strong, unmarked.label, even=even, rate=rate))
            if isinstance(kind, Still):
                count = encode_still(draft, made, out, kind, texts, attempt.finer)
            else:
                pace = Fraction(rate or 1)
                count = encode_video(draft, made, out, kind, texts, pace, sound, attempt.finer)
            sha256 = None if embeds(out) else clips.sha256(draft)
            fingerprint = sampler.result()
            record = Record(claim, str(mark.payload), fingerprint, label_record, sha256, consent)
            scratch = drafts.new()
            with writing(out):
                whole = definition(record, mark.payload, source, ingredients)
                manifest = sign(draft, scratch, out, whole, ingredients, signer)
            try:
                report = _read_back(draft, out, mark, claim, None if embeds(out) else manifest)
            except MarkLostError:
                # the label in a draft's frames would lose contrast, too
                possible = [a for a in ATTEMPTS if a.contrast == 1 or spool.is_whole]
                if attempt == possible[-1]:
                    raise
                if isinstance(sound, Microphone):
                    sound = draft  # what it recorded is there alone
                elif spool.is_whole and sound not in drafts.made:
                    drafts.remove()
                if spool.is_whole:
                    unmarked = Unmarked(spool.frames(), label)
                else:
                    unmarked = Unmarked(_decoded(draft, rate), None)  # its label is drawn already
                continue
            _name(draft, scratch, out, force, report, manifest, signer)
            break
    return Published(out, count, replace(report, path=out), attempt, label)


class MarkLostError(VerificationError):
    """The mark can't be read back from a draft; a stronger one may help."""


@dataclass(frozen=True)
class Unmarked:
    """The frames of a file before marking, and the label that is still to be drawn on them."""

    frames: Iterable[np.ndarray]
    label: Label | None


def _with_room(
    frames: Iterable[np.ndarray], label: Label | None, even: bool
) -> tuple[Iterable[np.ndarray], Label | None]:
    """The same frames, and the label in the form that they have room for."""
    stream = iter(frames)
    first = next(stream, None)
    if first is None:
        return stream, label
    if label is None or first.ndim != 3:  # which is refused where it is marked
        return chain([first], stream), label
    height, width = (side + side % 2 * even for side in first.shape[:2])
    return chain([first], stream), fitting(label, height, width)


def _with_contrast(frames: Iterable[np.ndarray], contrast: float) -> Iterable[np.ndarray]:
    if contrast == 1:
        return frames
    levels = np.rint(128 + contrast * (np.arange(256) - 128.0)).astype(np.uint8)
    return (levels[frame] for frame in frames)


def _decoded(draft: Path, rate: Fraction | None) -> Iterator[np.ndarray]:
    """The frames of a draft, decoded."""
    if rate is None:
        yield clips.read_photo(draft)
        return
    with Reader.open(draft) as reader:
        for frame, _, _ in reader.frames():
            yield reader.picture(frame)


# ---------------------------------------------------------------- before


def check(
    out: Path,
    *,
    rate: Fraction | None,
    force: bool,
    claim: Claim | None = None,
    inputs: Iterable[Path] = (),
) -> None:
    """Raise AnimateError where `out` can't be published. Cheap: call it before the work."""
    suffix, known = out.suffix.lower(), STILLS if rate is None else VIDEOS
    if suffix not in known:
        kind = "a still" if rate is None else "a video"
        raise AnimateError(f"{out}: {kind} can't have this suffix: use {' '.join(known)}")
    if rate is not None and not 0 < rate <= 1000:
        raise AnimateError(f"a rate of {rate} frames a second: use more than 0 and at most 1000")
    check_place(out)
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


def check_mark(mark: Mark, claim: Claim, signer: Signer) -> None:
    """Raise AnimateError where a mark is not of this claim, or of another key than the signer's."""
    if mark.payload.content_id != claim.content_id():
        raise AnimateError("the mark's payload is of another claim: use Payload.of(claim, key)")
    if mark.key != signer.mark_key:
        raise AnimateError("the mark's key is not the signer's: use signer.mark_key")


def _marked(
    frames: Iterable[np.ndarray],
    mark: Mark,
    label: Label | None,
    *,
    even: bool,
    rate: Fraction | None,
) -> Iterator[np.ndarray]:
    """The frames with even sides if `even`, then label and mark drawn into them."""
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
    """Verify the finished draft like any file, and that pixels, tags and signature agree."""
    try:
        report = verify(draft, mark.key, manifest=manifest, thorough=False)
    except AnimateError as error:
        text = str(error).replace(str(draft), "the draft")
        raise VerificationError(
            f"{out} was not published, it can't be read back: {text}"
        ) from error
    if not report.detection.marked or report.detection.payload != mark.payload:
        lost = "its mark is not found" if not report.detection.marked else "its payload is damaged"
        raise MarkLostError(
            f"{out} was not published, {lost} in the finished draft: use a larger picture, "
            "another format or a higher watermark.strength"
        )
    if report.tags.comments != (claim.json(),) or len(report.tags.aigc) != 1 or not report.aigc:
        raise VerificationError(f"{out} was not published, its tags lost the claim: use .mp4")
    if report.verdict not in MARKED or report.signature.state not in SIGNED:
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
    """Record the draft in the ledger and rename it, with a manifest beside it if it embeds none."""
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
