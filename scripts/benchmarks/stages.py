"""Measure the CPU time of each stage of a run, and its peak memory.

    python scripts/benchmarks/stages.py                 # 256 crop; a minute of it; pasted in 1080p
    python scripts/benchmarks/stages.py --photo p.jpg --clip c.mp4

Each run is a separate process, on Linux. Milliseconds a frame are CPU time, which other work on the
machine changes less than the wall clock. A stage's time excludes the stages that it calls. "other"
is the rest of the process, including decoding threads and loading. Frames per second are by the
wall clock. The encoder is another process.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from memory import peak, watch_ffmpeg, write

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
STAGES = ("decode", "find", "cut", "track", "move", "paste", "mark", "send", "verify", "other")


class Clock(threading.local):
    """CPU seconds of each stage; the clock of a stage stops while it calls another stage."""

    def __init__(self, spent: dict[str, float]) -> None:  # runs once in each thread
        self.spent = spent
        self.running: list[str] = []
        self.since = time.thread_time()

    def switch(self) -> None:
        now = time.thread_time()
        if self.running:
            self.spent[self.running[-1]] += now - self.since
        self.since = now

    def wrap(self, owner: Any, name: str, stage: str) -> None:
        """Time a function or method, and each step of the iterator that it returns, if any."""
        call = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.stage(stage):
                result = call(*args, **kwargs)
            return self.steps(result, stage) if isinstance(result, Iterator) else result

        setattr(owner, name, timed)

    def steps(self, iterator: Iterator[Any], stage: str) -> Iterator[Any]:
        while True:
            with self.stage(stage):
                item = next(iterator, self)
            if item is self:
                return
            yield item

    def stage(self, name: str) -> Any:
        clock = self

        class Running:
            def __enter__(self) -> None:
                clock.switch()
                clock.running.append(name)

            def __exit__(self, *error: object) -> None:
                clock.switch()
                clock.running.pop()

        return Running()


def measured(photo: Path, clip: Path, paste: str, checkpoint: str) -> None:
    """Run once in this process and print frames, times and memory as JSON."""
    from animate.faces.paste import Paster
    from animate.inference import compose, driver
    from animate.inference.portrait import portrait
    from animate.inference.predictor import Predictor
    from animate.media.clips import Clip
    from animate.publish import publisher, video
    from animate.system.memory import keep_memory

    keep_memory()  # as the command does
    clock = Clock(defaultdict(float))
    clock.wrap(Clip, "frames", "decode")
    clock.wrap(driver.Driver, "tracked_frames", "find")
    for module in (driver, compose):
        clock.wrap(module, "cut", "cut")
    clock.wrap(Predictor, "track", "track")
    for name in ("retarget", "render"):
        clock.wrap(Predictor, name, "move")
    clock.wrap(Paster, "__call__", "paste")
    clock.wrap(publisher.Embedder, "__call__", "mark")
    clock.wrap(video._Mixer, "show", "send")
    clock.wrap(video._Ffmpeg, "send", "send")
    clock.wrap(publisher, "verify", "verify")
    start, before, ffmpeg = time.monotonic(), time.process_time(), watch_ffmpeg()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.mp4"
        done = portrait(photo, clip, out, paste=paste, checkpoint=checkpoint)
    took = time.monotonic() - start
    child = resource.getrusage(resource.RUSAGE_CHILDREN)
    clock.spent["other"] = time.process_time() - before - sum(clock.spent.values())
    spent = {name: 1e3 * clock.spent[name] / done.frames for name in STAGES}
    spent["encode"] = 1e3 * (child.ru_utime + child.ru_stime) / done.frames
    memory = [peak(), max(ffmpeg)]
    print(json.dumps({"frames": done.frames, "seconds": took, "ms": spent, "MiB": memory}))


def large(photo: Path, out: Path) -> None:
    """Write a photo of 1920x1080 with the given one in its middle."""
    import cv2

    from animate.media.photos import read_photo

    square = cv2.resize(read_photo(photo), (1080, 1080), interpolation=cv2.INTER_CUBIC)
    wide = np.zeros((1080, 1920, 3), np.uint8)
    wide[:] = cv2.blur(cv2.resize(square, (1920, 1080)), (99, 99))
    wide[:, 420:1500] = square
    write(out, iter([wide]), None)


def longer(clip: Path, seconds: int, out: Path) -> None:
    """Write the clip, played forwards and backwards until it has that many seconds."""
    from animate.media.clips import open_clip

    driver = open_clip(clip)
    frames = list(driver.frames())
    there_and_back = cycle(frames + frames[-2:0:-1])
    write(out, islice(there_and_back, round(seconds * driver.rate)), driver.rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photo", type=Path, default=EXAMPLES / "photo.jpg")
    parser.add_argument("--clip", type=Path, default=EXAMPLES / "clip.mp4")
    parser.add_argument("--checkpoint", default="first_order_gated", help="[first_order_gated]")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        photo, clip, paste = options.one
        measured(Path(photo), Path(clip), paste, options.checkpoint)
        return
    with tempfile.TemporaryDirectory() as folder:
        wide, minute = Path(folder) / "wide.png", Path(folder) / "minute.mp4"
        large(options.photo, wide)
        longer(options.clip, 60, minute)
        runs = {
            "256 crop": (options.photo, options.clip, "crop"),
            "a minute of it": (options.photo, minute, "crop"),
            "1080p": (wide, options.clip, "photo"),
        }
        results = {name: child(options.checkpoint, *run) for name, run in runs.items()}
    print("| CPU ms a frame | " + " | ".join(results) + " |\n" + "|---" * (1 + len(results)) + "|")
    for stage in (*STAGES, "encode"):
        cells = []
        for result in results.values():
            share = result["ms"][stage] / sum(result["ms"].values())
            cells.append(f"{result['ms'][stage]:.1f} ({100 * share:.0f} %)")
        print(f"| {stage} | " + " | ".join(cells) + " |")
    rows: dict[str, Callable[[dict[str, Any]], str]] = {
        "frames a second": lambda r: f"{r['frames'] / r['seconds']:.1f}",
        "peak memory, MiB": lambda r: f"{r['MiB'][0]:.0f}, encoder {r['MiB'][1]:.0f}",
    }
    for name, text in rows.items():
        print(f"| {name} | " + " | ".join(text(result) for result in results.values()) + " |")


def child(checkpoint: str, photo: Path, clip: Path, paste: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--checkpoint", checkpoint]
    command += ["--one", str(photo), str(clip), paste]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


if __name__ == "__main__":
    main()
