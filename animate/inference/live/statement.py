"""The claim of a live session's pictures, and that of a recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from fractions import Fraction
from pathlib import Path

import numpy as np

from animate.inference.portrait import ingredients
from animate.inference.session import Session
from animate.media import clips
from animate.media.sound import Microphone
from animate.options import Label
from animate.provenance import ledger
from animate.provenance.xmp import COMPOSITE, SYNTHETIC
from animate.publish import Published, check, publish
from animate.publish.live import announce
from animate.system.parallel import in_background
from animate.watermark import LIVE, RECORDED, Mark

Write = Callable[[Iterator[np.ndarray], "Microphone | None"], Published]


class Statement:
    """The claim of a session, its mark, and what is needed to publish under its photos' names."""

    def __init__(self, session: Session, photos: Sequence[Path], clip: Path | None) -> None:
        """`clip` is the file that acts as the camera, if any.

        Raises AnimateError if the ledger can't be written.
        """
        ledger.check()
        self.session, self.photos = session, photos
        self.hashes = [clips.sha256(photo) for photo in photos]
        self.driven_by = RECORDED if clip is None else clips.sha256(clip)
        self.claim = session.claim(self.hashes, [LIVE])
        self.made_of = in_background(ingredients, photos, [] if clip is None else [clip])
        whole = session.options.paste.name == "crop"  # no photo around it
        self.source = SYNTHETIC if whole else COMPOSITE

    @property
    def mark(self) -> Mark:
        return self.session.mark(self.claim)

    def announced(self, photo: np.ndarray, label: Label | None) -> Future[None]:
        """Sign and record the claim in the background; the ledger finds it by `photo`."""
        return in_background(self._announce, photo, label)

    def _announce(self, photo: np.ndarray, label: Label | None) -> None:
        announce(
            self.claim,
            self.mark,
            self.session.signer,
            photo,
            label=label,
            ingredients=self.made_of.result(),
            source=self.source,
            consent=self.session.options.statement.words,
        )

    def writer(self, out: Path, rate: Fraction, force: bool) -> Write:
        """A function that publishes a recording as `out`, under a claim of its own.

        Raises AnimateError where `out` can't be published.
        """
        check(out, rate=rate, force=force, inputs=self.photos)
        claim, options = self.session.claim(self.hashes, [self.driven_by]), self.session.options

        def write(frames: Iterator[np.ndarray], sound: Microphone | None) -> Published:
            return publish(
                out,
                frames,
                mark=self.session.mark(claim),
                claim=claim,
                rate=rate,
                signer=self.session.signer,
                label=options.visible_label,
                ingredients=self.made_of.result(),
                source=self.source,
                consent=options.statement.words,
                sound=sound,
                force=force,
            )

        return write
