"""Read and write the small files of keys, each whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from animate.errors import AnimateError
from animate.system.atomic import replacing

LONGEST = 1 << 20  # bytes of a key file or public half


def read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise AnimateError(f"{path} is no JSON: export it again") from error
    if not isinstance(value, dict):
        raise AnimateError(f"{path} is no JSON object: export it again")
    return value


def read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST + 1)
    except OSError as error:
        raise AnimateError(f"{path} can't be read ({error.strerror}): check the path") from error
    if len(data) > LONGEST:
        raise AnimateError(f"{path} is larger than a key: check the path")
    return data


def write(path: Path, data: bytes) -> None:
    """Write a file atomically, readable by its owner only."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(path, mode=0o600) as draft:
            draft.write_bytes(data)
    except OSError as error:
        raise AnimateError(
            f"{path} can't be written ({error.strerror}): set ANIMATE_HOME to a folder of yours"
        ) from error
