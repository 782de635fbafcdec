"""The ledger keeps what was published, together or not at all, and shows what was done to it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animate.cli import main
from animate.errors import AnimateError, VerificationError
from animate.provenance import identity, keys, ledger
from animate.watermark import Claim, Payload

CLAIM = Claim("animate 0", "model", "a" * 64, "b" * 64, "c" * 64, "2026-01-01T00:00:00Z", "given")


def record(number: int = 0) -> ledger.Entry:
    claim = dataclasses.replace(CLAIM, consent=f"given {number}")
    signer = keys.signer()
    payload = str(Payload.of(claim, signer.mark_key))
    with ledger.recording(
        claim, payload=payload, sha256=f"{number:064x}", manifest=b"manifest", signer=signer
    ) as entry:
        return entry


def test_nothing_is_made_by_looking(own_home: Path) -> None:
    assert ledger.find("0" * 16) == []
    assert list(ledger.entries()) == []
    assert ledger.verify() == (0, ledger.START)
    assert not own_home.exists()


def test_what_was_recorded_is_found_by_each_of_its_names(own_home: Path) -> None:
    entry = record(7)
    record(8)
    for name in (entry.payload, entry.content_id, entry.sha256, entry.hash, entry.hash.upper()):
        assert ledger.find(name) == [entry]
    assert [e.number for e in ledger.entries()] == [1, 2]
    assert Claim.from_json(entry.claim).consent == "given 7"
    assert ledger.path().stat().st_mode & 0o777 == 0o600


def test_a_block_that_fails_leaves_no_entry(own_home: Path) -> None:
    record()
    with (
        pytest.raises(RuntimeError),
        ledger.recording(
            CLAIM, payload="0" * 16, sha256="0" * 64, manifest=b"", signer=keys.signer()
        ),
    ):
        raise RuntimeError("the disk is full")
    assert ledger.verify()[0] == 1
    assert record(1).number == 2


CHILD = """
import sys; sys.path.insert(0, "tests")
from test_ledger import record
for i in range(int(sys.argv[1]), int(sys.argv[2])): record(i)
"""


def child(first: int, last: int) -> subprocess.Popen[bytes]:
    root = Path(__file__).parent.parent
    return subprocess.Popen([sys.executable, "-c", CHILD, str(first), str(last)], cwd=root)


def test_parallel_runs_make_one_chain(own_home: Path) -> None:
    children = [child(20 * i, 20 * i + 20) for i in range(4)]
    assert [c.wait(60) for c in children] == [0] * 4
    assert ledger.verify()[0] == 80


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_killed_runs_leave_a_whole_chain(own_home: Path) -> None:
    for round_ in range(2):
        running = child(1000 * round_, 1000 * round_ + 100_000)
        until = time.monotonic() + 30
        while time.monotonic() < until and len(list(ledger.entries())) < 5 * (round_ + 1):
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)
        running.wait()
    count, _ = ledger.verify()
    assert count >= 10
    assert record().number == count + 1


def tamper(*statements: str) -> None:
    base = sqlite3.connect(ledger.path())
    base.executescript("DROP TRIGGER no_change; DROP TRIGGER no_removal;" + ";".join(statements))
    base.close()


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE entries SET claim = replace(claim, 'given 1', 'given 9')", "number 2|entry 2"),
        ("UPDATE entries SET manifest = x'00' WHERE number = 2", "entry 2 .* changed"),
        ("DELETE FROM entries WHERE number = 1", "lacks an entry before number 2"),
        ("DELETE FROM entries WHERE number = 2", "lacks an entry before number 3"),
        ("UPDATE entries SET signature = zeroblob(64) WHERE number = 3", "wrong signature"),
    ],
)
def test_tampering_shows(own_home: Path, statement: str, says: str) -> None:
    for i in range(3):
        record(i)
    tamper(statement)
    with pytest.raises(VerificationError, match=says):
        ledger.verify()


def test_a_rewritten_chain_lacks_the_signatures(own_home: Path) -> None:
    """Whoever has no key can make the hashes fit, but not sign them."""
    keys.init("Ada")
    entry = record()
    forged = dataclasses.replace(entry, claim=entry.claim.replace("given", "forgd"))
    tamper(f"UPDATE entries SET claim = '{forged.claim}', hash = '{forged.digest()}'")
    with pytest.raises(VerificationError, match="wrong signature"):
        ledger.verify()


def rebuild(key: str, sign: Callable[[bytes], Any]) -> None:
    """Rewrite every entry as whoever has the file can: the chain fits, all signatures are new."""
    old, before = list(ledger.entries()), ledger.START
    tamper("DELETE FROM entries")
    base = sqlite3.connect(ledger.path(), isolation_level=None)
    for entry in old:
        claim = entry.claim.replace("given", "refused")
        new = dataclasses.replace(entry, claim=claim, key=key, before=before)
        before = new.digest()
        new = dataclasses.replace(new, hash=before, signature=sign(before.encode()))
        marks = ",".join("?" * len(dataclasses.fields(new)))
        base.execute(f"INSERT INTO entries ({ledger.COLUMNS}) VALUES ({marks})",
                     dataclasses.astuple(new))  # fmt: skip
    base.close()


@pytest.mark.parametrize("by", ["nobody", "unsigned", "stranger", "known", "toolkit"])
def test_a_ledger_that_others_can_have_written_is_not_whole(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    ada = keys.init("Ada")
    for i in range(3):
        record(i)
    with monkeypatch.context() as patch:
        patch.setenv("ANIMATE_HOME", str(tmp_path / "mallory"))
        keys.init("Mallory")
        mallory = keys.signer()
        (tmp_path / "half.json").write_text(keys.export())
    if by == "known":
        keys.trust(tmp_path / "half.json")
    ways: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
        "nobody": ("0" * 16, lambda _: b"nobody", "entry 1 .* not known here"),
        "unsigned": (ada.id, lambda _: b"", "entry 1 .* no signature"),
        "stranger": (mallory.public.id, mallory.sign, "entry 1 .* not known here"),
        "known": (mallory.public.id, mallory.sign, "entries 1 to 3 .* not signed by a key of you"),
        "toolkit": (identity.toolkit().public.id, identity.toolkit().sign, "entries 1 to 3"),
    }  # fmt: skip
    key, sign, says = ways[by]
    rebuild(key, sign)
    with pytest.raises(VerificationError, match=says):
        ledger.verify()
    assert main(["ledger", "verify"]) == 1
    assert "intact" not in capsys.readouterr().out


def test_entries_from_before_the_first_key_are_covered_by_it(
    own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(0)
    assert main(["ledger", "verify"]) == 0
    assert "whole" not in capsys.readouterr().out  # anybody has the toolkit's key
    keys.init("Ada")
    with pytest.raises(VerificationError, match="entries 1 to 1"):
        ledger.verify()
    record(1)
    keys.rotate(stolen=True)
    record(2)
    assert main(["ledger", "verify"]) == 0
    assert "3 entries, intact" in capsys.readouterr().out


@pytest.mark.parametrize("column", [f.name for f in dataclasses.fields(ledger.Entry)])
@pytest.mark.parametrize("value", ["x'ff'", "3.5", "'['", "''", "1e300"])
def test_values_of_other_kinds_are_one_clear_line(own_home: Path, column: str, value: str) -> None:
    record(0)
    if column == "number" and value[0] in "x'":
        return  # SQLite refuses these itself
    try:
        tamper(f"UPDATE entries SET {column} = {value}")
    except sqlite3.IntegrityError:
        return
    for ask in (ledger.verify, lambda: ledger.find("0" * 64), lambda: list(ledger.entries())):
        with contextlib.suppress(AnimateError, VerificationError):
            found = ask()
            assert ask is not ledger.verify
            json.dumps([entry.plain() for entry in found])


def test_a_cut_off_end_shows_to_who_noted_the_last_hash(own_home: Path) -> None:
    record(0)
    head = record(1).hash
    record(2)
    assert ledger.verify(head)[0] == 3
    tamper("DELETE FROM entries WHERE number > 1")
    assert ledger.verify()[0] == 1
    with pytest.raises(VerificationError, match="cut off"):
        ledger.verify(head)


def test_entries_are_not_changed_by_accident(own_home: Path) -> None:
    record()
    base = sqlite3.connect(ledger.path())
    for statement in ("UPDATE entries SET claim = ''", "DELETE FROM entries"):
        with pytest.raises(sqlite3.Error, match="never"):
            base.execute(statement)
    base.close()


def test_a_ledger_that_is_none_or_newer_is_one_line(own_home: Path) -> None:
    own_home.mkdir()
    ledger.path().write_bytes(b"no database at all" * 100)
    with pytest.raises(AnimateError, match="can't be used"):
        record()
    ledger.path().unlink()
    record()
    base = sqlite3.connect(ledger.path())
    base.execute("PRAGMA user_version = 99")
    base.close()
    with pytest.raises(AnimateError, match="update"):
        ledger.find("0" * 16)


def test_the_command_finds_exports_and_verifies(
    own_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ledger", "find", "00"]) == 1
    entry = record()
    capsys.readouterr()
    assert main(["ledger", "find", entry.payload]) == 0
    assert json.loads(capsys.readouterr().out)["claim"]["consent"] == "given 0"
    out = tmp_path / "ledger.jsonl"
    assert main(["ledger", "export", "-o", str(out)]) == 0
    assert json.loads(out.read_text())["hash"] == entry.hash
    assert main(["ledger", "export", "-o", str(out)]) == 2
    assert main(["ledger", "verify", "--head", entry.hash]) == 0
    assert main(["ledger", "verify", "--head", "0" * 63 + "1"]) == 1
