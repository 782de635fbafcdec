"""`animate verify`: report the origin of files, as text or JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from animate.cli.arguments import command, refuse, some_path
from animate.cli.warnings import warn_of_damaged_keys
from animate.errors import AnimateError
from animate.media.files import is_media
from animate.media.pipes import Spool, spooling
from animate.system.text import safe


def register(commands: Any) -> None:
    verify = command(commands, "verify", call, "check whether files were made by this toolkit")
    verify.epilog = (
        "exit code: 0 all marked, 1 some not marked or tampered with, 2 some unreadable; "
        "141 the reader of the output has gone, 74 the output can't be written"
    )
    verify.add_argument(
        "files",
        type=some_path,
        nargs="+",
        metavar="FILE",
        help="a video, a picture or a folder of them",
    )
    verify.add_argument("--json", action="store_true", help="print JSON: see docs/verify-json.md")
    verify.add_argument(
        "--explain", type=some_path, metavar="PNG", help="also draw the evidence for one FILE"
    )
    verify.add_argument("--jobs", type=int, help="files in parallel (default: one a core)")
    verify.add_argument(
        "--limit", type=float, default=300.0, help="most seconds for one file (default: 300)"
    )


def call(arguments: argparse.Namespace, others: list[str]) -> int:
    refuse(others, arguments)
    if (arguments.jobs is not None and arguments.jobs < 1) or not arguments.limit > 0:
        raise AnimateError("--jobs or --limit is 0 or less: use more")
    warn_of_damaged_keys()
    with spooling() as spool:  # here, because a worker can't read the pipes of this process
        paths = []
        for path in _files(arguments.files):
            try:
                paths.append(spool.file(path))
            except AnimateError:
                paths.append(path)  # `verify` reports the error and goes on with the others
        return _verified(arguments, paths, spool)


def _verified(arguments: argparse.Namespace, paths: list[Path], spool: Spool) -> int:
    if arguments.explain is not None:
        if len(paths) != 1 or not paths[0].is_file():
            raise AnimateError("--explain draws the evidence for one file: give exactly one file")
        from animate.publish.evidence import explain

        explain(paths[0], arguments.explain)
    from animate.cli.terminal import Terminal
    from animate.verification.describe import describe, plain
    from animate.verification.names import MARKED, SCHEMA
    from animate.verification.pool import verify_all

    outcomes: list[dict[str, Any]] = []
    verdicts = set()
    results = verify_all(paths, jobs=arguments.jobs, limit=arguments.limit)
    if arguments.json:  # nothing else is shown until the end
        results = Terminal().watch(results, len(paths), "file")
    for path, report in results:
        path = spool.names.get(path, path)
        if isinstance(report, str):
            report = spool.named(report)
            verdicts.add("unreadable")
            outcomes.append({"path": os.fspath(path), "verdict": "unreadable", "error": report})
            if not arguments.json:
                print(f"animate: {safe(report)}", file=sys.stderr)
            continue
        report = replace(report, path=path)
        verdicts.add(report.verdict)
        outcomes.append(plain(report))
        if not arguments.json:
            print(describe(report), flush=True)
    unreadable = [each for each in outcomes if each["verdict"] == "unreadable"]
    given = {os.fspath(path) for path in arguments.files}
    unnamed = [each for each in unreadable if each["path"] not in given]
    count = len(unreadable)
    if arguments.json:
        document = {"schema": SCHEMA, "files": outcomes, "unreadable": count}
        print(json.dumps(document, indent=2))
    elif unnamed:
        print(f"animate: {count} of {len(outcomes)} files could not be read", file=sys.stderr)
    if unreadable:
        return 2
    return 0 if verdicts <= set(MARKED) else 1


def _files(named: list[Path]) -> Iterator[Path]:
    """The named files, and the media files of the named folders, in order.

    Media files are those that start as a picture or video, or if unknown are named as one, damaged
    ones too. Pipes and devices in a folder are left out; links to folders are not entered.
    """
    for path in named:
        if not os.path.isdir(path):
            yield path
            continue
        has_media = False
        errors: list[OSError] = []  # of folders that can't be read
        for folder, folders, names in os.walk(path, onerror=errors.append):
            folders.sort()
            for name in sorted(names):
                file = Path(folder) / name
                if is_media(file):
                    has_media = True
                    yield file
        yield from (Path(error.filename) for error in errors)  # `verify` reports the error
        if not has_media and not errors:
            raise AnimateError(f"the folder {path} holds no pictures or videos: give files")
