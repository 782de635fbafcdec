"""Score a checkpoint on clips it has not seen: first frame to later ones, against leaving it.

    python scripts/reconstruct.py CLIPS_FOLDER CACHE_FOLDER [--checkpoint first_order_gated]

Prints per clip and in the mean the L1 distance (images in [0, 1], at the model's size) of the
first frame moved to eight later ones by absolute motion, and of the first frame left as it is.
"""

import argparse
from pathlib import Path

from animate import checkpoints
from animate.training.loop import reconstruct
from animate.training.stores import open_clips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of square clips")
    parser.add_argument("cache", type=Path, help="folder for their decoded frames")
    parser.add_argument("--checkpoint", default="first_order_gated", help="index name or file")
    args = parser.parse_args()
    model, _ = checkpoints.load(args.checkpoint)
    clips = open_clips(args.clips, args.cache)
    print("| clip | moved | left | moved / left |\n|---|---|---|---|")
    found = []
    for name, frames in zip(clips.names, clips.frames, strict=True):
        ours, left = reconstruct(model, frames, model.size, "cpu")
        found.append((ours, left))
        print(f"| {name} | {ours:.4f} | {left:.4f} | {ours / left:.2f} |")
    ours, left = (sum(column) / len(found) for column in zip(*found, strict=True))
    print(f"| mean | {ours:.4f} | {left:.4f} | {ours / left:.2f} |")


if __name__ == "__main__":
    main()
