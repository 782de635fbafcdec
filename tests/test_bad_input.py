"""Bad input: one line on stderr, exit code 2, and nothing left behind."""

from __future__ import annotations

import json
import pickle
import struct
import zlib
from pathlib import Path

import pytest
from conftest import draw_face, draw_frames, tiny, write_clip
from PIL import Image

from animate.cli import main


@pytest.fixture
def bad(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that are each wrong in one way."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "empty.mp4").touch()
    (folder / "empty.png").touch()
    (folder / "text.mp4").write_text("this is not a video\n" * 50)
    (folder / "text.png").write_text("this is not a picture\n" * 50)
    (folder / "empty_folder").mkdir()
    Image.fromarray(draw_face(8)).save(folder / "small.png")
    (folder / "huge.png").write_bytes(png_header(20_000, 20_000))
    picture = (world / "photo.png").read_bytes()
    (folder / "cut.png").write_bytes(picture[: len(picture) // 2])
    write_clip(folder / "one.mp4", draw_frames(1))
    with (folder / "pickle.pth").open("wb") as file:
        pickle.dump({"generator": [1.0]}, file)
    weights = (world / "tiny.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(weights[: len(weights) // 2])
    (folder / "text.safetensors").write_text("not weights")
    return folder


def png_header(width: int, height: int) -> bytes:
    """A PNG that only says it is this large: whoever reads on runs out of memory."""
    row = zlib.compress(bytes(width + 1))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", row),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def fails(arguments: list[str], out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run, hold the promises, and return the line."""
    before = sorted(out.parent.iterdir())
    assert main(arguments) == 2
    shown = capsys.readouterr()
    lines = [x for x in shown.err.splitlines(True) if not x.startswith("animate: note: ")]
    assert len(lines) == 1
    assert lines[0].startswith("animate: ")
    assert not shown.out
    assert sorted(out.parent.iterdir()) == before
    return shown.err


def run(world: Path, out: Path, **changed: object) -> list[str]:
    given = {"photo": world / "photo.png", "clip": world / "clip.mp4", "more": [], **changed}
    weights = tiny(world)
    if "weights" in changed:
        weights = [f"motion.checkpoint={changed['weights']}"]
    more = given["more"]
    assert isinstance(more, list)
    return ["run", str(given["photo"]), str(given["clip"]), "-o", str(out), *weights, *more]


@pytest.mark.parametrize(
    "name",
    ["missing.png", "empty.png", "text.png", "cut.png", "small.png", "huge.png", "empty_folder"],
)
def test_a_bad_photo(
    name: str, world: Path, bad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    assert name in fails(run(world, out, photo=bad / name), out, capsys)


@pytest.mark.parametrize(
    "name", ["missing.mp4", "empty.mp4", "text.mp4", "one.mp4", "empty_folder", "small.png"]
)
def test_a_bad_clip(
    name: str, world: Path, bad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    assert name in fails(run(world, out, clip=bad / name), out, capsys)


@pytest.mark.parametrize(
    "name", ["missing.safetensors", "pickle.pth", "cut.safetensors", "text.safetensors", "text.png"]
)
def test_a_bad_checkpoint(
    name: str, world: Path, bad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    assert name in fails(run(world, out, weights=bad / name), out, capsys)


def test_a_checkpoint_that_is_not_the_one_of_the_index(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny.safetensors").write_bytes((world / "tiny.safetensors").read_bytes())
    entry = {"file": "tiny.safetensors", "sha256": "0" * 64, "model": "first_order_gated"}
    entry |= {"size": 1, "licence": "MIT", "origin": "drawn", "card": "none.md"}
    (tmp_path / "index.yaml").write_text(json.dumps({"tiny": entry}))
    monkeypatch.setattr("animate.checkpoints.folder", lambda name: tmp_path)
    out = tmp_path / "out.mp4"
    assert "sha256" in fails(run(world, out, weights="tiny"), out, capsys)


def test_a_bad_checkpoint_is_not_imported(
    bad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("missing.pth.tar", "pickle.pth", "text.png"):
        out = tmp_path / "out.safetensors"
        assert name in fails(["checkpoint", "import", str(bad / name), "-o", str(out)], out, capsys)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("faces.box=[500,500,60,60]", "photo.png"),
        ("faces.box=[1,2]", "faces.box is [1, 2]"),
        ("faces.clip_box=[500,500,60,60]", "faces.clip_box=[500, 500, 60, 60] is not inside"),
        ("retarget.reference=99", "clip.mp4"),
        ("retarget.reference=-1", "reference"),
        ("threads=0", "threads"),
        ("device=abacus", "device"),
        ("precision=int3", "precision"),
        ("motion=first_order_gated", "use motion=first_order\n"),
        ("clip.truncated=maybe", "truncated"),
        ("unknown=1", "unknown"),
    ],
)
def test_a_bad_setting(
    override: str, says: str, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    assert says in fails(run(world, out, more=[override]), out, capsys)


def test_a_clip_that_ends_in_the_middle(
    world: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path_factory.mktemp("cut"), tmp_path_factory.mktemp("out") / "out.mp4"
    whole = write_clip(folder / "whole.mkv", draw_frames(24)).read_bytes()
    (folder / "cut.mkv").write_bytes(whole[: len(whole) * 3 // 4])
    assert "frame" in fails(run(world, out, clip=folder / "cut.mkv"), out, capsys)
    accepted = run(world, out, clip=folder / "cut.mkv", more=["clip.truncated=accept"])
    assert main(accepted) == 0
    assert "verified" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["out.txt", "out", "no/such/folder/out.mp4"])
def test_a_bad_place_for_the_result(
    name: str, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(run(world, tmp_path / name)) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())
