"""The claim: what made a file, from what, when, with whose consent; its JSON hashes to an id."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone

from animate.errors import AnimateError

# In the place of a clip's hash: of pictures that were shown, but not kept; of a camera's file.
LIVE, RECORDED = "shown live", "recorded live"


@dataclass(frozen=True)
class Claim:
    """What a published file states about itself; all fields are text, hashes are SHA-256 in hex."""

    generator: str  # the program, with its version
    model: str
    model_sha256: str
    photo_sha256: str
    clip_sha256: str  # or LIVE, RECORDED
    created: str  # ISO 8601, UTC, to the second: 2026-11-23T05:42:00Z
    consent: str  # what the user stated about the consent of the person shown

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
        return cls(generator, model, model_sha256, photo_sha256, clip_sha256, created, consent)

    def json(self) -> str:
        """Canonical JSON: keys sorted, no spaces, ASCII. Equal claims give equal bytes."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    @classmethod
    def from_json(cls, text: str) -> Claim:
        """The inverse of `json`; AnimateError for anything else."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise AnimateError(f"not a claim: {text[:40]!r} is not JSON") from error
        names = {f.name for f in fields(cls)}
        if not isinstance(value, dict) or set(value) != names:
            raise AnimateError(
                f"not a claim: expected an object with the keys {', '.join(sorted(names))}"
            )
        if not all(isinstance(v, str) for v in value.values()):
            raise AnimateError("not a claim: every value must be text")
        return cls(**value)

    @property
    def live(self) -> bool:
        """Whether it is of a live session, whose pictures were not kept."""
        return self.clip_sha256 == LIVE

    def content_id(self) -> int:
        """The first 32 bits of the SHA-256 of the canonical JSON; the pixels carry them."""
        return int.from_bytes(hashlib.sha256(self.json().encode("ascii")).digest()[:4], "big")
