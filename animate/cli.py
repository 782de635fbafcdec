"""The `animate` command: arguments in, one call, one line of result; all printing is done here."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from animate import __version__
from animate.errors import AnimateError

MARKED = ("authentic", "marked")  # verdicts that count as marked


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        raise AnimateError(f"{message}: see `{self.prog} --help`")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 not verified, 2 a user's mistake."""
    if argv is None:
        signal.signal(signal.SIGTERM, _stop)
    try:
        known, others = parser().parse_known_args(argv)
        return known.call(known, others)
    except AnimateError as error:
        print(f"animate: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("animate: interrupted, nothing was left behind", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The command line; it knows names and help texts and imports nothing that works."""
    top = Parser(prog="animate", description="Animate portraits, and verify what was animated.")
    top.add_argument("--version", action="version", version=f"animate {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    run = _command(commands, "run", _run, "move a photo's face like a driving video's")
    run.add_argument("photo", type=Path, metavar="PHOTO", help="JPEG, PNG or WebP with one face")
    run.add_argument(
        "clip",
        type=Path,
        metavar="CLIP",
        help="MP4, MOV, WebM, MKV, AVI, GIF or a folder of frames",
    )
    run.add_argument(
        "-o", "--out", type=Path, required=True, help="the result: .mp4, .mov, .webm, .mkv or .gif"
    )
    run.add_argument(
        "--force", action="store_true", help="replace OUT if it exists (default: refuse)"
    )
    run.add_argument(
        "overrides",
        nargs="*",
        default=[],
        metavar="KEY=VALUE",
        help="settings of configs/run.yaml, such as retarget.relative=false",
    )

    verify = _command(commands, "verify", _verify, "say whether files were made by this toolkit")
    verify.epilog = "exit code: 0 all marked, 1 some not marked or tampered with, 2 some unreadable"
    verify.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a video or a picture")
    verify.add_argument("--json", action="store_true", help="print one JSON list")

    train = _command(commands, "train", _train, "train a motion model")
    train.add_argument(
        "overrides",
        nargs="*",
        default=[],
        metavar="KEY=VALUE",
        help="settings of configs/train.yaml",
    )

    checkpoint = commands.add_parser("checkpoint", help="list and import weights")
    actions = checkpoint.add_subparsers(metavar="ACTION", required=True)
    _command(actions, "list", _list, "the checkpoints that runs can name")
    imports = _command(
        actions, "import", _import, "turn the original first-order weights into a safetensors file"
    )
    imports.add_argument("file", type=Path, metavar="FILE", help="such as vox-cpk.pth.tar")
    imports.add_argument(
        "-o", "--out", type=Path, help="the result (default: FILE's name with .safetensors, here)"
    )
    imports.add_argument(
        "--sampled-unaligned",
        action="store_true",
        help="the weights were trained with align_corners=False (default: True, as the published)",
    )
    imports.add_argument("--half", action="store_true", help="store float16 (default: float32)")
    imports.add_argument("--force", action="store_true", help="replace OUT if it exists")
    return top


def _command(
    commands: Any, name: str, call: Callable[..., int], about: str
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
    command.set_defaults(call=call, parser=command)
    return command


def _overrides(arguments: argparse.Namespace, others: list[str]) -> list[str]:
    """The overrides before and, in `others`, after the options."""
    _refuse([text for text in others if text.startswith("-")], arguments)
    return [*arguments.overrides, *others]


def _refuse(others: list[str], arguments: argparse.Namespace) -> None:
    if others:
        arguments.parser.error(f"unknown argument {others[0]}")


def _run(arguments: argparse.Namespace, others: list[str]) -> int:
    from animate.config import run_arguments

    settings = run_arguments(_overrides(arguments, others))
    from animate.portrait import portrait

    published = portrait(
        arguments.photo,
        arguments.clip,
        arguments.out,
        force=arguments.force,
        progress=True,
        **settings,
    )
    report = published.report
    print(
        f"{published.path}: {published.frames} frames, "
        f"verified: {report.verdict} (p = {report.detection.p_value:.1e})"
    )
    return 0


def _verify(arguments: argparse.Namespace, others: list[str]) -> int:
    _refuse(others, arguments)
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


def _train(arguments: argparse.Namespace, others: list[str]) -> int:
    from animate.config import train_settings

    settings = train_settings(_overrides(arguments, others))
    from animate.training.recipe import run

    print(run(settings))
    return 0


def _list(arguments: argparse.Namespace, others: list[str]) -> int:
    _refuse(others, arguments)
    from animate import checkpoints

    for name, entry in checkpoints.index().items():
        print(f"{name}: {entry['model']}, {entry['size']} bytes, licence: {entry['licence']}")
    return 0


def _import(arguments: argparse.Namespace, others: list[str]) -> int:
    _refuse(others, arguments)
    from animate import checkpoints

    out = arguments.out or Path(arguments.file.name.split(".")[0] + ".safetensors")
    info = checkpoints.import_foreign(
        arguments.file,
        out,
        align_corners=not arguments.sampled_unaligned,
        half=arguments.half,
        force=arguments.force,
    )
    print(f"{out}: {info.model}, sha256 {info.sha256}")
    return 0


def _stop(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)  # unwinds, so that a draft is removed
