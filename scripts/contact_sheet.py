"""Draw a watermarked contact sheet of several photos animated by several drivers.

    python scripts/contact_sheet.py sheet.png --photos A.jpg B.jpg --drivers C.mp4 D.mp4

The top row shows driving frames and the left column the photos. Each cell is the photo in that
pose, relative to the driver's first frame. Photos and clips are cut to their centred squares.
"""

import argparse
from pathlib import Path

import numpy as np

from animate import checkpoints
from animate.faces import Centre, cut
from animate.inference.predictor import Predictor
from animate.media import clips
from animate.publish import sheets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the PNG to write")
    parser.add_argument("--photos", nargs="+", type=Path, required=True)
    parser.add_argument("--drivers", nargs="+", type=Path, required=True)
    parser.add_argument("--checkpoint", default="first_order_gated", help="index name or file")
    parser.add_argument("--frames", type=int, default=3, help="frames of each driver, default 3")
    parser.add_argument("--side", type=int, default=160, help="pixels of a cell, default 160")
    parser.add_argument("--absolute", action="store_true", help="absolute motion")
    args = parser.parse_args()

    model, info = checkpoints.load(args.checkpoint)
    predictor = Predictor.of(model)
    face = Centre()

    def square(frame: np.ndarray) -> np.ndarray:
        return cut(frame, face.locate(frame), model.size)

    def small(frame: np.ndarray) -> np.ndarray:
        return cut(frame, face.locate(frame), args.side)

    drivers = [
        spread([square(f) for f in clips.open_clip(p).frames()], args.frames) for p in args.drivers
    ]
    blank = np.full((args.side, args.side, 3), 255, np.uint8)
    rows = [[blank] + [small(frame) for poses in drivers for frame in poses[1:]]]
    for path in args.photos:
        photo = square(clips.read_photo(path))
        source = predictor.encode(photo)
        row = [small(photo)]
        for poses in drivers:
            moved = predictor.frames(
                source, poses, None, relative=not args.absolute, adapt_scale=True
            )
            row += [small(frame) for frame in list(moved)[1:]]
        rows.append(row)
    sheet = np.concatenate([np.concatenate(row, 1) for row in rows], 0)
    sheets.show(
        args.out,
        sheet,
        model=info.model,
        model_sha256=info.sha256,
        photos=args.photos,
        drivers=args.drivers,
    )


def spread(frames: list[np.ndarray], count: int) -> list[np.ndarray]:
    """The first frame and up to `count` others, chosen greedily to differ most from the chosen."""
    small = np.stack([frame[::8, ::8].astype(np.float32) for frame in frames])
    chosen = [0]
    while len(chosen) < min(count + 1, len(frames)):
        distance = np.stack([np.abs(small - small[i]).mean((1, 2, 3)) for i in chosen]).min(0)
        chosen.append(int(distance.argmax()))
    return [frames[i] for i in chosen]


if __name__ == "__main__":
    main()
