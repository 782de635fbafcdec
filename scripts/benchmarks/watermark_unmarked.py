"""Test the false-positive bound on unmarked files and with wrong keys.

    python scripts/benchmarks/watermark_unmarked.py FILE_OR_FOLDER... [--wrong-keys 200]

Each file is searched as a whole. The wrong keys are tried on its first frame, unmarked and marked.
Each gives S over the waves of a body, whose tail the proof bounds by exp(-S^2 / 2). The first keys
also read the marked frame, which must give no payload.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from animate.errors import AnimateError
from animate.media import clips
from animate.watermark import THRESHOLD, Claim, Embedder, Mark, Payload, detect
from animate.watermark.carriers import layout, seed, signs
from animate.watermark.detection import as_published
from animate.watermark.reading import read
from animate.watermark.spectrum import weighed

STILLS = {".jpg", ".jpeg", ".png", ".webp"}
KINDS = STILLS | {".mp4", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".gif"}
CLAIM = Claim("watermark_unmarked", "none", "", "", "", "2026-01-01T00:00:00Z", "measurement")
READINGS = 4  # wrong keys of each file that also read the marked frame


def main() -> None:
    """Print a line for each file with p below 0.1, then the totals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files and folders")
    parser.add_argument("--wrong-keys", type=int, default=200, help="wrong keys for each file")
    arguments = parser.parse_args()
    chances, times, scores, false = [], [], [], 0
    for number, path in enumerate(files(arguments.paths)):
        try:
            start = time.process_time()
            found = detect(frames(path))
            times.append(time.process_time() - start)
            first = next(frames(path))
        except AnimateError as error:
            print(f"{path.name}: skipped: {error}", flush=True)
            continue
        chances.append(found.p_value)
        if found.p_value < 0.1:
            print(f"{path.name}: p {found.p_value:.1e}", flush=True)
        keys = [f"wrong key {number} {i}".encode() for i in range(arguments.wrong_keys)]
        try:
            marked = Embedder(Mark(Payload.of(CLAIM)), *first.shape[:2])(first)
        except AnimateError:
            marked = first  # the picture is too small for a mark
        for picture in (first, marked):
            scores.append(heard(picture, keys[: len(keys) // 2]))
        false += sum(wrongly_read(marked, key) for key in keys[:READINGS])
    report(np.array(chances), np.array(times), np.concatenate(scores), false)


def files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        some = sorted(path.iterdir()) if path.is_dir() else [path]
        yield from (one for one in some if one.suffix.lower() in KINDS)


def frames(path: Path) -> Iterator[np.ndarray]:
    if path.suffix.lower() in STILLS:
        return iter([clips.read_photo(path)])
    return clips.open_clip(path, truncated="accept").frames()


def heard(picture: np.ndarray, keys: list[bytes]) -> np.ndarray:
    """S of a picture under each key, over the waves of a body, in both weighings."""
    waves = layout().body
    a = weighed(as_published(picture.astype(np.float32))).reshape(2, -1)[:, waves.index]
    a /= np.linalg.norm(a, axis=1, keepdims=True) + 1e-300
    return np.array([(a @ signs(seed(key, "body 0"), waves).conj()).real for key in keys]).ravel()


def wrongly_read(marked: np.ndarray, key: bytes) -> bool:
    """Whether a wrong key reads a payload in a marked picture."""
    a = weighed(as_published(marked.astype(np.float32)))
    return any(read(one, key).payload is not None for one in a)


def report(chances: np.ndarray, times: np.ndarray, scores: np.ndarray, false: int) -> None:
    print(
        f"{len(chances)} files: {np.sum(chances <= THRESHOLD)} found, least p {chances.min():.1e}"
    )
    print(
        f"search: {np.median(times):.1f} s of CPU time in the median, {times.max():.1f} s at most"
    )
    if len(scores):
        rows = [(t, np.mean(scores >= t), np.exp(-t * t / 2)) for t in (2, 3, 4)]
        tails = [f"P(S >= {t}) {share:.1e} (bound {most:.1e})" for t, share, most in rows]
        print(
            f"{len(scores) // 2} wrong keys x 2 weighings: sd {scores.std():.3f},", ", ".join(tails)
        )
        print(f"{READINGS * len(chances)} of them read marked pictures: {false} payloads")


if __name__ == "__main__":
    main()
