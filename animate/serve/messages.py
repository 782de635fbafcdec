"""Messages of a JSON object and bytes, as they pass to worker processes and WebSockets."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

LENGTH = struct.Struct("<I")  # of the JSON text, before it


def packed(head: Mapping[str, Any], body: bytes = b"") -> bytes:
    """The length of the JSON text (4 bytes, little-endian), the text, then the body."""
    text = json.dumps(head).encode()
    return LENGTH.pack(len(text)) + text + body


def unpacked(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON object and the body. Raises ValueError for anything else."""
    if len(data) < LENGTH.size:
        raise ValueError("a message is too short")
    end = LENGTH.size + LENGTH.unpack_from(data)[0]
    if end > len(data):
        raise ValueError("a message is cut off")
    head = json.loads(data[LENGTH.size : end])
    if not isinstance(head, dict):
        raise ValueError("a message without an object")
    return head, data[end:]
