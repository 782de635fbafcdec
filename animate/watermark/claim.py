"""The claim: what made a file, from what, when, for whom; its JSON hashes to an id."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone

from animate.errors import AnimateError
from animate.options import Statement

# In the place of a clip's hash: of pictures that were shown, but not kept; of a camera's file.
LIVE, RECORDED = "shown live", "recorded live"
# In the place of the user's words on consent, which may name persons (`provenance.consent`).
APART = "stated apart from this claim, in the signed manifest"

FIRST = {  # keys of the claims of all versions
    "generator", "model", "model_sha256", "photo_sha256", "clip_sha256", "created", "consent",
}  # fmt: skip
LATER = {"provider", "detector", "identifier"}  # those that a claim has all, or none, of
OURS = Statement()


@dataclass(frozen=True)
class Claim:
    """What a published file states about itself; all fields are text, hashes are SHA-256 in hex.

    With `identifier`, these are what California's SB 942 asks of a latent disclosure (Business and
    Professions Code, section 22757.3 (b)): name of the provider, name and version of the system,
    time and date, a unique identifier. Claims of version 0.2 have neither provider nor detector.
    """

    generator: str  # name and version of the system
    model: str
    model_sha256: str
    photo_sha256: str
    clip_sha256: str  # or LIVE, RECORDED
    created: str  # ISO 8601, UTC, to the second: 2026-11-23T05:42:00Z
    consent: str  # what is stated about the consent of the person shown, or APART
    provider: str | None = None  # whoever offers the system
    detector: str | None = None  # how anybody can check the file: an address, or a command
    misnamed: str | None = None  # an identifier that was read and isn't that of the other fields

    @classmethod
    def now(
        cls,
        *,
        generator: str,
        model: str,
        model_sha256: str,
        photo_sha256: str,
        clip_sha256: str,
        consent: str,
        provider: str = OURS.producer,
        detector: str = OURS.detector,
    ) -> Claim:
        """A claim dated now, or at SOURCE_DATE_EPOCH (seconds since 1970) if that is set.

        Source: reproducible-builds.org, the SOURCE_DATE_EPOCH specification.
        """
        epoch = os.environ.get("SOURCE_DATE_EPOCH")
        try:
            moment = (
                datetime.fromtimestamp(int(epoch), timezone.utc)
                if epoch
                else datetime.now(timezone.utc)
            )
        except (ValueError, OverflowError, OSError) as error:
            raise AnimateError(
                f"SOURCE_DATE_EPOCH={epoch!r} is not a time: "
                "set it to whole seconds since 1970, or unset it"
            ) from error
        created = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        return cls(
            generator, model, model_sha256, photo_sha256, clip_sha256, created, consent, provider,
            detector,
        )  # fmt: skip

    def json(self) -> str:
        """Canonical JSON: keys sorted, no spaces, ASCII. Equal claims give equal bytes."""
        return _canonical(self.plain())

    def plain(self) -> dict[str, str]:
        """The claim as JSON values; with its identifier, unless it is of version 0.2."""
        if self.provider is None:
            return self._stated()
        shown = self.identifier if self.misnamed is None else self.misnamed
        return {**replace(self, misnamed=None)._stated(), "identifier": shown}

    @classmethod
    def from_json(cls, text: str) -> Claim:
        """The inverse of `json`; AnimateError for anything else."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise AnimateError(f"not a claim: {text[:40]!r} is not JSON") from error
        if not isinstance(value, dict) or set(value) not in (FIRST, FIRST | LATER):
            raise AnimateError(
                f"not a claim: expected an object with the keys {', '.join(sorted(FIRST | LATER))}"
            )
        if not all(isinstance(v, str) for v in value.values()):
            raise AnimateError("not a claim: every value must be text")
        given = value.pop("identifier", None)
        claim = cls(**value)
        return claim if given in (None, claim.identifier) else replace(claim, misnamed=given)

    @property
    def live(self) -> bool:
        """Whether it is of a live session, whose pictures were not kept."""
        return self.clip_sha256 == LIVE

    @property
    def identifier(self) -> str:
        """The SHA-256 of the canonical JSON of what is stated: one id for claim, labels and mark.

        The EU's code of practice asks for an identifier by which the layers refer to each other.
        """
        return hashlib.sha256(_canonical(self._stated()).encode("ascii")).hexdigest()

    def content_id(self) -> int:
        """The first 32 bits of the identifier; the pixels carry them."""
        return int(self.identifier[:8], 16)

    def _stated(self) -> dict[str, str]:
        return {name: value for name, value in asdict(self).items() if value is not None}


def _canonical(value: dict[str, str]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
