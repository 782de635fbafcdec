"""Set up a run: load the motion model on its device, and find the key that signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from animate import __version__, checkpoints
from animate.checkpoints import CheckpointInfo
from animate.errors import AnimateError
from animate.inference.compose import Subject, open_subject
from animate.inference.driver import Driver, open_driver
from animate.inference.predictor import Predictor
from animate.inference.templates import Template
from animate.options import Options
from animate.provenance import keys
from animate.provenance.identity import Signer
from animate.system.device import find_device, find_threads
from animate.watermark import APART, Claim, Mark, Payload


@dataclass(frozen=True)
class Session:
    """The model, its checkpoint, the signer and the options of a run."""

    predictor: Predictor
    info: CheckpointInfo
    signer: Signer
    options: Options

    @classmethod
    def open(cls, options: Options, precision: str | None = None) -> Session:
        """Load the model that the options name, for inference; `precision` overrides theirs.

        Raises AnimateError for a damaged checkpoint, one of another model, and a device, precision
        or key that is not available.
        """
        compute, motion, key = options.compute, options.motion, options.statement.key
        signer = keys.signer(None if key == "auto" else key)
        device = find_device(compute.device)
        path = checkpoints.find(motion.checkpoint)
        written = path.stat()
        predictor, info = _predictor(
            motion.checkpoint,
            (str(path.absolute()), written.st_mtime_ns, written.st_size),
            str(device),
            precision or compute.precision,
            find_threads(compute.threads, device),
        )
        if motion.name is not None and info.model != motion.name:
            raise AnimateError(
                f"{info.path} holds a {info.model}, not a {motion.name}: use motion={info.model}"
            )
        return cls(predictor, info, signer, options)

    def subject(self, paths: Sequence[Path], drivers: Sequence[Path] = ()) -> Subject:
        """The photos with the faces to animate, or the video; errors as in `open_subject`."""
        return open_subject(paths, drivers, self.options, self.predictor.model.framing)

    def driver(self, path: Path) -> Driver:
        """Open a driver for this model.

        Raises AnimateError for a file that can't drive, and a template of another checkpoint.
        """
        driver = open_driver(path, self.options, self.predictor.model.framing)
        if isinstance(driver.media, Template):
            driver.media.check(self.info.model, self.info.sha256)
        return driver

    def claim(self, photos: Sequence[str], clips: Sequence[str]) -> Claim:
        """The claim of a result made from photos and clips with these SHA-256 digests."""
        said = self.options.statement
        return Claim.now(
            generator=f"animate {__version__}",
            model=self.info.model,
            model_sha256=self.info.sha256,
            photo_sha256=together(photos),
            clip_sha256=together(clips),
            consent=said.consent if said.words is None else APART,
            provider=said.producer,
            detector=said.detector,
        )

    def mark(self, claim: Claim) -> Mark:
        """The watermark that carries the claim, under the signer's key."""
        key = self.signer.mark_key
        return Mark(Payload.of(claim, key), key, self.options.watermark.strength)


@lru_cache(maxsize=1)
def _predictor(
    checkpoint: str | None, stamp: tuple[str, int, int], device: str, precision: str, threads: int
) -> tuple[Predictor, CheckpointInfo]:
    """Load a checkpoint; the last one is kept, for runs one after the other. `stamp` is its file's
    path, time of writing and size, so that a changed file is loaded again."""
    model, info = checkpoints.load(checkpoint, device=device)
    return Predictor.of(model, precision, threads), info


def together(digests: Sequence[str]) -> str:
    """One SHA-256 for several files: that of their digests, a line each; one file keeps its own."""
    return digests[0] if len(digests) == 1 else sha256("\n".join(digests).encode()).hexdigest()
