"""Measure the watermark on clips and photos: false positives, and what H.264 leaves of a mark.

    python scripts/watermark_check.py FILE... [--size 256] [--frames 25] [--wrong-keys 0]

Marked frames are encoded and decoded in memory; nothing is written to disk.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from PIL import Image

from animate import clips
from animate.errors import AnimateError
from animate.verification import verify
from animate.watermark import (
    DEFAULT,
    THRESHOLD,
    Claim,
    Detection,
    Embedder,
    Mark,
    Payload,
    detect,
)
from animate.watermark.carriers import centre, layout, signs
from animate.watermark.payload import CODE_BITS
from animate.watermark.pixels import average, features, pilot_statistic

CRFS = (18, 23, 28)
STILLS = {".jpg", ".jpeg", ".png", ".webp"}
CLAIM = Claim("watermark_check", "none", "", "", "", "2026-01-01T00:00:00Z", "measurement")


def main() -> None:
    """One line a file, then the sums."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="clips and photos")
    parser.add_argument("--size", type=int, default=256, help="side of the marked square, pixels")
    parser.add_argument("--frames", type=int, default=25, help="frames marked per file, at 25/s")
    parser.add_argument("--strength", type=float, default=DEFAULT, help="of the mark, grey levels")
    parser.add_argument("--wrong-keys", type=int, default=0, help="also try keys nobody used")
    arguments = parser.parse_args()
    mark = Mark(Payload.of(CLAIM), strength=arguments.strength)
    columns = ["PSNR", "none", *(f"crf{crf}" for crf in CRFS)]
    print(f"{'file':40s} {'unmarked p':>10s} " + " ".join(f"{name:>10s}" for name in columns))
    table, scores = [], []
    for path in arguments.files:
        try:
            row = check(path, mark, arguments.size, arguments.frames)
            scores.append(wrong_keys(path, arguments.wrong_keys))
        except AnimateError as error:
            print(f"{path.name[:40]:40s} skipped: {error}", flush=True)
            continue
        table.append(row)
        cells = [f"{row.unmarked.p_value:10.1e}", f"{row.psnr:10.2f}"]
        cells += [f"{word(found, mark):>10s}" for found in row.marked]
        print(f"{path.name[:40]:40s} " + " ".join(cells), flush=True)
    summarise(table, mark, np.concatenate(scores))


@dataclass
class Row:
    unmarked: Detection
    psnr: float  # dB over R, G, B, the worst frame
    marked: list[Detection]  # without a codec, then one per CRF


def check(path: Path, mark: Mark, size: int, length: int) -> Row:
    """Verify the file as it is; then mark `length` frames of its centre square, encode, detect."""
    unmarked = verify(path).detection
    plain = [squared(frame, size) for frame in islice(frames(path), length)]
    plain += plain[-1:] * (length - len(plain))  # a photo is a clip that stands still
    embed = Embedder(mark, size, size)
    marked = [embed(frame) for frame in plain]
    errors = [np.mean((a.astype(float) - b) ** 2) for a, b in zip(plain, marked, strict=True)]
    found = [detect(marked), *(detect(h264(marked, crf)) for crf in CRFS)]
    return Row(unmarked, float(10 * np.log10(255**2 / max(errors))), found)


def frames(path: Path) -> Iterator[np.ndarray]:
    if path.suffix.lower() in STILLS:
        return iter([clips.read_photo(path)])
    return clips.open_clip(path, truncated="accept").frames()


def squared(frame: np.ndarray, size: int) -> np.ndarray:
    """The centre square, resized to (size, size, 3)."""
    square = np.ascontiguousarray(frame[centre(*frame.shape[:2])])
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.LANCZOS))


def wrong_keys(path: Path, count: int) -> np.ndarray:
    """The pilot statistic of an unmarked file under `count` keys that nobody used."""
    if not count:
        return np.empty(0)
    a = features(average(frames(path)))
    pilot = layout().slot == CODE_BITS
    heard = a[layout().index[pilot]]
    keys = [f"wrong key {i}".encode() for i in range(count)]
    return np.array([pilot_statistic(heard * signs(key)[pilot]) for key in keys])


def h264(pictures: list[np.ndarray], crf: int) -> Iterator[np.ndarray]:
    """Frames (uint8 (H, W, 3)) after x264 (yuv420p, preset medium) at `crf` and back, in memory."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = pictures[0].shape[:2]
    encoder.pix_fmt = "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(25), Fraction(1, 25)
    encoder.options = {"crf": str(crf), "preset": "medium", "threads": "1"}
    packets = []
    for time, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = time
        packets += encoder.encode(frame)
    decoder = av.CodecContext.create("h264", "r")
    for packet in [*packets, *encoder.encode(None), None]:
        for frame in decoder.decode(packet):
            yield frame.to_ndarray(format="rgb24")


def word(found: Detection, mark: Mark) -> str:
    if found.payload is None:
        return "marked" if found.marked else "-"
    return "payload" if found.payload == mark.payload and found.authentic else "WRONG"


def summarise(table: list[Row], mark: Mark, scores: np.ndarray) -> None:
    false = sum(row.unmarked.marked for row in table)
    smallest = min((row.unmarked.p_value for row in table), default=1)
    worst = min((row.psnr for row in table), default=float("nan"))
    print(f"\n{len(table)} files; false positives {false}, smallest p {smallest:.1e}")
    print(f"threshold {THRESHOLD}; worst PSNR {worst:.2f} dB at strength {mark.strength}")
    for i, name in enumerate(("no codec", *(f"H.264 CRF {crf}" for crf in CRFS))):
        words = [word(row.marked[i], mark) for row in table]
        print(f"{name:12s} payload {words.count('payload')}/{len(words)}, ", end="")
        print(f"mark {len(words) - words.count('-')}/{len(words)}, wrong {words.count('WRONG')}")
    if len(scores):
        tails = ", ".join(
            f"P(S >= {t}) {np.mean(scores >= t):.2e} (bound {np.exp(-t * t / 2):.2e})"
            for t in (2, 3, 4)
        )
        print(f"{len(scores)} wrong keys: sd {scores.std():.3f}, {tails}")


if __name__ == "__main__":
    main()
