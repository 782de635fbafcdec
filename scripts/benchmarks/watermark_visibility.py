"""Measure how visible the mark is, as colour differences that an eye would see as patches.

    python scripts/benchmarks/watermark_visibility.py PHOTO... [--sizes 256 512 1024 2048]

Needs `pip install scikit-image`. Each photo is resized to every size that enlarges it at most 1.6
times, every third photo also in grey, and marked in memory as `animate` publishes it with
`label=none`. The table has, for each
size, the 99th percentile over a picture of CIEDE2000 between the unmarked and the marked picture:

* "patches": both blurred with a sigma of 1/40 of the short side;
* "... colour": the same with equal lightness, so that only the difference in colour is left;
* "at 100 %": both blurred with a sigma of 6 pixels, as seen on a screen from an arm's length;

and the PSNR. 1 is just seen side by side, 2.3 is plainly seen. The blur acts on the grey levels of
sRGB.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from animate.media import clips
from animate.watermark import Claim, Embedder, Mark, Payload

KEY = b"a key of this benchmark, nobody else's"
CLAIM = Claim("watermark_visibility", "none", "", "", "", "2026-01-01T00:00:00Z", "measurement")
MARK = Mark(Payload.of(CLAIM, KEY), KEY)
ENLARGED = 1.6  # most that a photo is enlarged
SHARE = 1 / 40  # of the short side: sigma of the blur that leaves patches
CLOSE = 6.0  # pixels: sigma of the blur at 100 %
COLUMNS = ("patches", "... colour", "at 100 %", "PSNR")


def main() -> None:
    """Print a line for each picture, then the table: median and worst of each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024, 2048])
    arguments = parser.parse_args()
    groups: dict[str, list[tuple[float, ...]]] = {}
    for number, path in enumerate(arguments.photos):
        photo = Image.fromarray(clips.read_photo(path))
        sizes = [size for size in arguments.sizes if size <= ENLARGED * min(photo.size)]
        for grey, size in product((False, True)[: 1 + (number % 3 == 0)], sizes):
            plain = resized(photo.convert("L").convert("RGB") if grey else photo, size)
            marked = Embedder(MARK, *plain.shape[:2])(plain)
            group = f"{size}, grey" if grey else f"{size}"
            values = looks(plain, marked)
            groups.setdefault(group, []).append(values)
            numbers = ", ".join(f"{c} {v:.2f}" for c, v in zip(COLUMNS, values, strict=True))
            print(f"{path.name}, {group}: {numbers}", flush=True)
    print_table(groups)


def resized(photo: Image.Image, short: int) -> np.ndarray:
    """(H, W, 3) uint8 the photo with `short` pixels along its short side."""
    scale = short / min(photo.size)
    width, height = (round(side * scale) for side in photo.size)
    return np.asarray(photo.resize((width, height), Image.Resampling.LANCZOS))


def looks(plain: np.ndarray, marked: np.ndarray) -> tuple[float, ...]:
    """The numbers of COLUMNS for two pictures (H, W, 3)."""
    wide = min(plain.shape[:2]) * SHARE
    error = float(np.mean((plain.astype(np.float32) - marked) ** 2))
    return (
        difference(plain, marked, wide),
        difference(plain, marked, wide, colour=True),
        difference(plain, marked, CLOSE),
        float(10 * np.log10(255**2 / error)),
    )


def difference(
    plain: np.ndarray, marked: np.ndarray, sigma: float, *, colour: bool = False
) -> float:
    """99th percentile of CIEDE2000 after a Gaussian blur, of colour alone if `colour`.

    Samples the blurred pictures a third of sigma apart: they hold nothing finer.
    """
    from skimage.color import deltaE_ciede2000, rgb2lab

    step = max(1, int(sigma / 3))
    lab = [
        rgb2lab(cv2.GaussianBlur(p.astype(np.float32) / 255, (0, 0), sigma)[::step, ::step])
        for p in (plain, marked)
    ]
    if colour:
        lab[1][..., 0] = lab[0][..., 0]
    return float(np.percentile(deltaE_ciede2000(*lab), 99))


def print_table(groups: dict[str, list[tuple[float, ...]]]) -> None:
    """Median and worst of each number, a row for each size."""
    print("\n| short side | pictures | " + " | ".join(COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 2) + "|")
    for group in sorted(groups, key=lambda g: (len(g) > 4, int(g.split(",")[0]))):
        values = np.array(groups[group])
        worst = [*values[:, :-1].max(0), values[:, -1].min()]
        cells = [f"{m:.2f} ({w:.2f})" for m, w in zip(np.median(values, 0), worst, strict=True)]
        print(f"| {group} | {len(values)} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
