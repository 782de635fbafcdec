"""Count how often ordinary clips and portraits pass the thresholds that call a face unusual.

    python scripts/benchmarks/thresholds.py CLIPS [--photos PHOTOS] [--every 5]

CLIPS and PHOTOS are folders of square crops of faces, with nothing wrong in them: what is counted
is mostly false alarms. Clips: poses in doubt, those whose landmarks are beyond the edge of the
frame (in tracked crops), scenes that begin after the first frame, and heads that go so far from
their first place that a pasted one is limited. Photos and first frames: mouths that count as
covered. Each clip is also joined to the next by a cut, a fade and a wipe, and counted where one
scene alone begins there.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import torch

from animate import checkpoints
from animate.faces import Box, clip_locator, cut
from animate.faces.scenes import in_passages
from animate.faces.track import TrackedFrame
from animate.inference.doubt import DOUBTFUL, LOST
from animate.inference.heads import FREE, FULL
from animate.inference.predictor import Predictor
from animate.media import clips, files
from animate.media.photos import read_photo
from animate.models.first_order_gated import retarget
from animate.options import Faces

SECOND = 25  # frames


def square(picture: np.ndarray, size: int) -> np.ndarray:
    """A square picture at the model's size."""
    return cut(picture, Box(0, 0, min(picture.shape[:2])), size)


def count_clip(path: Path, predictor: Predictor, every: int) -> Counter[str]:
    """What is counted of one clip."""
    clip, counts = clips.open_clip(path, truncated="accept"), Counter[str](clips=1)
    frames = list(clip.frames())
    tracked = list(clip_locator(Faces()).track(frames, clip.rate))
    counts["scenes"] = len(scene_starts(tracked, clip.rate))
    crops = [square(frame, predictor.model.size) for frame in frames[::every]]
    poses = list(predictor.poses(crops))
    doubts = np.array([pose.doubt for pose in poses])
    counts += Counter(
        frames=len(poses),
        doubtful=int((doubts >= DOUBTFUL).sum()),
        lost=int((doubts >= LOST).sum()),
        covered=int(predictor.encode(crops[0]).covered),
    )
    found = [cut(t.frame, t.box, predictor.model.size) for t in tracked[::every] if t.found]
    for pose in predictor.poses(found):
        counts["beyond"] += bool(retarget.beyond(pose.motion.point, pose.motion.view))  # type: ignore[attr-defined]
    far = max(predictor.head_distance(poses[0].motion, pose.motion) for pose in poses)
    counts += Counter(free=int(far > FREE), full=int(far > FULL))
    return counts


def scene_starts(tracked: Iterable[TrackedFrame], rate: Fraction) -> list[int]:
    """The numbers of the frames after the first at which scenes begin."""
    seen = enumerate(in_passages((t.without_frame() for t in tracked), rate))
    return [i for i, (t, is_passing) in seen if i and t.scene_start and not is_passing]


def joined(paths: list[Path], kind: str, size: int = 256) -> Iterator[np.ndarray]:
    """A second of a clip, a "cut" or half a second of a "fade" or "wipe", a second of another."""
    frames = [
        islice(clips.open_clip(p, truncated="accept").frames(), SECOND * 5 // 2) for p in paths
    ]
    across = np.arange(size)[:, None] / size
    for index, pair in enumerate(zip(*frames, strict=False)):
        one, other = (square(picture, size) for picture in pair)
        share = min(max((index - SECOND) / (1 if kind == "cut" else SECOND / 2), 0), 1)
        part = np.float64(share) if kind == "fade" else across < share
        yield np.rint(one * (1 - part) + other * part).astype(np.uint8)


def count_joins(paths: list[Path]) -> Counter[str]:
    """For how many pairs of clips that follow each other one scene begins where they are joined."""
    counts = Counter[str]()
    for pair in pairwise(paths):
        for kind in ("cut", "fade", "wipe"):
            tracked = clip_locator(Faces()).track(joined(list(pair), kind), Fraction(SECOND))
            starts = scene_starts(tracked, Fraction(SECOND))
            counts[kind] += len(starts) == 1 and SECOND <= starts[0] <= 2 * SECOND
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--every", type=int, default=5, help="poses of every N-th frame [5]")
    options = parser.parse_args()
    torch.set_num_threads(2)
    predictor = Predictor.of(checkpoints.load("first_order_gated")[0], threads=2)
    paths = [p for p in sorted(options.clips.iterdir()) if files.kind_in_folder(p) == files.CLIP]
    counts = sum((count_clip(path, predictor, options.every) for path in paths), Counter[str]())
    n, frames = counts["clips"], counts["frames"]
    print(f"| of {n} clips, {frames} frames | |\n|---|---|")
    print(f"| frames whose pose is in doubt (from {DOUBTFUL}) | {counts['doubtful']} |")
    print(f"| frames whose pose is lost (from {LOST}) | {counts['lost']} |")
    print(f"| frames lost for landmarks beyond the edge | {counts['beyond']} |")
    print(f"| scenes that begin after the first frame | {counts['scenes']} |")
    print(f"| clips whose head goes further than {FREE} half crops | {counts['free']} |")
    print(f"| clips whose head goes further than {FULL} half crops | {counts['full']} |")
    print(f"| clips whose mouth counts as covered | {counts['covered']} |")
    for kind, found in count_joins(paths).items():
        print(
            f"| one scene that begins at a {kind} to the next clip | {found} of {len(paths) - 1} |"
        )
    if options.photos:
        names = [p for p in sorted(options.photos.iterdir()) if files.kind_in_folder(p)]
        photos = [square(read_photo(path), predictor.model.size) for path in names]
        hidden = sum(predictor.encode(photo).covered for photo in photos)
        print(f"| of {len(photos)} photos, mouths that count as covered | {hidden} |")


if __name__ == "__main__":
    main()
