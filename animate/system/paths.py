"""Locate files: those shipped with the package, and those it keeps for the user."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
PACKED = {  # folder: its name inside a wheel
    "configs": "configs",
    "checkpoints": "bundled",
    "docs/examples": "examples",
}


def folder(name: str) -> Path:
    """The absolute path of a folder of `PACKED`: in the package of a wheel, else in the
    repository."""
    packed = PACKAGE / PACKED[name]
    return packed if packed.is_dir() else PACKAGE.parent / name


def home() -> Path:
    """The folder of keys and ledger: ANIMATE_HOME, or the platform's folder for user data."""
    chosen = os.environ.get("ANIMATE_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("animate", appauthor=False)
