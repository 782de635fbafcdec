"""Fit the depth of each landmark to turning heads (Tomasi and Kanade 1992, one factor).

    python scripts/fit_depth.py CLIPS

CLIPS is a folder of square clips of faces. Prints the table for `expression.DEPTH`: what shifts the
landmarks beyond the head's affine motion is, above all, one depth of each times the head's turn.
"""

import argparse
from itertools import islice
from pathlib import Path

import torch

from animate import checkpoints
from animate.data.folders import open_frames, stored_clips
from animate.evaluation.measure import tensor
from animate.evaluation.protocol import square
from animate.faces import mesh
from animate.models.first_order_gated.model import FirstOrderGated
from animate.models.first_order_gated.retarget import head_and_expression

LARGEST = 1.5  # of a shift, in the face's size: beyond it a face was lost


def shifts(point: torch.Tensor) -> torch.Tensor:
    """Shifts of poses (T, K, 2) beyond the affine motion of their heads, across and down: (2T, K).

    In the size of the face, and less their means.
    """
    steady = list(mesh.STEADY)
    _, centre, _, change = head_and_expression(point[:1], point)
    change = change / (point[:1, steady] - centre[:1]).square().sum(-1).mean().sqrt()
    change = change - change.mean(0)
    return torch.cat(change.unbind(-1))


def fit(shift: torch.Tensor) -> torch.Tensor:
    """The depth (K,) of landmarks from their shifts (N, K), the same on the left and the right."""
    steady, mirror = list(mesh.STEADY), list(mesh.MIRROR)
    turn = shift[:, steady] @ torch.linalg.svd(shift[:, steady], full_matrices=False).Vh[0]
    depth = shift.T @ turn / turn.square().sum()
    depth = (depth + depth[mirror]) / 2
    depth = depth * depth[mesh.TAUGHT.index(1)].sign()  # the tip of the nose is in front
    return depth / depth[steady].square().mean().sqrt()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--every", type=int, default=8, help="frames from one to the next [8]")
    parser.add_argument("--most", type=int, default=14, help="frames of a clip [14]")
    parser.add_argument("--step", type=int, default=2, help="use every N-th clip [2]")
    options = parser.parse_args()
    model = checkpoints.load("first_order_gated")[0].eval()
    assert isinstance(model, FirstOrderGated)
    found = []
    for clip in islice(stored_clips(options.clips), 0, None, options.step):
        some = islice(open_frames(clip.path), 0, options.every * options.most, options.every)
        with torch.inference_mode():
            point = model.track(tensor([square(f, model.size, clip.path) for f in some])).point
        shift = shifts(point)
        if shift.abs().max() < LARGEST:
            found.append(shift)
    for number, depth in zip(mesh.TAUGHT, fit(torch.cat(found)).tolist(), strict=True):
        print(f"{number}: {depth:.2f},", end=" ")
    print()


if __name__ == "__main__":
    main()
