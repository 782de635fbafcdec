"""A list is verified as it comes: each file once, whatever happened between two runs."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from test_hostile_records import report

from animate.cli import main
from animate.errors import AnimateError
from animate.verification import pool
from animate.verification.lists import PathList
from animate.verification.names import SCHEMA
from animate.verification.pool import verify_each
from animate.verification.verdicts import Done

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the stand-in is known by forking")
ODD = ["a.png", "two words.png", " b ", "Grüße.mp4", "\udcff.png", "-c.png"]


def stand_in(path: Path) -> object:
    """In place of `verify`: does what the file's name says."""
    if path.name.startswith("slow"):
        time.sleep(0.1)
    if path.name.startswith("bad"):
        raise AnimateError(f"{path} is no picture")
    verdict = "marked" if "marked" in path.name else "not found"
    return replace(report(None, os.fspath(path)), verdict=verdict)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pool, "verify", stand_in)
    monkeypatch.chdir(tmp_path)


def written(names: list[str], to: str = "list.txt", end: str = "\n") -> str:
    Path(to).write_bytes(b"\xef\xbb\xbf" + os.fsencode(end.join(names)))
    return to


def verdicts(path: str) -> dict[str, str]:
    found = [json.loads(line) for line in Path(path).read_text().splitlines()]
    assert {each["schema"] for each in found} == {SCHEMA}
    assert len({each["path"] for each in found}) == len(found)
    return {each["path"]: each["verdict"] for each in found}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_each_line_is_a_file_and_a_second_run_does_nothing_again(
    end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["verify", "--from", written(ODD, end=end), "--to", "out.jsonl", "--jobs", "2"]
    assert main(command) == 1
    assert verdicts("out.jsonl") == dict.fromkeys(ODD, "not found")
    first = Path("out.jsonl").read_bytes()
    written([*ODD, "bad.png", "marked.png"])
    assert main(command) == 2
    assert Path("out.jsonl").read_bytes().startswith(first)
    assert len(verdicts("out.jsonl")) == len(ODD) + 2
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        "out.jsonl: 2 files verified, 6 done before; in all 6 not found, 1 unreadable, 1 marked"
    )


@pytest.mark.parametrize(
    ("names", "code"), [(["marked"], 0), (["marked", "x"], 1), (["bad", "x"], 2)]
)
def test_exit_codes_are_those_of_verify_also_of_what_was_done_before(
    names: list[str], code: int
) -> None:
    command = ["verify", "--from", written(names), "--to", "out.jsonl"]
    assert [main(command) for _ in range(2)] == [code, code]


def test_a_killed_run_goes_on_and_nothing_is_lost_or_done_twice() -> None:
    names = [f"slow {number}" for number in range(12)]
    command = ["verify", "--from", written(names), "--to", "out.jsonl", "--jobs", "2"]
    out = Path("out.jsonl")
    child = os.fork()
    if not child:
        main(command)
        os._exit(0)
    while not (out.exists() and out.read_bytes().count(b"\n") >= 3):
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    kept = out.read_bytes().splitlines(keepends=True)
    assert 3 <= len(kept) < len(names)
    out.write_bytes(b"".join(kept[:-1]) + kept[-1][:50])  # and cut off while it wrote
    assert main(command) == 1
    assert set(verdicts("out.jsonl")) == set(names)
    assert out.read_bytes().startswith(b"".join(kept[:-1]))


