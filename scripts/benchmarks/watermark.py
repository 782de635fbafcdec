"""Measure the watermark's robustness, visibility and speed, and other watermarks if installed.

    python scripts/benchmarks/watermark.py CLIP_OR_PHOTO... [--sizes 256 512] [--results FILE.json]

Each file's centre square is resized, marked and attacked in memory, then searched for the mark. The
others (pip install invisible-watermark blind-watermark) carry 32 bits, voted over frames. They
count as found from 30 right bits on, which noise reaches once in eight million. Results in the JSON
file are not measured again. Don't use clips that the mark was tuned on.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from watermark_attacks import ATTACKS, Frames, concatenated

from animate.media import clips
from animate.watermark import Claim, Embedder, Mark, Payload, detect
from animate.watermark.carriers import VERSIONS
from animate.watermark.detection import as_published, keep
from animate.watermark.search import pilot_statistic
from animate.watermark.spectrum import weighed

KEY = b"a key of this benchmark, nobody else's"  # fixed, so that results can be repeated
CLAIM = Claim("watermark_benchmark", "none", "", "", "", "2026-01-01T00:00:00Z", "measurement")
MARK = Mark(Payload.of(CLAIM, KEY), KEY)
BITS = np.random.default_rng(32).integers(0, 2, 32)  # message of the other watermarks
OTHERS = ("dwtDct", "dwtDctSvd", "rivaGan", "blind-watermark")
STILLS = {".jpg", ".jpeg", ".png", ".webp"}


def main() -> None:
    """Measure what the results lack, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="clips and photos")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256], help="sides, pixels")
    parser.add_argument("--frames", type=int, default=75, help="frames of each clip, at 25/s")
    parser.add_argument("--methods", nargs="+", default=["animate"], choices=["animate", *OTHERS])
    parser.add_argument("--rows", nargs="+", choices=list(ATTACKS), help="only these attacks")
    parser.add_argument("--results", type=Path, default=Path("watermark_results.json"))
    arguments = parser.parse_args()
    results = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
    for method in arguments.methods:
        for size in arguments.sizes:
            for path in arguments.files:
                key = f"{method}|{size}|{path.name}"
                length = arguments.frames if method == "animate" else arguments.frames // 3
                frames = squares(path, size, length)
                row = results.setdefault(key, {})
                measure(method, frames, row, arguments.rows or list(ATTACKS))
                arguments.results.write_text(json.dumps(results))
                print(key, len(row), "rows", file=sys.stderr, flush=True)
    print_tables(results)


def squares(path: Path, size: int, length: int) -> Frames:
    """The centre squares of the first `length` frames, resized; fewer for a photo or short clip."""
    frames: Iterator[np.ndarray] = (
        iter([clips.read_photo(path)])
        if path.suffix.lower() in STILLS
        else clips.open_clip(path, truncated="accept").frames()
    )
    out = []
    for frame in islice(frames, length):
        side = min(frame.shape[:2])
        top, left = (frame.shape[0] - side) // 2, (frame.shape[1] - side) // 2
        square = Image.fromarray(frame[top : top + side, left : left + side])
        out.append(np.asarray(square.resize((size, size), Image.Resampling.LANCZOS)))
    return out


def measure(method: str, frames: Frames, row: dict[str, Any], attacks: list[str]) -> None:
    """Fill a row with the outcome of each attack, the visibility and the speed."""
    missing = [name for name in attacks if name not in row]
    if not missing and "PSNR" in row:
        return
    start = time.process_time()
    marked = embed(method, frames)
    spent = time.process_time() - start
    if "PSNR" not in row:
        row.update(looks(frames, marked), embed_ms=1000 * spent / len(frames), frames=len(frames))
        if method == "animate":
            row.update(speed(frames), **seconds(frames, marked))
    for name in missing:
        attacked = ATTACKS[name](marked)
        start = time.process_time()
        row[name] = read(method, attacked)
        row[name]["time"] = time.process_time() - start


