"""What was done to a file after it was published is told as far as it is known, and no further."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import draw_face, draw_frames
from PIL import Image
from test_verification import convert, published

from animate.provenance import keys
from animate.provenance.fingerprint import (
    Fingerprint,
    file_sampler,
    former_thumbnail,
    matches,
    thumbnail,
)
from animate.provenance.manifest import beside
from animate.verification.describe import describe, plain
from animate.verification.verify import frames_of, verify

UNBOUND = "assertion.dataHash.mismatch"


@pytest.fixture(autouse=True)
def ada(own_home: Path) -> keys.Public:
    """The only key here."""
    return keys.init("Ada Example")


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
@pytest.mark.parametrize("how", ["longer", "shorter"])
def test_a_whole_manifest_in_a_damaged_file_is_not_called_damaged(
    name: str, how: str, tmp_path: Path
) -> None:
    path = published(tmp_path / name, seconds=0.6).path
    data = path.read_bytes()
    path.write_bytes(data + b"eleven more" if how == "longer" else data[:-1])
    report = verify(path)
    assert (report.verdict, report.reasons) == (
        "tampered", ["the file was changed after it was signed"]
    )  # fmt: skip
    assert report.signature.state == "changed"
    assert report.source == "manifest"
    assert "its manifest is whole, but the file around it is damaged" in describe(report)


def test_a_damaged_manifest_in_a_damaged_file_is_called_damaged(tmp_path: Path) -> None:
    path = published(tmp_path / "a.mp4", seconds=0.6).path
    data = path.read_bytes()
    at = data.index(b"c2pa.claim.v2")
    path.write_bytes(data[: at + 60] + bytes(80) + data[at + 140 :] + b"more")
    report = verify(path)
    assert (report.verdict, report.signature.state) == ("tampered", "invalid")


def test_a_second_video_track_is_named(tmp_path: Path) -> None:
    """Which of them is shown is the player's choice."""
    path = published(tmp_path / "a.mp4", seconds=0.4).path
    both = ("-f", "lavfi", "-i", "color=red:s=64x64:d=0.4", "-map", "0:v", "-map", "1:v")
    report = verify(convert(path, tmp_path / "b.mov", *both))
    assert "1 other video track was not checked" in report.reasons
    assert not any("not checked" in reason for reason in verify(path).reasons)


@pytest.mark.parametrize("name", ["a.mkv", "a.webm"])
def test_a_manifest_beside_a_file_has_no_problem_where_its_hash_holds(
    name: str, tmp_path: Path
) -> None:
    path = published(tmp_path / name, seconds=0.6).path
    told = plain(verify(path))
    assert (told["verdict"], told["signature"]["state"]) == ("authentic", "trusted")
    assert told["signature"]["problems"] == []
    copy = convert(path, tmp_path / f"b{path.suffix}", "-map_metadata", "-1")
    beside(copy).write_bytes(b"no manifest")
    report = verify(copy)
    assert report.signature.state == "none"
    assert "lies beside" not in describe(report)
    beside(path).rename(beside(copy))
    told = plain(verify(copy))
    assert told["signature"]["state"] == "changed"
    assert UNBOUND in told["signature"]["problems"]
    assert (told["verdict"], told["pictures_agree"]) == ("traced", True)


def test_one_picture_of_a_clip_is_too_little_to_compare(tmp_path: Path) -> None:
    path = published(tmp_path / "a.mp4").path
    for number, frame in enumerate(frames_of(path)[0]):
        if number in (0, 12, 17):  # of a thumbnail, or between two
            Image.fromarray(frame).save(tmp_path / "b.png")
            report = verify(tmp_path / "b.png")
            assert report.verdict == "marked"
            assert "too little to compare" in report.reasons[0]
            assert plain(report)["pictures_agree"] is None


def test_a_still_that_was_published_as_a_still_is_compared(tmp_path: Path) -> None:
    path = published(tmp_path / "a.png").path
    Image.open(path).convert("RGB").save(tmp_path / "b.png")
    report = verify(tmp_path / "b.png")
    assert (report.verdict, report.alike) == ("traced", True)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("length", [1, 2, 12, 13, 14, 60])
def test_pictures_are_unlike_only_where_they_can_be_compared(count: int, length: int) -> None:
    """Drawn at random, so nothing fits; half a second apart, of 25 frames a second."""
    draw = np.random.default_rng(count * length)
    drawn = [draw.integers(0, 256, (n, 24, 24), np.uint8) for n in (count, length)]
    found = matches(Fingerprint(0.5, drawn[0]), Fingerprint(1 / 25, drawn[1]))
    assert found is (None if count > 1 and length < 13 else False)


@pytest.mark.parametrize("size", [(500, 500), (540, 360)])
def test_a_thumbnail_is_that_of_the_scaled_and_of_the_turned_frame(size: tuple[int, int]) -> None:
    whole = Image.fromarray(draw_face(256)).resize((1080, 720), Image.Resampling.BICUBIC)
    large, frame = np.asarray(whole), np.asarray(whole.resize(size, Image.Resampling.BOX))
    small = thumbnail(frame).astype(int)
    assert abs(small - thumbnail(large)).max() <= 16
    assert abs(small - thumbnail(np.ascontiguousarray(frame[::-1, ::-1]))[::-1, ::-1]).max() <= 8


def test_thumbnails_of_former_manifests_are_compared_as_they_were_made() -> None:
    frames = [np.asarray(Image.fromarray(f).resize((500, 500))) for f in draw_frames(30)]
    sampler = file_sampler(25)
    list(sampler(iter(frames)))
    seen = sampler.result()
    kept = np.stack([former_thumbnail(frame) for frame in frames[::12]])
    plain = Fingerprint(12 / 25, kept).plain()
    del plain["average"]  # as in manifests of version 0.2.0
    claimed = Fingerprint.of(plain)
    assert not claimed.exact
    assert matches(claimed, seen, near=0.01)
    assert not matches(replace(claimed, exact=True), seen, near=0.01)
