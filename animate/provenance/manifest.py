"""Content credentials (C2PA): define the manifest to sign.

A manifest holds the claim, its thumbnails and the payload in this toolkit's own assertion,
`RECORD`. Its other assertions are known to every C2PA reader: actions, ingredients, soft binding,
training and mining, metadata (the words on consent). Source: C2PA 2.2, sections 9 (binding), 18
(assertions); CAWG training and data mining 1.1. If C2PA can't embed into a format, the manifest is
a separate file beside the output, and its record holds the output's SHA-256.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animate.errors import AnimateError
from animate.provenance import consent
from animate.provenance.findings import RECORD
from animate.provenance.fingerprint import Fingerprint
from animate.watermark import Claim, Payload

SOFT_BINDING = "org.animate-toolkit.mark"  # algorithm name; the mark's version follows
BESIDE = "application/c2pa"  # format of a manifest in a file of its own
MOST, LONGEST = 20, 2000  # settings of a visible label, characters of its text


@dataclass(frozen=True)
class Record:
    """Content of the assertion `RECORD`: the claim and what else is signed with it."""

    claim: Claim
    payload: str  # as `str(Payload)` writes it
    fingerprint: Fingerprint
    label: dict[str, Any] | None = None  # visible label drawn on the file
    sha256: str | None = None  # of the file, if the manifest is beside it
    consent: str | None = None  # in the user's words; in an assertion of its own (`consent`)

    def plain(self) -> dict[str, Any]:
        return {
            "claim": self.claim.plain(),
            "payload": self.payload,
            "fingerprint": self.fingerprint.plain(),
            "label": self.label,
            "sha256": self.sha256,
        }

    @classmethod
    def of(cls, value: Any) -> Record:
        """The inverse of `plain`; AnimateError for anything else."""
        try:
            claim = Claim.from_json(json.dumps(value["claim"]))
            fingerprint = Fingerprint.of(value["fingerprint"])
            label, sha256, payload = value["label"], value["sha256"], value["payload"]
        except (KeyError, TypeError) as error:
            raise AnimateError("the manifest's record is incomplete") from error
        if not (_is_hex(payload, 16) and (sha256 is None or _is_hex(sha256, 64))):
            raise AnimateError("the manifest's record holds no payload or no hash where it should")
        if label is not None and not _is_flat(label):
            raise AnimateError("the manifest's record describes no visible label")
        return cls(claim, payload, fingerprint, label, sha256)


def _is_hex(value: Any, digits: int) -> bool:
    return isinstance(value, str) and re.fullmatch(f"[0-9a-f]{{{digits}}}", value) is not None


def _is_flat(label: Any) -> bool:
    """Whether a label's description is a few names with texts and finite numbers."""
    return (
        isinstance(label, dict)
        and len(label) <= MOST
        and all(isinstance(name, str) for name in label)
        and all(
            value is None
            or (isinstance(value, str) and len(value) <= LONGEST)
            or (isinstance(value, (bool, int, float)) and abs(value) < 1e9)
            for value in label.values()
        )
    )


@dataclass(frozen=True)
class Ingredient:
    """An input: its role, its file, and what its own mark states about its making."""

    role: str  # "photo" or "driving video"
    path: Path
    sha256: str
    history: str = ""


def definition(
    record: Record,
    payload: Payload,
    source: str,
    ingredients: Iterable[Ingredient] = (),
    own: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The unsigned manifest for c2pa's builder; it contains no file names."""
    placed = [name_of(ingredient) for ingredient in ingredients]
    created: dict[str, Any] = {"action": "c2pa.created", "digitalSourceType": source}
    if placed:
        created["parameters"] = {"ingredientIds": placed}
    bound = {"alg": f"{SOFT_BINDING}.{payload.version}", "pad": [],
             "blocks": [{"scope": {}, "value": record.payload}]}  # fmt: skip
    refused = {"use": "notAllowed"}
    kinds = ("cawg.ai_generative_training", "cawg.ai_training", "cawg.data_mining",
             "cawg.ai_inference")  # fmt: skip
    name, _, version = record.claim.generator.partition(" ")
    assertions = [
        ("c2pa.actions.v2", {"actions": [created, {"action": "c2pa.watermarked.bound"}]}),
        ("c2pa.soft-binding", bound),
        ("cawg.training-mining", {"entries": dict.fromkeys(kinds, refused)}),
        (RECORD, record.plain()),
    ]
    if record.consent is not None:
        assertions.append((consent.LABEL, consent.assertion(record.consent)))
    return {
        "claim_generator_info": [{"name": name or "animate", "version": version or "0"}],
        "title": "animated portrait",
        "assertions": [{"label": k, "data": v, "created": True} for k, v in assertions],
    }


def name_of(ingredient: Ingredient) -> str:
    return ingredient.role.replace(" ", "-")


def plain_ingredient(ingredient: Ingredient) -> dict[str, Any]:
    """An ingredient's description for c2pa's builder."""
    return {
        "title": ingredient.role,
        "relationship": "inputTo",
        "instance_id": f"sha256:{ingredient.sha256}",
        "label": name_of(ingredient),
        "description": ingredient.history or "no mark of this toolkit found",
    }


def settings() -> dict[str, Any]:
    """c2pa's settings: fetch nothing, add no thumbnails of inputs, trust nobody.

    This toolkit decides whom to trust by the certificate that signed. c2pa would trust everybody
    whom a trusted authority has certified, and would read no file if one anchor were damaged.
    """
    return {
        "version": 1,
        "builder": {"thumbnail": {"enabled": False}},
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
    }


def beside(path: Path) -> Path:
    """The path of the manifest of a file that can't embed it."""
    return path.with_name(path.name + ".c2pa")