def embed(method: str, frames: Frames) -> Frames:
    if method == "animate":
        mark = Embedder(MARK, *frames[0].shape[:2])
        return [mark(frame) for frame in frames]
    if method == "blind-watermark":
        from blind_watermark import WaterMark

        out = []
        for frame in frames:
            one = WaterMark(password_img=1, password_wm=1)
            one.read_img(img=frame[..., ::-1].copy())
            one.read_wm(BITS.astype(bool), mode="bit")
            out.append(np.clip(one.embed(), 0, 255).astype(np.uint8)[..., ::-1])
        return out
    encoder = _invisible("WatermarkEncoder", method)
    encoder.set_watermark("bits", BITS.tolist())
    return [encoder.encode(frame[..., ::-1].copy(), method)[..., ::-1] for frame in frames]


def read(method: str, frames: Frames) -> dict[str, Any]:
    """Read the mark: for ours payload, presence and key id; for others the number of right bits."""
    if method == "animate":
        found = detect(frames, KEY)
        return {
            "payload": found.payload == MARK.payload,
            "marked": found.marked,
            "key": found.key_id == MARK.payload.key_id,
            "wrong": found.payload not in (None, MARK.payload),
            "S": round(_snr(frames), 1),
        }
    some = frames[:: max(1, len(frames) // 4)][:4]
    votes = np.mean([_other_bits(method, frame) for frame in some], axis=0) > 0.5
    return {"bits": int(np.sum(votes == BITS))}


def _snr(frames: Frames) -> float:
    """The pilot's statistic S of the frames as published; the larger of both weighings."""
    version = VERSIONS[MARK.payload.version]
    a = weighed(as_published(keep(frames, 25).whole), version)
    return max(pilot_statistic(one, version) for one in a)


def _other_bits(method: str, frame: np.ndarray) -> np.ndarray:
    picture = np.ascontiguousarray(frame[..., ::-1])
    try:
        if method == "blind-watermark":
            from blind_watermark import WaterMark

            one = WaterMark(password_img=1, password_wm=1)
            return np.asarray(one.extract(embed_img=picture, wm_shape=32, mode="bit")) > 0.5
        return np.asarray(
            _invisible("WatermarkDecoder", method, "bits", 32).decode(picture, method)
        )
    except (RuntimeError, AssertionError, ValueError, IndexError, ZeroDivisionError):
        return np.full(32, 0.5)  # the picture is too small for this method


def _invisible(kind: str, method: str, *how: Any) -> Any:
    import imwatermark

    tool = getattr(imwatermark, kind)(*how)
    if method == "rivaGan":
        tool.loadModel()
    return tool


def looks(frames: Frames, marked: Frames) -> dict[str, float]:
    """PSNR (worst frame, RGB), SSIM (luma), VMAF, and the VMAF lost against an unmarked copy."""
    error = max(
        float(np.mean((a.astype(float) - b) ** 2)) for a, b in zip(frames, marked, strict=True)
    )
    vmaf = alike(marked, frames, "libvmaf", "VMAF score: ")
    return {
        "PSNR": 10 * np.log10(255**2 / error),
        "SSIM": alike(marked, frames, "ssim", "Y:"),
        "VMAF": vmaf,
        "VMAF lost": alike(frames, frames, "libvmaf", "VMAF score: ") - vmaf,
    }


def alike(some: Frames, plain: Frames, graph: str, word: str) -> float:
    """The number that a comparing filter of ffmpeg prints after `word`."""
    import subprocess

    import imageio_ffmpeg

    size = f"{plain[0].shape[1]}x{plain[0].shape[0]}"
    inputs = []
    with tempfile.TemporaryDirectory() as folder:
        for name, frames in (("some", some), ("plain", plain)):
            path = Path(folder, name)
            path.write_bytes(b"".join(np.ascontiguousarray(frame).tobytes() for frame in frames))
            inputs += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-i", str(path)]
        yuv = "[0]format=yuv444p[a];[1]format=yuv444p[b];[a][b]"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), *inputs, "-lavfi", yuv + graph]
        done = subprocess.run([*command, "-f", "null", "-"], capture_output=True, text=True)
    return float(done.stderr.split(word)[-1].split()[0])


