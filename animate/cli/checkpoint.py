"""`animate checkpoint`: list, import and export weights."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from animate.cli.arguments import command, refuse, some_path
from animate.errors import AnimateError


def register(commands: Any) -> None:
    checkpoint = commands.add_parser("checkpoint", help="list, import and export weights")
    actions = checkpoint.add_subparsers(metavar="ACTION", required=True)
    command(actions, "list", show, "list the checkpoints that have a name")
    imports = command(
        actions, "import", bring, "convert the original first-order weights to a safetensors file"
    )
    imports.add_argument("file", type=some_path, metavar="FILE", help="such as vox-cpk.pth.tar")
    imports.add_argument(
        "-o",
        "--out",
        type=some_path,
        help="the result (default: FILE's name with .safetensors, in the current folder)",
    )
    imports.add_argument(
        "--sampled-unaligned",
        action="store_true",
        help="the weights were trained with align_corners=False (default: True, like those "
        "published)",
    )
    exports = command(actions, "export", hand_on, "write a trained checkpoint for others to use")
    exports.add_argument(
        "file", metavar="FILE", help="such as RUN/checkpoint.safetensors, or a name from the list"
    )
    exports.add_argument("-o", "--out", type=some_path, required=True, help="the result")
    exports.add_argument(
        "--part",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="take a part of the model, such as keypoints, from another checkpoint (repeat for "
        "more)",
    )
    for action in (imports, exports):
        action.add_argument("--half", action="store_true", help="store float16 (default: float32)")
        action.add_argument("--force", action="store_true", help="replace OUT if it exists")


def show(arguments: argparse.Namespace, others: list[str]) -> int:
    refuse(others, arguments)
    from animate import checkpoints

    for name, entry in checkpoints.index().items():
        print(f"{name}: {entry['model']}, {entry['size']} bytes, licence: {entry['licence']}")
    return 0


def bring(arguments: argparse.Namespace, others: list[str]) -> int:
    refuse(others, arguments)
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


def hand_on(arguments: argparse.Namespace, others: list[str]) -> int:
    refuse(others, arguments)
    from animate import checkpoints

    parts = dict(part.partition("=")[::2] for part in arguments.part)
    if "" in parts.values():
        raise AnimateError(f"--part {arguments.part[0]}: give NAME=FILE, such as keypoints=FILE")
    info = checkpoints.export(
        arguments.file, arguments.out, parts=parts, half=arguments.half, force=arguments.force
    )
    size = arguments.out.stat().st_size
    print(f"{arguments.out}: {info.model}, {size} bytes, sha256 {info.sha256}")
    return 0
