"""Publish pictures shown live: a signed claim in the ledger, then label and mark on each."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from animate.media import clips
from animate.options import Label
from animate.provenance import ledger
from animate.provenance.fingerprint import STEP, Fingerprint, thumbnail
from animate.provenance.identity import Signer
from animate.provenance.manifest import Ingredient, Record, definition
from animate.publish.publisher import check_mark
from animate.publish.sign import sign
from animate.watermark import Claim, Embedder, Mark
from animate.watermark.label import Labeller, fitting

SESSION = Path("the live session")  # in errors, where a file has its name


class Marker:
    """Labels and marks the pictures of one photo, in order: uint8 (H, W, 3) in and out.

    The label stays, whatever `label.seconds` is: who looks at a screen comes at any time.
    """

    def __init__(self, mark: Mark, label: Label | None, height: int, width: int) -> None:
        self.label = None if label is None else fitting(label, height, width)
        self.draw = Labeller(self.label, height, width, None)
        self.embed = Embedder(mark, height, width)

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        return self.embed(self.draw(picture))


def announce(
    claim: Claim,
    mark: Mark,
    signer: Signer,
    photo: np.ndarray,
    *,
    label: Label | None,
    ingredients: Sequence[Ingredient],
    source: str,
    consent: str | None = None,
) -> None:
    """Sign the claim of a live session and record it in the ledger, before a picture is shown.

    So a screen recording, which has the mark alone, leads back to the claim. The signed manifest
    is of the claim's JSON; its one thumbnail is of `photo`, because later pictures aren't kept.
    Errors as in `publish`.
    """
    check_mark(mark, claim, signer)
    with tempfile.TemporaryDirectory(prefix="animate-") as folder:  # private to its owner
        draft = Path(folder) / "claim.json"
        draft.write_text(claim.json(), encoding="ascii")
        record = Record(
            claim,
            str(mark.payload),
            Fingerprint(STEP, thumbnail(photo)[None]),
            None if label is None else asdict(label),
            clips.sha256(draft),
            consent,
        )
        whole = definition(record, mark.payload, source, ingredients)
        manifest = sign(draft, draft, SESSION, whole, ingredients, signer)
    assert record.sha256 is not None
    with ledger.recording(
        claim,
        payload=str(mark.payload),
        sha256=record.sha256,
        manifest=manifest,
        signer=signer,
    ):
        pass
