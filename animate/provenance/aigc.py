"""The implicit label of GB 45438-2025: who generated the content, as JSON in the metadata.

Source: GB 45438-2025, section 6.1 and annex E; TC260 practice guides on file metadata. In force in
China since 2025-09-01. A file must hold exactly one copy.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from animate.errors import AnimateError

NAMES = {  # field of Aigc: key in the standard
    "label": "Label",  # "1" generated, "2" possibly, "3" suspected
    "producer": "ContentProducer",
    "produce_id": "ProduceID",
    "reserved1": "ReservedCode1",
    "propagator": "ContentPropagator",
    "propagate_id": "PropagateID",
    "reserved2": "ReservedCode2",
}
LONGEST = 4096  # most characters in one value


@dataclass(frozen=True)
class Aigc:
    """The label's seven values, in the standard's order."""

    label: str
    producer: str
    produce_id: str
    reserved1: str
    propagator: str
    propagate_id: str
    reserved2: str = ""

    def __post_init__(self) -> None:
        if self.label not in ("1", "2", "3"):
            raise AnimateError(f"an AIGC label is 1, 2 or 3, not {self.label[:20]!r}")
        for name, value in asdict(self).items():
            if not all("!" <= c <= "~" and c not in "\"'\\" for c in value):
                raise AnimateError(
                    f"{NAMES[name]} of the AIGC label is {value[:60]!r}: use printable ASCII "
                    "without spaces, quotes or backslashes"
                )
            if len(value) > LONGEST:
                raise AnimateError(
                    f"{NAMES[name]} of the AIGC label is too long: use at most {LONGEST} characters"
                )

    @classmethod
    def first(cls, producer: str, claim_id: str) -> Aigc:
        """The label of a new file: its producer is also its first propagator.

        `claim_id` identifies the content; here it is the SHA-256 of the claim, which the signed
        manifest and the ledger hold too.
        """
        if not producer:
            raise AnimateError("producer is empty: give a name or provider code for the AIGC label")
        return cls("1", producer, claim_id, "", producer, claim_id)

    def json(self) -> str:
        """JSON without the outer `AIGC`, for metadata fields that are named AIGC themselves."""
        values = {NAMES[name]: value for name, value in asdict(self).items()}
        return json.dumps(values, separators=(",", ":"))

    @classmethod
    def of(cls, text: str) -> Aigc:
        """The inverse of `json`, with or without the outer `AIGC`; AnimateError otherwise."""
        try:
            value: Any = json.loads(text[: 20 * LONGEST])
        except (ValueError, RecursionError) as error:
            raise AnimateError("the AIGC label is not JSON") from error
        if isinstance(value, dict) and set(value) == {"AIGC"}:
            value = value["AIGC"]
        if not isinstance(value, dict) or set(value) != set(NAMES.values()):
            raise AnimateError("the AIGC label must have the seven keys of GB 45438-2025")
        if not all(isinstance(v, str) for v in value.values()):
            raise AnimateError("the AIGC label's values must all be text")
        return cls(**{name: value[key] for name, key in NAMES.items()})
