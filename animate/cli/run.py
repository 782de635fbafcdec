"""`animate run`: one photo, one clip, one published file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from animate.cli.arguments import command, overrides


def register(commands: Any) -> None:
    run = command(commands, "run", call, "move a photo's face like a driving video's")
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


def call(arguments: argparse.Namespace, others: list[str]) -> int:
    from animate.config import run_arguments

    settings = run_arguments(overrides(arguments, others))
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
