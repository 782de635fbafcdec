"""`animate verify`: report the origin of files, as text or JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
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
        nargs="*",
        metavar="FILE",
        help="a video, a picture or a folder of them",
    )
    verify.add_argument("--json", action="store_true", help="print JSON: see docs/verify-json.md")
    verify.add_argument(
        "--explain", type=some_path, metavar="PNG", help="also draw the evidence for one FILE"
    )
    verify.add_argument(
        "--from",
        dest="listed",
        type=some_path,
        metavar="LIST",
        help="verify the files of a list instead: a text file with a path a line, or - for the "
        "standard input; needs --to",
    )
    verify.add_argument(
        "--to",
        type=some_path,
        metavar="OUT",
        help="where the verdicts of --from go: a .jsonl file that grows, or a .parquet file; files "
        "that have a verdict in it are not done again",
    )
    verify.add_argument("--jobs", type=int, help="files in parallel (default: one a core)")
    verify.add_argument(
        "--limit", type=float, default=300.0, help="most seconds for one file (default: 300)"
    )


def call(arguments: argparse.Namespace, others: list[str]) -> int:
    refuse(others, arguments)
    if (arguments.jobs is not None and arguments.jobs < 1) or not arguments.limit > 0:
        raise AnimateError("--jobs or --limit is 0 or less: use more")
    if arguments.listed is not None or arguments.to is not None:
        return _of_list(arguments)
    if not arguments.files:
        arguments.parser.error("name files, or a list of them with --from LIST --to OUT")
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
    from animate.verification.describe import describe, plain, unreadable
    from animate.verification.names import SCHEMA
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
            outcomes.append(unreadable(path, report))
            if not arguments.json:
                print(f"animate: {safe(report)}", file=sys.stderr)
            continue
        report = replace(report, path=path)
        verdicts.add(report.verdict)
        outcomes.append(plain(report))
        if not arguments.json:
            print(describe(report), flush=True)
    failed = [each for each in outcomes if each["verdict"] == "unreadable"]
    given = {os.fspath(path) for path in arguments.files}
    unnamed = [each for each in failed if each["path"] not in given]
    count = len(failed)
    if arguments.json:
        document = {"schema": SCHEMA, "files": outcomes, "unreadable": count}
        print(json.dumps(document, indent=2))
    elif unnamed:
        print(f"animate: {count} of {len(outcomes)} files could not be read", file=sys.stderr)
    return _exit_code(verdicts)


def _exit_code(verdicts: Iterable[str]) -> int:
    """2 if some are unreadable, else 1 if some are not marked or tampered with, else 0."""
    from animate.verification.names import MARKED

    worst = set(verdicts) - set(MARKED)
    return 2 if "unreadable" in worst else int(bool(worst))


def _of_list(arguments: argparse.Namespace) -> int:
    """Verify the files of a list into a file of verdicts; one line of output."""
    if arguments.listed is None or arguments.to is None:
        arguments.parser.error("--from LIST and --to OUT go together")
    if arguments.files or arguments.json or arguments.explain is not None:
        arguments.parser.error("--from goes with --to, --jobs and --limit alone")
    from animate.cli.terminal import Terminal
    from animate.publish.drafts import writing
    from animate.verification.describe import plain, unreadable
    from animate.verification.lists import PathList, Without
    from animate.verification.pool import verify_each
    from animate.verification.verdicts import collecting

    out = arguments.to
    arguments.stays = "the verdicts so far stay: the same command goes on"
    warn_of_damaged_keys()
    with closing(PathList(arguments.listed)) as paths, writing(out), collecting(out) as verdicts:
        left = Without(paths, verdicts.done)
        results = verify_each(left, jobs=arguments.jobs, limit=arguments.limit)
        with closing(Terminal().watch(results, None, "file")) as watched:
            for _, path, report in watched:
                verdicts.add(unreadable(path, report) if isinstance(report, str) else plain(report))
        if not left.count + left.left_out:
            raise AnimateError(f"{arguments.listed} names no files: give a path a line")
    counts = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.counts.most_common())
    before = f", {left.left_out} done before" if left.left_out else ""
    print(f"{out}: {left.count} files verified{before}; in all {counts}")
    return _exit_code(verdicts.counts)


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
