"""`animate verify`: what files say of their origin, for people and for machines."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from animate.cli.arguments import command, refuse
from animate.errors import AnimateError

MARKED = ("authentic", "marked")  # verdicts that count as marked


def register(commands: Any) -> None:
    verify = command(commands, "verify", call, "say whether files were made by this toolkit")
    verify.epilog = "exit code: 0 all marked, 1 some not marked or tampered with, 2 some unreadable"
    verify.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a video or a picture")
    verify.add_argument("--json", action="store_true", help="print one JSON list")


def call(arguments: argparse.Namespace, others: list[str]) -> int:
    refuse(others, arguments)
    from animate.verification import verify

    reports, unreadable = [], False
    for path in arguments.files:
        try:
            reports.append(verify(path))
        except AnimateError as error:
            print(f"animate: {' '.join(str(error).split())}", file=sys.stderr)
            unreadable = True
            continue
        if not arguments.json:
            print(_line(reports[-1]))
    if arguments.json:
        import json

        print(json.dumps([_plain(report) for report in reports], indent=2))
    if unreadable:
        return 2
    return 0 if all(report.verdict in MARKED for report in reports) else 1


def _line(report: Any) -> str:
    detection = report.detection
    parts = [f"{report.path}: {report.verdict}, p = {detection.p_value:.1e}"]
    if detection.payload is not None:
        parts.append(f"payload {detection.payload}")
    if report.claim is not None:
        parts.append(f"{report.claim.generator}, {report.claim.model}, {report.claim.created}")
        parts.append(f"consent: {report.claim.consent}")
    return ", ".join(parts)


def _plain(report: Any) -> dict[str, Any]:
    from dataclasses import asdict

    detection = asdict(report.detection)
    payload = report.detection.payload
    detection["payload"] = None if payload is None else str(payload)
    claim = None if report.claim is None else asdict(report.claim)
    return {
        "path": str(report.path),
        "verdict": report.verdict,
        "detection": detection,
        "claim": claim,
        "agrees": report.agrees,
    }
