"""`animate ledger`: find, export and check the records of files published here."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from animate.cli.arguments import command, refuse, some_path
from animate.cli.warnings import warn_of_damaged_keys
from animate.errors import AnimateError
from animate.media.pipes import through_pipes


def register(commands: Any) -> None:
    ledger = commands.add_parser("ledger", help="find, export and check what was published here")
    actions = ledger.add_subparsers(metavar="ACTION", required=True)
    find = command(actions, "find", look_up, "find entries by file, payload, content id or hash")
    find.add_argument("what", metavar="FILE|HEX", help="a file, or hex digits from `verify`")
    export = command(actions, "export", hand_over, "write all entries, one line of JSON each")
    export.add_argument(
        "-o", "--out", type=some_path, help="the file to write (default: print them)"
    )
    verify = command(actions, "verify", check, "check for changed, removed or inserted entries")
    verify.add_argument(
        "--head", metavar="HASH", help="a last hash noted earlier, which must still be an entry"
    )
    verify.epilog = "exit code: 0 intact, 1 tampered with or not proven to be yours"


def look_up(arguments: argparse.Namespace, others: list[str]) -> int:
    refuse(others, arguments)
    from animate.provenance import ledger

    entries = ledger.find(arguments.what) or _entries_of(Path(arguments.what))
    for entry in entries:
        print(json.dumps(_brief(entry), indent=2))
    if not entries:
        print(f"the ledger has no entry for {arguments.what!r}")
    return 0 if entries else 1


@through_pipes("path")
def _entries_of(path: Path) -> list[Any]:
    """The entries with the hash of the file, else the one with the payload in its pixels."""
    from animate.media import clips
    from animate.provenance import ledger
    from animate.verification.verify import verify

    if not path.is_file():
        return []
    entries = ledger.find(clips.sha256(path))
    entry = None if entries else verify(path).entry
    return entries or ([entry] if entry else [])


def _brief(entry: Any) -> dict[str, Any]:
    """An entry for reading: without signature and link, with the size of its manifest, and with the
    words on consent in it."""
    from animate.provenance.credentials import read_alone

    value: dict[str, Any] = entry.plain()
    record = read_alone(entry.manifest).record
    if record is not None and record.consent is not None:
        value["consent"] = record.consent
    value["manifest"] = f"{len(entry.manifest)} bytes, see `animate ledger export`"
    del value["signature"], value["before"]
    return value


def hand_over(arguments: argparse.Namespace, others: list[str]) -> int:
    refuse(others, arguments)
    from animate.provenance import ledger

    lines = (json.dumps(entry.plain()) for entry in ledger.entries())
    if arguments.out is None:
        for line in lines:
            print(line)
        return 0
    try:
        with arguments.out.open("x") as file:
            file.writelines(line + "\n" for line in lines)
    except OSError as error:
        raise AnimateError(f"{arguments.out} can't be written: {error.strerror}") from error
    return 0


def check(arguments: argparse.Namespace, others: list[str]) -> int:
    refuse(others, arguments)
    from animate.provenance import ledger

    warn_of_damaged_keys()
    count, head = ledger.verify(arguments.head)
    if ledger.is_proven():
        print(
            f"{count} entries, intact; note the last hash, to detect removed last entries: {head}"
        )
        return 0
    print(
        f"{count} entries in an unbroken chain, signed with the toolkit's public key, which anyone "
        "can use: make your own with `animate keys init`; until then only the last hash tells "
        f"whether they were rewritten: {head}"
    )
    return 0
