"""`animate run`: animate a photo by a clip and publish one file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from animate.cli.arguments import add_force, add_overrides, command, overrides, some_path
from animate.errors import AnimateError
from animate.system.paths import home
from animate.system.text import frames


def register(commands: Any) -> None:
    run = command(commands, "run", call, "animate a photo's face by a driving video", "run")
    run.add_argument(
        "photo", type=some_path, metavar="PHOTO", help="JPEG, PNG or WebP; or a source video"
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
        help="the result: .mp4, .mov, .webm, .mkv, .gif; .png or .jpg if CLIP is a picture",
    )
    run.add_argument(
        "--also",
        type=some_path,
        action="append",
        default=[],
        metavar="CLIP",
        help="with faces.which=all: a driver for the next face from the left (repeat for more)",
    )
    run.add_argument(
        "--tile",
        type=some_path,
        action="append",
        default=[],
        metavar="PHOTO",
        help="another photo, animated in step as a tile beside the first (repeat for more)",
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
    add_force(run)
    add_overrides(run, "settings, such as retarget.relative=false; all are listed below")


def call(arguments: argparse.Namespace, others: list[str]) -> int:
    from animate.config import run_options
    from animate.media.pipes import check_given

    given = overrides(arguments, others)
    stray = next((text for text in given if "=" not in text), None)
    if stray is not None:
        raise AnimateError(
            f"{stray!r} is not a setting (key=value), and photo and clip are already given: add "
            "more photos with --tile, more clips with --also"
        )
    check_given([arguments.photo, *arguments.tile, arguments.clip, *arguments.also])
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
    print(summary(published, published.met))
    if published.report.signature.state == "public":
        explain_toolkit_key()
    return 0


def summary(done: Any, met: Sequence[str] = ()) -> str:
    """A published file in one line: its name, notes on the input, the verdict."""
    report = done.report
    verdict = f"verified: {report.verdict} (p = {report.detection.p_value:.1e})"
    return ", ".join([f"{done.path}: {frames(done.frames)}", *met, verdict])


def explain_toolkit_key() -> None:
    """Print, the first time only, that anyone can imitate the toolkit's public key."""
    shown = home() / "toolkit-key-noticed"
    if shown.exists():
        return
    print(
        "marked and signed with the toolkit's public key, which anyone can imitate: make your own "
        "with `animate keys init --name NAME` (shown once)",
        file=sys.stderr,
    )
    with suppress(OSError):
        shown.touch()
