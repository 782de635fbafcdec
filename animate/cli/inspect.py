"""`animate inspect`: draw what the motion model does, as one picture."""

from __future__ import annotations

import argparse
from typing import Any

from animate.cli.arguments import add_force, add_overrides, command, overrides, some_path


def register(commands: Any) -> None:
    look = command(
        commands, "inspect", call, "draw keypoints, deformation and painted regions, as a picture"
    )
    look.add_argument("photo", type=some_path, metavar="PHOTO", help="JPEG, PNG or WebP")
    look.add_argument("clip", type=some_path, metavar="CLIP", help="as for `animate run`")
    look.add_argument(
        "-o", "--out", type=some_path, required=True, help="the picture: .png or .jpg"
    )
    look.add_argument(
        "--frames",
        type=int,
        default=4,
        help="rows: frames spread over the clip, 1 to 32 (default: 4)",
    )
    add_force(look)
    add_overrides(look, "settings of `animate run`, except those on the result's look and playback")


def call(arguments: argparse.Namespace, others: list[str]) -> int:
    from animate.config import run_options

    options = run_options(overrides(arguments, others))
    from animate.cli.terminal import Terminal
    from animate.inference.inspect import inspect

    done = inspect(
        arguments.photo,
        arguments.clip,
        arguments.out,
        options,
        frames=arguments.frames,
        force=arguments.force,
        observer=Terminal(),
    )
    print(f"{done.path}: verified: {done.report.verdict}")
    return 0
