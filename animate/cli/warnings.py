"""Lines on standard error about what is wrong but stops nothing."""

from __future__ import annotations

import sys

from animate.system.text import safe


def warn(line: str) -> None:
    print(f"animate: {safe(line)}", file=sys.stderr)


def warn_of_damaged_keys() -> None:
    """Name each public half in the folder of trusted ones that can't be used."""
    from animate.provenance import keys

    for line in keys.damaged():
        warn(line)
