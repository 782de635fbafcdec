"""Where the files that ship with the package lie, in a checkout and in a wheel."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
PACKED = {"configs": "configs", "checkpoints": "bundled"}  # names inside a wheel's package


def folder(name: str) -> Path:
    """The absolute folder "configs" or "checkpoints": <package>/... in a wheel, else <repo>/..."""
    packed = PACKAGE / PACKED[name]
    return packed if packed.is_dir() else PACKAGE.parent / name
