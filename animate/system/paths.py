"""Where files lie: those that ship with the package, and those that it keeps for its user."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
PACKED = {"configs": "configs", "checkpoints": "bundled"}  # names inside a wheel's package


def folder(name: str) -> Path:
    """The absolute folder "configs" or "checkpoints": <package>/... in a wheel, else <repo>/..."""
    packed = PACKAGE / PACKED[name]
    return packed if packed.is_dir() else PACKAGE.parent / name


def home() -> Path:
    """Where keys and ledger are kept: ANIMATE_HOME, or the platform's place for an app's data."""
    chosen = os.environ.get("ANIMATE_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("animate", appauthor=False)
