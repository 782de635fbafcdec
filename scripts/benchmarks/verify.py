"""Measure time and peak memory of `animate verify` and of signing, for short and large files.

    export ANIMATE_HOME=FOLDER/home
    python scripts/benchmarks/verify.py --make FOLDER   # short.mp4 and large.mp4, 10 s each, signed
    python scripts/benchmarks/verify.py --sign FOLDER/large.mp4 DRAFT OUT
    python scripts/benchmarks/verify.py FILE ...

short.mp4 is the example clip, played forwards and backwards; large.mp4 is drawn, 1920x1080. DRAFT
is large.mp4 repeated many times without encoding it again (ffmpeg's concat). --sign signs it like
the last step of publishing. Each row is a separate process, on Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from memory import CLAIM, moving, peak

from animate.media import clips
from animate.provenance import keys
from animate.provenance.credentials import read
from animate.provenance.fingerprint import KEPT, Fingerprint, thumbnail
from animate.provenance.manifest import Record, definition
from animate.provenance.xmp import SYNTHETIC
from animate.publish import publish
from animate.publish.sign import sign
from animate.verification.verify import verify
from animate.watermark import Mark, Payload

RATE = Fraction(25)
EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "clip.mp4"


def signed(out: Path, side: int, seconds: int) -> Path:
    signer = keys.signer()
    count = seconds * int(RATE)
    frames: Iterable[np.ndarray]
    if side <= 256:
        forwards = [frame[32:288, 32:288] for frame in clips.open_clip(EXAMPLE).frames()]
        frames = islice(cycle(forwards + forwards[::-1]), count)
    else:  # 16:9, and with noise as hard to encode as a camera's
        frames = moving(count, side)
        noise = np.random.default_rng(0).integers(-6, 7, (8, side, side * 16 // 9, 3), np.int16)
        wide = (np.pad(f, ((0, 0), (0, side * 7 // 9), (0, 0)), "reflect") for f in frames)
        frames = (np.clip(f + noise[i % 8], 0, 255).astype(np.uint8) for i, f in enumerate(wide))
    mark = Mark(Payload.of(CLAIM, signer.mark_key), signer.mark_key)
    return publish(out, frames, mark=mark, claim=CLAIM, rate=RATE, signer=signer).path


def sign_again(ten_seconds: Path, draft: Path, out: Path) -> None:
    """Do the last step of publishing for the long file: take thumbnails, then sign."""
    signer, every = keys.signer(), 12
    total = clips.open_clip(draft).length or 0
    while total / every > KEPT:
        every *= 2
    prints = [thumbnail(frame) for frame in clips.open_clip(ten_seconds).frames()]
    kept = np.stack([prints[i % len(prints)] for i in range(0, total, every)])
    first = read(ten_seconds).record
    assert first is not None
    payload = Payload.of(first.claim, signer.mark_key)
    record = Record(first.claim, str(payload), Fingerprint(every / float(RATE), kept))
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before, since, cpu = peak(), time.monotonic(), time.process_time()
    sign(draft, draft.with_suffix(".part"), out, definition(record, payload, SYNTHETIC), (), signer)
    draft.rename(out)
    took(f"signed (peak before: {before:.0f} MiB)", since, cpu)


def took(outcome: str, since: float, cpu: float) -> None:
    """Print outcome, CPU seconds, wall-clock seconds and peak MiB as JSON."""
    seconds, used = time.monotonic() - since, time.process_time() - cpu
    print(json.dumps([outcome, f"{used:.2f}", f"{seconds:.2f}", f"{peak():.0f}"]))


def one(path: Path) -> None:
    since, cpu = time.monotonic(), time.process_time()
    took(verify(path).verdict, since, cpu)


def row(*paths: Path) -> None:
    command = [sys.executable, __file__, "--one", *map(str, paths)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    size = paths[-1].stat().st_size / 2**20
    print(f"| {paths[-1].name} | {size:.1f} | {' | '.join(json.loads(output))} |", flush=True)


def whole(path: Path) -> None:
    """Time the whole command, start-up included; without peak memory."""
    since, before = time.monotonic(), os.times()
    command = [sys.executable, "-m", "animate", "verify", str(path)]
    code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    after = os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    seconds = time.monotonic() - since
    print(f"| ... the command | | exit code {code} | {cpu:.2f} | {seconds:.2f} | |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--make", type=Path, metavar="FOLDER")
    parser.add_argument("--sign", type=Path, nargs=3, metavar=("LARGE", "DRAFT", "OUT"))
    parser.add_argument("--one", type=Path, nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(*options.one) if len(options.one) == 1 else sign_again(*options.one)
        return
    if options.make:
        keys.init("Ada Example")
        signed(options.make / "short.mp4", 256, 10)
        signed(options.make / "large.mp4", 1080, 10)
        return
    print("| file | MiB | outcome | CPU s | seconds | peak MiB |\n|---|---|---|---|---|---|")
    if options.sign:
        row(*options.sign)
    for path in options.files:
        row(path)
        whole(path)


if __name__ == "__main__":
    main()
