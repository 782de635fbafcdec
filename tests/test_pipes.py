"""Pipes in, and pipes out: read once, hashed as files are, and no exit code that is a verdict."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT

from animate.cli import main
from animate.errors import AnimateError
from animate.media import clips
from animate.media.pipes import spooling, through_pipes

pytestmark = pytest.mark.skipif(os.name == "nt", reason="pipes with names are of Unix")
FULL = Path("/dev/full")


@contextmanager
def piped(path: Path, data: bytes) -> Iterator[Path]:
    """A named pipe through which the data comes."""
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(data,))
    writer.start()
    yield path
    writer.join()


def test_what_comes_through_a_pipe_is_read_as_often_as_wanted(tmp_path: Path) -> None:
    with piped(tmp_path / "pipe.jpg", b"data") as pipe, spooling() as spool:
        kept = spool.file(pipe)
        assert [kept.read_bytes(), kept.read_bytes()] == [b"data", b"data"]
        assert spool.file(pipe) == kept
        assert kept.suffix == ".jpg"
        assert kept.parent.parent.stat().st_mode & 0o077 == 0
    assert not kept.exists()


def test_errors_name_the_pipe(tmp_path: Path) -> None:
    @through_pipes("path")
    def complain(path: Path) -> None:
        raise AnimateError(f"{path} is bad: use another")

    with piped(tmp_path / "pipe", b"data") as pipe, pytest.raises(AnimateError) as caught:
        complain(pipe)
    assert str(caught.value) == f"{pipe} is bad: use another"


def test_a_file_stays_where_it_is_and_a_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    with spooling() as spool:
        assert spool.files([tmp_path / "file", "a name", None]) == [
            tmp_path / "file", "a name", None
        ]  # fmt: skip
        with pytest.raises(AnimateError, match="is a device: give a file"):
            spool.file(Path(os.devnull))


def test_a_pipe_has_no_hash_of_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AnimateError, match="is a pipe"):
        clips.sha256(tmp_path / "pipe")


def animate(line: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a shell; `line` says where its output goes."""
    whole = f'set -o pipefail; "$@" {line}'
    command = ["bash", "-c", whole, "bash", sys.executable, "-m", "animate", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["checkpoint", "list"]])
def test_a_reader_that_has_gone_is_no_verdict(arguments: list[str]) -> None:
    done = animate("| true", *arguments)
    assert done.returncode in (0, 141)  # 0: it was all written before the reader went
    assert done.stderr == ""


def test_a_reader_that_has_gone_ends_a_command_as_a_signal_would() -> None:
    done = animate("| (exec <&-; sleep 3)", "run", "--help")
    assert (done.returncode, done.stderr) == (141, "")
    assert animate("2>&1 >/dev/null | (exec <&-; sleep 3)", "verify", "none").returncode == 141


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
def test_output_that_can_t_be_written_is_one_line_and_no_verdict(world: Path) -> None:
    for line, *arguments in (
        (">&-", "--help"), (">/dev/full", "--help"), (">/dev/full", "verify", world / "photo.png")
    ):  # fmt: skip
        done = animate(line, *map(str, arguments))
        assert done.returncode == 74
        assert done.stderr.startswith("animate: the output can't be written: ")
        assert done.stderr.count("\n") == 1


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
def test_errors_that_nobody_can_read_change_no_verdict() -> None:
    for line in ("2>/dev/full", "2>&-"):
        assert animate(line, "verify", "nothing.mp4").returncode == 2


@contextmanager
def standard_input(source: int) -> Iterator[None]:
    """A file descriptor in place of the standard input."""
    kept = os.dup(0)
    os.dup2(source, 0)
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def test_a_dash_is_the_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @through_pipes("paths")
    def read(paths: list[Path]) -> bytes:
        return b"".join(Path(path).read_bytes() for path in paths)

    (tmp_path / "file").write_bytes(b"data")
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "file").open("rb") as file, standard_input(file.fileno()):
        assert read(["-", "-"]) == b"datadata"  # type: ignore[list-item]
    (out, into) = os.pipe()
    os.write(into, b"piped")
    os.close(into)
    with standard_input(out):
        assert read([Path("-")]) == b"piped"
    os.close(out)
    Path("-").write_bytes(b"a file of that name")
    assert read([Path("-")]) == b"a file of that name"


def test_a_dash_through_which_nothing_comes_is_one_sentence() -> None:
    for line in ("</dev/null", "<&-"):
        done = animate(line, "run", "-", "nothing.mp4", "-o", "out.mp4")
        assert done.returncode == 2
        assert done.stderr.startswith("animate: - is the standard input, through which nothing")
        assert done.stderr.count("\n") == 1


def test_errors_of_the_standard_input_name_the_dash(world: Path) -> None:
    clip = str(world / "clip.mp4")
    done = animate(f"<{ROOT / 'README.md'}", "run", "-", clip, "-o", str(world / "out.mp4"))
    assert done.returncode == 2
    assert done.stderr.startswith("animate: - is ")
    seen = animate(f"<{clip}", "verify", "-")
    assert seen.returncode == main(["verify", clip])
    assert "-" in seen.stdout
    assert "stdin" not in seen.stdout
