"""What a report of `verify` is called, and its verdicts; `verdict.py` says what each means."""

from __future__ import annotations

from typing import Literal

SCHEMA = "animate.verify/2"  # of the JSON that docs/verify-json.md describes
Verdict = Literal["authentic", "traced", "marked", "tampered", "not found"]
MARKED: tuple[Verdict, ...] = ("authentic", "traced", "marked")  # what counts as marked
