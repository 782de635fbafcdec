"""`animate checkpoint`: list and import weights."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from animate.cli.arguments import command, refuse


def register(commands: Any) -> None:
    checkpoint = commands.add_parser("checkpoint", help="list and import weights")
    actions = checkpoint.add_subparsers(metavar="ACTION", required=True)
    command(actions, "list", show, "the checkpoints that runs can name")
    imports = command(
        actions, "import", bring, "turn the original first-order weights into a safetensors file"
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
