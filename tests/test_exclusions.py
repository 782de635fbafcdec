"""Whatever stands where a signature leaves the manifest out must be the manifest."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from PIL import Image
from test_verification import published

from animate.provenance.exclusions import EMBEDDINGS, is_exact
from animate.provenance.identity import Public
from animate.verification.verify import verify


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def split(data: bytes, turn: int) -> bytes:
    """A JPEG whose manifest lost some bytes, for a turn of the picture in the midst of it."""
    start = data.index(b"\xff\xebJP") if b"\xff\xebJP" in data else data.index(b"\xff\xeb")
    length = int.from_bytes(data[start + 2 : start + 4], "big") + 2
    body = data[start + 4 : start + length]
    exif = Image.Exif()
    exif[0x0112] = turn
    between = segment(0xE1, exif.tobytes())
    head, box = body[:4], body[8:]
    room = len(between) + 20  # the second segment's head
    first = segment(0xEB, head + struct.pack(">I", 1) + box[:2000])
    rest = segment(0xEB, head + struct.pack(">I", 2) + box[:8] + box[2000:-room])
    changed = data[:start] + first + between + rest + data[start + length :]
    assert len(changed) == len(data)
    return changed


def test_a_turn_between_two_parts_of_the_manifest_is_a_change(tmp_path: Path, ada: Public) -> None:
    path = published(tmp_path / "a.jpg").path
    assert verify(path).verdict == "authentic"
    path.write_bytes(split(path.read_bytes(), 3))
    report = verify(path)
    assert report.verdict == "tampered"


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.gif"])
def test_what_is_left_out_of_a_published_file_is_its_manifest(
    name: str, tmp_path: Path, own_home: Path
) -> None:
    assert verify(published(tmp_path / name, seconds=0.4).path).signature.state == "public"


BOX = struct.pack(">I", 24) + b"jumb" + bytes(16)
EMBEDDED = {
    "image/jpeg": segment(0xEB, b"JP\0\1\0\0\0\1" + BOX),
    "image/png": struct.pack(">I", 24) + b"caBX" + BOX + bytes(4),
    "image/gif": b"\x21\xff\x0bC2PA_GIF\1\0\0" + b"\x18" + BOX + b"\0",
    "image/webp": b"C2PA" + struct.pack("<I", 24) + BOX,
}
TWO = segment(0xEB, b"JP\0\1\0\0\0\1" + BOX[:12]) + segment(
    0xEB, b"JP\0\1\0\0\0\2" + BOX[:8] + BOX[12:]
)


@pytest.mark.parametrize("kind", EMBEDDED)
def test_one_box_is_exact_and_more_or_less_is_not(kind: str) -> None:
    is_manifest, data = EMBEDDINGS[kind], EMBEDDED[kind]
    assert is_manifest(data)
    for wrong in (b"", data[:-1], data + b"\0", data + data, data.replace(BOX, BOX[:-1] + b"x" * 2),
                  data.replace(b"jumb", b"else"), segment(0xFE, bytes(20)) + data):  # fmt: skip
        assert not is_manifest(wrong)


def test_segments_of_one_box_follow_each_other() -> None:
    is_manifest = EMBEDDINGS["image/jpeg"]
    assert is_manifest(TWO)
    assert not is_manifest(TWO.replace(b"\0\0\0\2", b"\0\0\0\3"))
    cut = TWO.index(b"\xff\xeb", 2)
    assert not is_manifest(TWO[:cut] + segment(0xFE, b"") + TWO[cut:])


ODD = [None, 7, "x", [7], [{}], [{"start": "x", "length": 1}], [{"start": [], "length": 1}],
       [{"start": 0, "length": 1e300}], [{"start": -1, "length": 36}]]  # fmt: skip


@pytest.mark.parametrize("exclusions", ODD)
def test_odd_exclusions_are_not_exact_and_raise_nothing(exclusions: object) -> None:
    store = {"c2pa.hash.data": {"exclusions": exclusions}}
    detail = {"active_manifest": "a", "manifests": {"a": {"assertion_store": store}}}
    assert is_exact(io.BytesIO(bytes(100)), "image/jpeg", detail) is (exclusions is None)
