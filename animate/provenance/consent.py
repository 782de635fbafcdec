"""The words on consent: kept in an assertion of their own, because they may name persons.

The claim is copied into unsigned metadata and into the ledger; these words are in the signed
manifest alone. Source: code of practice on transparency of AI-generated content (10 June 2026),
sub-measure 1.1.1, which wants private data in a place apart from the AI metadata; CAWG metadata
assertion 1.1, section 3, which is such a place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

LABEL = "cawg.metadata"
CONTEXT = {"animate": "urn:animate-toolkit:"}  # JSON-LD: the namespace of the one term
TERM = "animate:consent"
LONGEST = 16_000  # characters read


def assertion(words: str) -> dict[str, Any]:
    """The content of the assertion, as JSON-LD."""
    return {"@context": CONTEXT, TERM: words}


def words_in(assertions: Iterable[dict[str, Any]]) -> str | None:
    """The words in a manifest's assertions; None if there are none."""
    for each in assertions:
        data = each.get("data")
        words = data.get(TERM) if each.get("label") == LABEL and isinstance(data, dict) else None
        if isinstance(words, str):
            return words[:LONGEST]
    return None
