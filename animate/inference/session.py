"""What a run works with: a motion model on its device, which weights it has, and who signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from animate.provenance.keys import Signer
from animate.system.device import find_device, find_threads
from animate.watermark import Claim, Mark, Payload


@dataclass(frozen=True)
class Session:
    """Opened once for a run of any kind."""

    predictor: Predictor
    info: CheckpointInfo
    signer: Signer
    options: Options

    @classmethod
    def open(cls, options: Options, precision: str | None = None) -> Session:
        """The model that the options name, ready for inference; `precision` stands for theirs.

        Raises AnimateError where the checkpoint is not whole or of another model, or device,
        precision or key are not to be had.
        """
        compute, motion, key = options.compute, options.motion, options.statement.key
        signer = keys.signer(None if key == "auto" else key)
        device = find_device(compute.device)
        model, info = checkpoints.load(motion.checkpoint, device=str(device))
        if motion.name is not None and info.model != motion.name:
            raise AnimateError(
                f"{info.path} holds a {info.model}, not a {motion.name}: use motion={info.model}"
            )
        lanes = find_threads(compute.threads, device)
        return cls(
            Predictor.of(model, precision or compute.precision, lanes), info, signer, options
        )

    def subject(self, paths: Sequence[Path], drivers: Sequence[Path] = ()) -> Subject:
        """The photos, with the faces that are to move, or the video; errors as `open_subject`."""
        return open_subject(paths, drivers, self.options, self.predictor.model.framing)

    def driver(self, path: Path) -> Driver:
        """A driver that this model can follow.

        Raises AnimateError for what is none, and for a template of other weights.
        """
        driver = open_driver(path, self.options, self.predictor.model.framing)
        if isinstance(driver.media, Template):
            driver.media.check(self.info.model, self.info.sha256)
        return driver

    def claim(self, photos: Sequence[str], clips: Sequence[str]) -> Claim:
        """What a result of files with these SHA-256 says of itself."""
        return Claim.now(
            generator=f"animate {__version__}",
            model=self.info.model,
            model_sha256=self.info.sha256,
            photo_sha256=together(photos),
            clip_sha256=together(clips),
            consent=self.options.statement.consent,
        )

    def mark(self, claim: Claim) -> Mark:
        """The claim's mark, by the signer's key."""
        key = self.signer.mark_key
        return Mark(Payload.of(claim, key), key, self.options.watermark.strength)


def together(digests: Sequence[str]) -> str:
    """One SHA-256 for several files: of their own, a line each; of one file its own."""
    return digests[0] if len(digests) == 1 else sha256("\n".join(digests).encode()).hexdigest()
