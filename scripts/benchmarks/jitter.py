"""Measure the jitter of a still head, and the lag that smoothing adds to a moving head.

    python scripts/benchmarks/jitter.py [PHOTO CLIP]

The still head is the photo with new camera noise in every frame. Jitter is the mean absolute second
difference over frames: of the face square in thousandths of its side, of keypoints in pixels of the
256-pixel crop. Lag is the distance by which smoothing moves the keypoints of the clip.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from animate import checkpoints
from animate.faces import Box, cut, follow
from animate.faces.yunet import YuNet
from animate.inference.predictor import Pose, Predictor
from animate.inference.smoothing import smooth
from animate.media import clips
from animate.media.photos import read_photo

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
RATE = Fraction(25)


def noisy(photo: np.ndarray, count: int, sigma: float) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    for _ in range(count):
        frame = photo + sigma * rng.standard_normal(photo.shape, np.float32)
        yield frame.clip(0, 255).astype(np.uint8)


def jitter(rows: np.ndarray) -> float:
    return float(np.abs(np.diff(rows, 2, axis=0)).mean())


def points(poses: Iterable[Pose], size: int) -> np.ndarray:
    """Keypoints of the poses in pixels of the crop, (T, n)."""
    return np.stack([pose.motion.numbers() for pose in poses]) * (size - 1) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photo", nargs="?", type=Path, default=EXAMPLES / "photo.jpg")
    parser.add_argument("clip", nargs="?", type=Path, default=EXAMPLES / "clip.mp4")
    parser.add_argument("--frames", type=int, default=60, help="frames of the still head [60]")
    parser.add_argument("--noise", type=float, default=6.0, help="sigma in grey levels [6]")
    parser.add_argument("--precision", default="auto", help="auto, int8, bfloat16, float32 [auto]")
    options = parser.parse_args()
    network, _ = checkpoints.load("first_order_gated")
    predictor, size = Predictor.of(network, options.precision), network.size

    still = list(
        follow(YuNet(), noisy(read_photo(options.photo), options.frames, options.noise), RATE)
    )
    found = [s.face.square() for s in still if s.face]
    print(f"| jitter of a still head, {predictor.precision} | |\n|---|---|")
    used = [s.box for s in still]
    for name, boxes in (("the square as detected", found), ("the square as used", used)):
        sides = np.array([(b.left, b.top, b.side) for b in boxes]) * 1000 / boxes[0].side
        print(f"| {name}, thousandths of its side | {jitter(sides):.2f} |")

    def tracked(boxes: list[Box]) -> list[Pose]:
        crops = [cut(s.frame, box, size) for s, box in zip(still, boxes, strict=True)]
        return list(predictor.poses(crops))

    wavering, poses = tracked(found), tracked(used)
    print(f"| keypoints in squares as detected, pixels | {jitter(points(wavering, size)):.3f} |")
    print(f"| keypoints in squares as used, pixels | {jitter(points(poses, size)):.3f} |")
    clip = clips.open_clip(options.clip)
    moving = list(
        predictor.poses(
            cut(s.frame, s.box, size) for s in follow(YuNet(), clip.frames(), clip.rate)
        )
    )
    before, speed = points(moving, size), network.smoothing_speed
    for cutoff in (3.0, 2.0, 1.0):
        after = points(smooth(poses, RATE, cutoff, speed), size)
        lag = np.abs(points(smooth(moving, clip.rate, cutoff, speed), size) - before)
        print(
            f"| ... retarget.smoothing={cutoff:g} | {jitter(after):.3f}, lag on the clip "
            f"{lag.mean():.2f} (95 % under {np.percentile(lag, 95):.2f}) |"
        )


if __name__ == "__main__":
    main()
