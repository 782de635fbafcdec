"""Measure how often a signed clip's thumbnails match its copies, and how often other clips.

    python scripts/benchmarks/fingerprint.py CLIPS [--seconds 5] [--attacked 14]

Prints a table of matching files at each threshold (NEAR in animate/provenance/fingerprint.py).
Clips with the same name up to the first "_" show the same person; they are counted separately.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from watermark_attacks import ATTACKS, Frames, to_short_side

from animate.media import clips
from animate.provenance.fingerprint import Fingerprint, Sampler, file_sampler, matches

NEARS = (0.2, 0.3, 0.4)  # thresholds tried
# Factor of attacks on the frame rate; 1 for all others.
RATES = {"social: 480, CRF 30, 30 fps": 1.2, "30 to 24 fps": 0.8, "drop 90 % of the frames": 0.1}
COPIES = (
    "none", "H.264 CRF 28", "H.264 CRF 40", "social: 480, CRF 30, 30 fps", "grayscale",
    "gamma 0.7", "gamma 1.4", "brightness x1.3", "contrast x0.7", "colour temperature",
    "noise, sigma 5", "blur 3x3", "sharpen", "JPEG 30, 4:2:0", "scaled to 50 %",
    "30 to 24 fps", "drop 90 % of the frames", "trimmed to 1 s", "letterbox", "subtitles",
    "centre crop 75 %", "logo", "horizontal flip", "speed 2",
)  # fmt: skip


def mouth_of_later(frames: Frames) -> Frames:
    """Replace the mouth region of every frame by the one a second (25 frames) later."""
    out, (height, width) = [], frames[0].shape[:2]
    rows = slice(int(height * 0.6), int(height * 0.8))
    columns = slice(int(width * 0.36), int(width * 0.64))
    for i, frame in enumerate(frames):
        frame = frame.copy()
        frame[rows, columns] = frames[(i + 25) % len(frames)][rows, columns]
        out.append(frame)
    return out


def to_120(frames: Frames) -> Frames:
    return to_short_side(120)(frames)


MORE = {"scaled to 120 pixels": to_120, "another second's mouth": mouth_of_later}


def claimed(frames: Iterable[np.ndarray], rate: float = 25) -> Fingerprint:
    """The thumbnails that the claim of a published clip holds."""
    return _seen(frames, Sampler(rate))


def seen(frames: Iterable[np.ndarray], rate: float = 25) -> Fingerprint:
    """The thumbnails that verification takes of a file."""
    return _seen(frames, file_sampler(rate))


def _seen(frames: Iterable[np.ndarray], look: Sampler) -> Fingerprint:
    for _ in look(frames):
        pass
    return look.result()


def row(name: str, pairs: list[tuple[Fingerprint, Fingerprint]]) -> None:
    fits = [sum(bool(matches(a, b, near)) for a, b in pairs) for near in NEARS]
    print(f"| {name} | {' | '.join(f'{n} of {len(pairs)}' for n in fits)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="clips of 25 frames a second")
    parser.add_argument("--seconds", type=int, default=5, help="length used of each clip [5]")
    parser.add_argument("--attacked", type=int, default=14, help="clips to attack [14]")
    options = parser.parse_args()
    count, first, later = 25 * options.seconds, {}, {}
    chosen: dict[str, list[np.ndarray]] = {}
    for path in sorted(options.folder.glob("*.mp4")):
        clip = clips.open_clip(path)
        if clip.rate != Fraction(25):
            continue
        some = clip.frames()
        frames = list(islice(some, count))
        first[path.name] = claimed(frames), seen(frames)
        rest = list(islice(some, count))
        if len(rest) >= 50:
            later[path.name] = seen(rest)
        person = path.name.split("_")[0]
        if len(chosen) < options.attacked and person not in {n.split("_")[0] for n in chosen}:
            chosen[path.name] = frames
    print(f"| {len(first)} clips | {' | '.join(map(str, NEARS))} |\n|---|---|---|---|")
    for name in (*COPIES, *MORE):
        change = MORE.get(name) or ATTACKS[name]
        rate = 25 * RATES.get(name, 1)
        row(name, [(first[n][0], seen(change(frames), rate)) for n, frames in chosen.items()])
    same: list[Any] = []
    other: list[Any] = []
    for a in chosen:
        for b, (_, met) in first.items():
            alike = a.split("_")[0] == b.split("_")[0]
            if a != b:
                (same if alike else other).append((first[a][0], met))
    row("a clip of another person", other)
    row("another clip of the same person", same)
    row("a later part of the same clip", [(first[n][0], met) for n, met in later.items()])


if __name__ == "__main__":
    main()
