"""`animate verify`: what files say of their origin, for people and for machines."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from animate.cli.arguments import command, refuse
from animate.cli.warnings import warn_of_damaged_keys
from animate.errors import AnimateError
from animate.media.files import is_media
from animate.media.pipes import Spool, spooling
from animate.system.text import safe

MARKED = ("authentic", "marked")  # verdicts that count as marked


def register(commands: Any) -> None:
    verify = command(commands, "verify", call, "say whether files were made by this toolkit")
    verify.epilog = (
        "exit code: 0 all marked, 1 some not marked or tampered with, 2 some unreadable; "
        "141 whoever reads the output has gone, 74 it can't be written"
    )
    verify.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="a video, a picture or a folder of them"
    )
    verify.add_argument("--json", action="store_true", help="print JSON: see docs/verify-json.md")
    verify.add_argument(
        "--explain", type=Path, metavar="PNG", help="also draw the evidence for one FILE"
    )
    verify.add_argument("--jobs", type=int, help="files at once (default: one a core)")
    verify.add_argument(
        "--limit", type=float, default=300.0, help="seconds for one file (default: 300)"
    )


def call(arguments: argparse.Namespace, others: list[str]) -> int:
    refuse(others, arguments)
    if (arguments.jobs is not None and arguments.jobs < 1) or not arguments.limit > 0:
        raise AnimateError("--jobs and --limit have to be more than 0")
    warn_of_damaged_keys()
    with spooling() as spool:  # here, for a worker can't see the pipes of this process
        paths = []
        for path in _files(arguments.files):
            try:
                paths.append(spool.file(path))
            except AnimateError:
                paths.append(path)  # `verify` says what is wrong, and goes on with the others
        return _verified(arguments, paths, spool)


def _verified(arguments: argparse.Namespace, paths: list[Path], spool: Spool) -> int:
    if arguments.explain is not None:
        if len(paths) != 1 or not paths[0].is_file():
            raise AnimateError("--explain draws the evidence for one file: give one")
        from animate.publish.evidence import explain

        explain(paths[0], arguments.explain)
    from animate.verification.describe import describe, plain
    from animate.verification.pool import verify_all

    found: list[dict[str, Any]] = []
    verdicts = set()
    for path, report in verify_all(paths, jobs=arguments.jobs, limit=arguments.limit):
        path = spool.names.get(path, path)
        if isinstance(report, str):
            report = spool.named(report)
            verdicts.add("unreadable")
            found.append({"path": os.fspath(path), "verdict": "unreadable", "error": report})
            if not arguments.json:
                print(f"animate: {safe(report)}", file=sys.stderr)
            continue
        report = replace(report, path=path)
        verdicts.add(report.verdict)
        found.append(plain(report))
        if not arguments.json:
            print(describe(report), flush=True)
    lost = sum(each["verdict"] == "unreadable" for each in found)
    given = {os.fspath(path) for path in arguments.files}
    unnamed = [e for e in found if e["verdict"] == "unreadable" and e["path"] not in given]
    if arguments.json:
        whole = {"schema": "animate.verify/1", "files": found, "unreadable": lost}
        print(json.dumps(whole, indent=2))
    elif lost and unnamed:
        print(f"animate: {lost} of {len(found)} files could not be read", file=sys.stderr)
    if lost:
        return 2
    return 0 if verdicts <= set(MARKED) else 1


def _files(named: list[Path]) -> Iterator[Path]:
    """The files named, and those in the folders named, in order; links to folders are not entered.

    Of a folder, all that is named as a picture or video or starts as one does, whether it can be
    read here or not. A pipe or a device in it is left out.
    """
    for path in named:
        if not os.path.isdir(path):
            yield path
            continue
        some = False
        closed: list[OSError] = []
        for folder, folders, names in os.walk(path, onerror=closed.append):
            folders.sort()
            for name in sorted(names):
                file = Path(folder) / name
                if is_media(file):
                    some = True
                    yield file
        yield from (Path(error.filename) for error in closed)  # `verify` says what is wrong
        if not some and not closed:
            raise AnimateError(f"the folder {path} holds no pictures or videos: give files")
