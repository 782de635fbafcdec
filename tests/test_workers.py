"""Many files are verified side by side, and neither bad ones nor odd names stop the others."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import draw_face
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from animate.cli import main
from animate.errors import AnimateError
from animate.verification import pool
from animate.verification.names import SCHEMA
from animate.verification.pool import verify_all
from animate.watermark import Claim, Embedder, Mark, Payload

CLAIM = Claim("animate 0", "none", "", "", "", "2026-01-01T00:00:00Z", "none")
ODD = ["two words.png", "Grüße 日本.png", "new\nline.png", "-dash.png", "\x1b[31m\x07red.png",
       "\u202egnp.png"]  # fmt: skip
forked = pytest.mark.skipif(sys.platform != "linux", reason="the stand-in is known by forking")


def stand_in(path: Path) -> str:
    """In place of `verify`: does to its process what the file's name says."""
    time.sleep(0.05 * (path.name == "slow"))
    if path.name == "hangs":
        time.sleep(60)
    if path.name == "kills":
        os.kill(os.getpid(), 9)
    if path.name == "exits":
        os._exit(0)
    if path.name == "eats":
        np.ones(pool.MEMORY // 8)
    if path.name == "bad":
        raise AnimateError("bad is\nno picture")
    if path.name == "bug":
        raise ZeroDivisionError("oh")
    return f"report of {path.name}"


@forked
def test_what_befalls_one_file_does_not_touch_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "verify", stand_in)
    names = ["slow", "a", "hangs", "b", "kills", "c", "exits", "bad", "bug", "eats", "kills", "d"]
    began = time.monotonic()
    found = list(verify_all(map(Path, names), jobs=2, limit=1.5))
    assert time.monotonic() - began < 20
    assert [path.name for path, _ in found] == names
    said = dict((path.name, report) for path, report in found)
    assert all(said[name] == f"report of {name}" for name in ("slow", "a", "b", "c", "d"))
    assert "longer than 1.5 s" in str(said["hangs"])
    assert "ended the process" in str(said["kills"])
    assert "ended the process" in str(said["exits"])
    assert said["bad"] == "bad is no picture"
    assert "ZeroDivisionError: oh" in str(said["bug"])
    assert "more memory" in str(said["eats"])


@forked
def test_reports_come_as_soon_as_their_turn_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "verify", stand_in)
    began, coming = time.monotonic(), verify_all(map(Path, ["a", "hangs"]), jobs=2, limit=30)
    assert next(coming) == (Path("a"), "report of a")
    coming.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 10  # and the one that hangs was ended


def test_no_files_are_no_reports() -> None:
    assert list(verify_all([])) == []


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A PNG with the toolkit's mark, unsigned."""
    face = Image.fromarray(draw_face(64)).resize((256, 256), Image.Resampling.BICUBIC)
    picture = Embedder(Mark(Payload.of(CLAIM)), 256, 256)(np.asarray(face))
    path = tmp_path_factory.mktemp("marked") / "a.png"
    Image.fromarray(picture).save(path)
    return path.read_bytes()


@pytest.fixture
def folder(tmp_path: Path, marked: bytes) -> Path:
    """Files with odd names, and what is no file, or leads elsewhere."""
    folder = tmp_path / "in"
    (folder / "sub" / "deeper").mkdir(parents=True)
    for place in [*ODD, "sub/deeper/b.png"]:
        (folder / place).write_bytes(marked)
    (folder / "notes.txt").write_text("not looked at")
    os.mkfifo(folder / "pipe.png")
    for name, to in [("file.png", "sub/deeper/b.png"), ("folder", "sub"), ("loop", "."),
                     ("dangling.png", "nowhere.png"), ("self.png", "self.png"),
                     ("null.png", "/dev/null"), ("zero.mp4", "/dev/zero")]:  # fmt: skip
        (folder / name).symlink_to(to)
    return folder


posix = pytest.mark.skipif(os.name == "nt", reason="POSIX files")


@posix
def test_a_folder_is_read_with_all_odd_names(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Links to files are followed, links to folders and what is no file are left out."""
    files = [*sorted([*ODD, "file.png"]), "sub/deeper/b.png"]
    assert main(["verify", "--json", "--jobs", "2", str(folder)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == SCHEMA
    assert [item["path"] for item in told["files"]] == [str(folder / name) for name in files]
    assert {item["verdict"] for item in told["files"]} == {"marked"}


@posix
def test_nothing_raw_reaches_the_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "\x1b]0;title\x07.png").write_text("no picture")
    with open(os.fsencode(folder) + b"/\xff.png", "w") as file:
        file.write("no picture")
    (folder / "\x1b[2Jempty").mkdir()
    assert main(["verify", "--jobs", "2", str(folder)]) == 2
    told = capsys.readouterr()
    assert main(["verify", str(folder / "\x1b[2Jempty")]) == 2
    assert main(["verify", "--\x1b[2J", "a.png"]) == 2
    more = capsys.readouterr().err
    for line in (told.out + told.err + more).splitlines():
        assert line.isprintable(), line
    assert len(told.out.splitlines()) == len(ODD) + 2
    assert len(told.err.splitlines()) == 3  # and how many there are
    assert len(more.splitlines()) == 2


@posix
def test_what_is_no_file_is_one_line_at_once(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    began = time.monotonic()
    odd = ["pipe.png", "/dev/zero", "null.png", "self.png", "dangling.png", "x" * 300]
    assert main(["verify", "--", *odd, "-dash.png"]) == 2
    assert time.monotonic() - began < 20
    told = capsys.readouterr()
    assert all(name in line for name, line in zip(odd, told.err.splitlines(), strict=True))
    assert told.out.startswith("-dash.png: marked: ")


@posix
@pytest.mark.skipif(os.name != "nt" and os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_can_not_be_read_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "sub").chmod(0)
    assert main(["verify", str(folder)]) == 2
    (folder / "sub").chmod(0o700)
    assert "sub is a folder that can't be read" in capsys.readouterr().err


def test_exit_codes_and_json_are_those_of_the_page(
    tmp_path: Path, marked: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    good, other, bad = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png"
    good.write_bytes(marked)
    tags = PngInfo()
    tags.add_text("Comment", dataclasses.replace(CLAIM, consent="never asked").json())
    Image.open(good).save(other, pnginfo=tags)
    bad.write_text("no picture")
    assert main(["verify", "--json", str(good)]) == 0
    assert main(["verify", "--json", str(other)]) == 1
    capsys.readouterr()
    assert main(["verify", "--json", str(good), str(bad), str(other)]) == 2
    told = capsys.readouterr()
    assert not told.err
    found = json.loads(told.out)["files"]
    assert [item["verdict"] for item in found] == ["marked", "unreadable", "tampered"]
    assert set(found[1]) == {"path", "verdict", "error"}
    page = (Path(__file__).parent.parent / "docs" / "verify-json.md").read_text()
    for name, value in found[0].items():
        group = name in ("mark", "signature", "labels")
        terms = [f"{name}.{key}" for key in value] if group else [name]
        assert all(f"`{term}`" in page for term in terms), name
