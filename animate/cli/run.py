"""`animate run`: one photo, one clip, one published file."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from typing import Any

from animate.cli.arguments import add_overrides, command, overrides, some_path
from animate.errors import AnimateError
from animate.system.paths import home
from animate.system.text import frames


def register(commands: Any) -> None:
    run = command(commands, "run", call, "move a photo's face like a driving video's", "run")
    run.add_argument(
        "photo",
        type=some_path,
        metavar="PHOTO",
        help="JPEG, PNG or WebP; or a video whose face moves",
    )
    run.add_argument(
        "clip",
        type=some_path,
        metavar="CLIP",
        help="MP4, MOV, WebM, MKV, AVI, GIF, a folder of frames, a picture (for a still), or a "
        "motion template (.npz)",
    )
    run.add_argument(
        "-o",
        "--out",
        type=some_path,
        required=True,
        help="the result: .mp4, .mov, .webm, .mkv, .gif; .png or .jpg of a picture's pose",
    )
    run.add_argument(
        "--also",
        type=some_path,
        action="append",
        default=[],
        metavar="CLIP",
        help="with faces.which=all: the next face's own driver, from the left (repeat for more)",
    )
    run.add_argument(
        "--tile",
        type=some_path,
        action="append",
        default=[],
        metavar="PHOTO",
        help="another photo to move in step, as a tile beside the first (repeat for more)",
    )
    run.add_argument("--columns", type=int, help="tiles in a row (default: about as many as rows)")
    shown = run.add_mutually_exclusive_group()
    shown.add_argument(
        "--compare",
        action="store_const",
        const="plain",
        help="show photo, driver and result side by side",
    )
    shown.add_argument(
        "--keypoints",
        action="store_const",
        const="keypoints",
        dest="compare",
        help="the same, with the keypoints drawn on photo and driver",
    )
    run.add_argument(
        "--force", action="store_true", help="replace OUT if it exists (default: refuse)"
    )
    add_overrides(run, "settings, such as retarget.relative=false; all of them are below")


def call(arguments: argparse.Namespace, others: list[str]) -> int:
    from animate.config import run_options

    given = overrides(arguments, others)
    stray = next((text for text in given if "=" not in text), None)
    if stray is not None:
        raise AnimateError(
            f"{stray!r} is no setting, which are key=value, and one photo and one clip were given: "
            "add photos by --tile, clips by --also"
        )
    options = run_options(given).changed(compare=arguments.compare, columns=arguments.columns)
    from animate.cli.terminal import Terminal
    from animate.inference.portrait import portrait

    published = portrait(
        [arguments.photo, *arguments.tile],
        [arguments.clip, *arguments.also],
        arguments.out,
        options,
        force=arguments.force,
        observer=Terminal(),
    )
    print(summary(published))
    if published.report.signature.state == "public":
        _say_once()
    return 0


def summary(done: Any) -> str:
    """A run in a line: what was written, what was met, what was verified."""
    report = done.report
    sure = f"verified: {report.verdict} (p = {report.detection.p_value:.1e})"
    return ", ".join([f"{done.path}: {frames(done.frames)}", *done.met, sure])


def _say_once() -> None:
    """Tell, the first time, that without a key of one's own the mark names nobody."""
    said = home() / "toolkit-key-noticed"
    if said.exists():
        return
    print(
        "marked and signed with the toolkit's public key, which names nobody and can be imitated: "
        "make your own with `animate keys init --name NAME` (this is said once)",
        file=sys.stderr,
    )
    with suppress(OSError):
        said.touch()