def test_a_verdict_does_not_wait_for_the_next_line(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr(os, "dup", lambda _: reader)
    paths = PathList(Path("-"))
    os.write(writer, b"a\nb")  # half a line
    results = verify_each(paths, jobs=2, limit=30)
    assert next(results)[:2] == (0, Path("a"))
    os.write(writer, b"c\n")
    assert next(results)[:2] == (1, Path("bc"))
    results.close()  # type: ignore[attr-defined]
    paths.close()
    os.close(writer)


def test_a_list_is_not_drawn_before_a_process_is_free() -> None:
    drawn = []

    def endless() -> Iterator[Path]:
        while True:
            drawn.append(1)
            yield Path("x")

    results = verify_each(endless(), jobs=2)
    for _ in range(5):
        next(results)
    assert len(drawn) <= 5 + 2 * 2
    results.close()  # type: ignore[attr-defined]


def test_names_are_known_again() -> None:
    names = [*ODD, *map(str, range(1000))]
    done = Done.of(names)
    assert all(name in done for name in names)
    assert not any(f"{name}x" in done for name in names)
    assert "a" not in Done()
    assert len(done.hashes.tobytes()) == 8 * len(names)


BAD = [
    (["--from", "absent", "--to", "o.jsonl"], "absent can't be read"),
    (["--from", ".", "--to", "o.jsonl"], "folder"),
    (["--from", "nul", "--to", "o.jsonl"], "line 2 of nul holds a NUL"),
    (["--from", "long", "--to", "o.jsonl"], "line 1 of long is longer"),
    (["--from", "empty", "--to", "o.jsonl"], "empty is empty"),
    (["--from", "blank", "--to", "o.jsonl"], "names no files"),
    (["--from", "good", "--to", "o.json"], ".jsonl or .parquet"),
    (["--from", "good", "--to", "no/o.jsonl"], "no"),
    (["--from", "good", "--to", "picture.jsonl"], "ends in something else"),
    (["--from", "good", "--to", "text.jsonl"], "line 1 of text.jsonl is no verdict"),
    (["--from", "good", "--to", "folder.jsonl"], "folder.jsonl"),
    (["--from", "good"], "go together"),
    (["--to", "o.jsonl"], "go together"),
    (["--from", "good", "--to", "o.jsonl", "a.png"], "alone"),
    (["--from", "good", "--to", "o.jsonl", "--json"], "alone"),
    (["--from", "good", "--to", "o.jsonl", "--jobs", "0"], "0 or less"),
    ([], "name files"),
]


@pytest.mark.parametrize(("words", "says"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_what_can_not_be_done_is_one_line_and_leaves_all_as_it_was(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = {"nul": b"\n\0\n", "long": b"x" * 70_000, "empty": b"", "blank": b"\n \r\n"}
    made |= {"good": b"x", "picture.jsonl": b"\x89PNG", "text.jsonl": b"hello\n"}
    for name, data in made.items():
        Path(name).write_bytes(data)
    Path("folder.jsonl").mkdir()
    assert main(["verify", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert {p.name: p.read_bytes() for p in Path().iterdir() if p.is_file()} == made


def test_two_runs_do_not_write_one_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("animate.verification.verdicts.PATIENCE", 0.1)
    with open("out.jsonl", "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert main(["verify", "--from", written(ODD), "--to", "out.jsonl"]) == 2
    assert "another process writes to out.jsonl" in capsys.readouterr().err


def test_without_pyarrow_a_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["verify", "--from", written(ODD), "--to", "out.parquet"]) == 2
    assert "pip install 'animate[parquet]'" in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["list.txt"]


def test_parquet_has_a_row_for_each_file_and_resumes() -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    command = ["verify", "--from", written(ODD), "--to", "out.parquet"]
    assert main(command) == 1
    Path("out.parquet.jsonl").write_text(  # left by a run that was killed after it had merged
        json.dumps({"schema": SCHEMA, "path": "a.png", "verdict": "marked"}) + '\n{"schema": "ani'
    )
    written([*ODD, "bad.png"])
    assert main(command) == 2
    rows = pq.read_table("out.parquet").to_pylist()
    assert [json.loads(row["report"])["path"] for row in rows].count("a.png") == 1
    assert {json.loads(row["report"])["path"] for row in rows} == {*ODD, "bad.png"}
    assert rows[-1]["error"] == "bad.png is no picture"
    assert rows[0] | {"report": ""} == {
        "path": "a.png", "verdict": "not found", "error": None,
        "reasons": ["the pixels carry no mark"], "marked": False, "p_value": 1.0, "payload": None,
        "key": None, "signature": "none", "signer": None, "report": "",
    }  # fmt: skip
    assert sorted(p.name for p in Path().iterdir()) == ["list.txt", "out.parquet"]
    Path("out.parquet").write_bytes(b"PAR1, but no table")
    assert main(command) == 2
