"""Measure the speed of a motion model's methods, and of a whole run.

    python scripts/benchmarks/speed.py [PHOTO CLIP] [--checkpoint first_order_gated]

Prints milliseconds per frame (best of the repeats) and the frames per second of a whole run:
decode, track, animate, mark, encode, verify. Run nothing else meanwhile.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from animate import checkpoints
from animate.faces import Centre, cut
from animate.inference.portrait import portrait
from animate.inference.predictor import BATCH, Predictor
from animate.media import clips
from animate.options import Retarget
from animate.system import parallel
from animate.system.device import find_device
from animate.system.memory import keep_memory

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


def best(call: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of `repeats` calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", nargs="?", type=Path, default=EXAMPLES / "photo.jpg")
    parser.add_argument("clip", nargs="?", type=Path, default=EXAMPLES / "clip.mp4")
    parser.add_argument("--checkpoint", default="first_order_gated", help="index name or file")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--precision", default="auto", help="auto, float32, bfloat16 or int8")
    parser.add_argument("--repeats", type=int, default=10, help="calls of each method, default 10")
    args = parser.parse_args()
    keep_memory()  # as the command does

    start = time.perf_counter()
    device = find_device(args.device)
    model, info = checkpoints.load(args.checkpoint, device=str(device))
    loading = time.perf_counter() - start
    predictor = Predictor.of(model, args.precision)
    face = Centre()
    photo = clips.read_photo(args.photo)
    crop = cut(photo, face.locate(photo), model.size)
    driver = clips.open_clip(args.clip)
    crops = [
        cut(f, face.locate(f), model.size) for f in next(parallel.chunks(driver.frames(), BATCH))
    ]
    source, motion = predictor.encode(crop), predictor.track(crops)
    relative = predictor.retarget(source, motion, motion[:1], Retarget())

    count = model.parameter_count() / 1e6
    print(f"{info.model}, {count:.2f} M parameters, {device}, {predictor.precision}")
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, torch {torch.__version__}")
    print(f"load                {loading * 1e3:7.1f} ms")
    print(f"encode the photo    {best(lambda: predictor.encode(crop), args.repeats) * 1e3:7.1f} ms")
    for name, call in (
        ("track", lambda: predictor.track(crops)),
        ("retarget", lambda: predictor.retarget(source, motion, motion[:1], Retarget())),
        ("render", lambda: predictor.render(source, relative)),
        ("render, absolute", lambda: predictor.render(source, motion)),
    ):
        print(f"{name:19} {best(call, args.repeats) * 1e3 / BATCH:7.1f} ms a frame")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        done = portrait(
            args.photo,
            args.clip,
            Path(folder) / "out.mp4",
            checkpoint=args.checkpoint,
            device=args.device,
            precision=args.precision,
        )
        took = time.perf_counter() - start
    print(f"a whole run         {done.frames / took:7.1f} frames/s ({done.frames} in {took:.1f} s)")


if __name__ == "__main__":
    main()
