"""Segment the person in training clips with MediaPipe, the teacher of the foreground layer.

    python scripts/teach_person.py OUT_FOLDER CLIP_OR_FOLDER_OF_FRAMES...

OUT_FOLDER gets one STEM.npy for each input: uint8 (T, H, W), 255 on the person. Existing files are
kept. The model, selfie segmentation (Apache-2.0), is part of an older package: `pip install
--no-deps mediapipe==0.10.14` and then `absl-py attrs flatbuffers matplotlib "numpy<2" "protobuf<5"
"opencv-python-headless<4.11"`, in a separate environment.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from animate.data.folders import as_stored


def masks(path: Path, out: Path) -> None:
    """Write the masks of one input, unless they exist."""
    import mediapipe as mp

    stored = out / f"{path.stem}.npy"
    if stored.exists():
        return
    with mp.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0) as teacher:
        shares = [teacher.process(frame).segmentation_mask for frame in as_stored(path)]
    draft = stored.with_suffix(".part")
    with draft.open("wb") as file:
        np.save(file, (np.stack(shares) * 255).round().astype(np.uint8))
    os.replace(draft, stored)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the masks")
    parser.add_argument("inputs", nargs="+", type=Path)
    parser.add_argument("--workers", type=int, default=2, help="parallel processes, default 2")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(args.workers) as pool:
        list(pool.map(partial(masks, out=args.out), args.inputs))


if __name__ == "__main__":
    main()
