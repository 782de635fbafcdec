"""`animate template`: save the poses of a clip, for any number of photos."""

from __future__ import annotations

import argparse
from typing import Any

from animate.cli.arguments import add_force, add_overrides, command, overrides, some_path


def register(commands: Any) -> None:
    template = commands.add_parser("template", help="save the poses of a clip for many photos")
    actions = template.add_subparsers(metavar="ACTION", required=True)
    save = command(actions, "save", call, "track the face in a clip and save its poses")
    save.add_argument("clip", type=some_path, metavar="CLIP", help="a video or a folder of frames")
    save.add_argument(
        "-o",
        "--out",
        type=some_path,
        required=True,
        help="the motion template (.npz), which `animate run` takes as CLIP; it has no sound",
    )
    add_force(save)
    add_overrides(save, "settings of `animate run` on the clip, its faces and the model")


def call(arguments: argparse.Namespace, others: list[str]) -> int:
    from animate.config import run_options

    options = run_options(overrides(arguments, others))
    from animate.cli.terminal import Terminal
    from animate.inference.save_motion import save_motion

    saved = save_motion(
        arguments.clip, arguments.out, options, force=arguments.force, observer=Terminal()
    )
    print(f"{saved.path}: {len(saved)} poses at {float(saved.rate):.3f} a second, {saved.model}")
    return 0