def speed(frames: Frames) -> dict[str, float]:
    """CPU time: the first frame and each later frame in ms; search of an unmarked clip in s."""
    mark = Embedder(MARK, *frames[0].shape[:2])
    start = time.process_time()
    mark(frames[0])
    setup = time.process_time() - start
    start = time.process_time()
    for frame in [frames[0]] * 20:
        mark(frame)
    each = (time.process_time() - start) / 20
    start = time.process_time()
    found = detect(frames, KEY)
    search = time.process_time() - start
    return {
        "setup_ms": 1000 * setup,
        "frame_ms": 1000 * each,
        "search_s": search,
        "unmarked_p": found.p_value,
    }


def seconds(frames: Frames, marked: Frames) -> dict[str, Any]:
    """Whether the marked seconds are located in a clip with unmarked frames before and after."""
    if len(frames) < 50:
        return {}
    found = detect(concatenated(marked, frames), KEY)
    return {"concatenated": found.seconds == ((2.0, 2.0 + len(marked) / 25),)}


# ---------------------------------------------------------------- tables


def print_tables(results: dict[str, dict[str, Any]]) -> None:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for key, row in results.items():
        method, size, _ = key.split("|")
        groups.setdefault((method, size), []).append(row)
    print("| attack | " + " | ".join(f"{m} {s} ({len(r)})" for (m, s), r in groups.items()) + " |")
    print("|---" * (len(groups) + 1) + "|")
    for name in ATTACKS:
        cells = [outcome(name, rows) for rows in groups.values()]
        print(f"| {name} | " + " | ".join(cells) + " |")
    for name in (
        "PSNR",
        "SSIM",
        "VMAF",
        "VMAF lost",
        "embed_ms",
        "setup_ms",
        "frame_ms",
        "search_s",
        "unmarked_p",
    ):
        cells = []
        for rows in groups.values():
            some = [row[name] for row in rows if name in row]
            cells.append(
                f"{np.median(some):.3g} ({min(some):.3g} to {max(some):.3g})" if some else ""
            )
        print(f"| {name} | " + " | ".join(cells) + " |")
    located = [row["concatenated"] for row in results.values() if "concatenated" in row]
    print(f"\nmarked seconds located in {sum(located)} of {len(located)} concatenated clips")
    for (method, size), rows in groups.items():
        tried = [[row[name] for row in rows if name in row] for name in ATTACKS]
        whole = sum(bool(some) and all(map(right, some)) for some in tried)
        print(f"{method} {size}: {whole} of {len(ATTACKS)} rows read on every clip")


def outcome(name: str, rows: list[dict[str, Any]]) -> str:
    """A cell. Ours: payloads read / marks found / files, pilot's S; others: found / files, bits."""
    some = [row[name] for row in rows if name in row]
    if not some:
        return ""
    if "bits" in some[0]:
        share = np.mean([one["bits"] for one in some]) / 32
        return f"{sum(map(right, some))} / {len(some)} ({share:.2f})"
    marked, wrong = sum(one["marked"] for one in some), sum(one["wrong"] for one in some)
    heard = np.median([one["S"] for one in some])
    cell = f"{sum(map(right, some))} / {marked} / {len(some)} (S {heard:.1f})"
    return cell + (f", WRONG {wrong}" if wrong else "")


def right(one: dict[str, Any]) -> bool:
    """Whether the payload, or for other watermarks at least 30 of 32 bits, was read."""
    return bool(one.get("payload", one.get("bits", 0) >= 30))


if __name__ == "__main__":
    main()
