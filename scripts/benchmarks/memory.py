"""Measure the peak memory of a run for a short and a long driving video.

    python scripts/benchmarks/memory.py                        # 10 s and 10 min, animate.portrait
    python scripts/benchmarks/memory.py --stage media          # only decoding, marking, encoding
    python scripts/benchmarks/memory.py --clips a.mp4 b.mp4    # your own driving videos
    python scripts/benchmarks/memory.py --photo photo.jpg --clips a.mp4   # with face tracking

Each run is a separate process, on Linux. Prints a table of the peak resident memory in MiB, of the
process and of the ffmpeg that it starts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from animate.media import clips
from animate.publish import publish, video
from animate.system.memory import keep_memory
from animate.watermark import Claim, Mark, Payload

RATE = Fraction(25)
CLAIM = Claim.now(
    generator="animate benchmark", model="none", model_sha256="", photo_sha256="",
    clip_sha256="", consent="nobody is shown, or the examples",
)  # fmt: skip


def moving(count: int, side: int) -> Iterator[np.ndarray]:
    """Frames of an ellipse that wanders over a texture, drawn on demand."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    ground = np.random.default_rng(0).integers(60, 120, (side // 8, side // 8, 3), np.uint8)
    ground = ground.repeat(8, 0).repeat(8, 1)[:side, :side]
    for i in range(count):
        inside = (x - 0.1 * np.sin(i / 9)) ** 2 + 0.6 * (y - 0.05 * np.sin(i / 7)) ** 2 < 0.08
        frame = np.where(inside[..., None], np.array([210, 170, 150], np.uint8), ground)
        yield np.ascontiguousarray(frame)


def write(out: Path, frames: Iterator[np.ndarray], rate: Fraction | None) -> None:
    publish(out, frames, mark=Mark(Payload.of(CLAIM)), claim=CLAIM, rate=rate, force=True)


def peak(process: int | str = "self") -> float:
    """The peak resident memory of a running process, in MiB.

    `getrusage` of ended children would also count the parent's memory at the time of the fork.
    """
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def watch_ffmpeg() -> list[float]:
    """A list that collects the peak of every later ffmpeg, measured when it has its last frame."""
    peaks: list[float] = []
    leave = video._Ffmpeg.__exit__

    def measured_exit(self: video._Ffmpeg, *error: Any) -> None:
        peaks.append(peak(self.process.pid))
        leave(self, *error)

    video._Ffmpeg.__exit__ = measured_exit  # type: ignore[method-assign]
    return peaks


def measured(stage: str, faces: str, photo: Path, clip: Path, out: Path, checkpoint: str) -> None:
    """Run once in this process and print frames, peaks and seconds as JSON."""
    keep_memory()  # as the command does
    start, ffmpeg = time.monotonic(), watch_ffmpeg()
    if stage == "media":
        driver = clips.open_clip(clip)
        sound = clip if driver.sound else None
        done = publish(
            out, driver.frames(), mark=Mark(Payload.of(CLAIM)), claim=CLAIM, rate=driver.rate,
            sound=sound, force=True,
        )  # fmt: skip
    else:
        from animate import portrait

        done = portrait(
            photo, clip, out, checkpoint=checkpoint, faces=faces, paste="crop", force=True
        )
    seconds = time.monotonic() - start
    took = {"frames": done.frames, "own": peak(), "ffmpeg": max(ffmpeg), "seconds": seconds}
    print(json.dumps(took))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--seconds", type=int, nargs="+", default=[10, 600], help="lengths of clips [10 600]"
    )
    parser.add_argument("--clips", type=Path, nargs="+", help="clips to use, not generated ones")
    parser.add_argument("--photo", type=Path, help="photo to use, not a generated one without face")
    parser.add_argument("--side", type=int, default=256, help="pixels of generated clips [256]")
    parser.add_argument("--stage", choices=("portrait", "media"), default="portrait")
    parser.add_argument("--checkpoint", default="first_order_gated", help="[first_order_gated]")
    parser.add_argument("--one", type=Path, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    faces = "auto" if options.photo else "centre"
    if options.one:
        photo, path, out = options.one
        measured(options.stage, faces, photo, path, out, options.checkpoint)
        return
    print("| clip | frames | animate, MiB | ffmpeg, MiB | seconds |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = options.photo or folder / "photo.png"
        if not options.photo:
            write(photo, moving(1, 256), None)
        for clip in options.clips or options.seconds:
            if isinstance(clip, int):
                path, label = folder / f"{clip}.mp4", f"{clip} s of {options.side}x{options.side}"
                write(path, moving(clip * int(RATE), options.side), RATE)
            else:
                path, label = clip, clip.name
            command = [sys.executable, __file__, "--stage", options.stage]
            command += ["--checkpoint", options.checkpoint]
            command += ["--photo", str(photo)] if options.photo else []
            command += ["--one", str(photo), str(path), str(folder / "out.mp4")]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            took = json.loads(output.splitlines()[-1])
            print(f"| {label} | {took['frames']} | {took['own']:.0f} | {took['ffmpeg']:.0f} "
                  f"| {took['seconds']:.0f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
