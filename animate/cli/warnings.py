"""Messages on standard error, one line each."""

from __future__ import annotations

import sys

from animate.system.text import safe


def warn(text: str) -> None:
    """Print an error or a warning as one line that can't harm a terminal."""
    print(f"animate: {safe(' '.join(text.split()), 5000)}", file=sys.stderr)


def warn_of_damaged_keys() -> None:
    """Name each public half in the folder of trusted ones that can't be used."""
    from animate.provenance import keys

    for line in keys.damaged():
        warn(line)
