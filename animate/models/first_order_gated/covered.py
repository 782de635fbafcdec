"""Detect a mouth covered by a mask, a scarf or a hand, once per photo.

An uncovered face shows skin, redder lips and a dark line between them at the mouth's place, as
measured from the eyes. A beard hides skin but not lips; cloth hides all. The thresholds are
set so that no uncovered face counts as covered, bearded and dark-skinned people among them;
scripts/benchmarks/thresholds.py counts the false alarms.
"""

from __future__ import annotations

import torch
from torch import Tensor

from animate.faces import mesh
from animate.models.first_order_gated.light import FLOOR, brightness, ratio
from animate.models.geometry import exact, grid, warp

CORNERS = [mesh.TAUGHT.index(n) for n in (33, 133, 263, 362)]  # of the right and the left eye
# In distances between the eyes, across and down from their middle:
SKIN = (0, -0.35), (0, -0.06), (-0.3, -0.35), (0.3, -0.35), (-0.45, 0.28), (0.45, 0.28)  # centres
MOUTH = (-0.5, 0.5), (0.85, 1.35)  # left and right end, top and bottom


@exact
def covered(photo: Tensor, point: Tensor) -> bool:
    """Whether the mouth in a photo (1, 3, S, S) with points (1, K, 2) is covered."""
    right, left = point[0, CORNERS].unflatten(0, (2, 2)).mean(1)
    across = left - right
    axes = torch.stack([across, torch.stack([-across[1], across[0]])])  # rows
    size = across.norm()
    if not size > 0.05:  # no face
        return False

    def sample(place: Tensor) -> Tensor:
        return warp(photo.float(), ((left + right) / 2 + place @ axes)[None], padding="border")[0]

    spots = point.new_tensor(SKIN)[:, None] + 0.05 * grid(5, 5, point.device).flatten(0, 1)
    skin = sample(spots).median(-1).values.median(-1).values  # (3,)
    (left_end, right_end), (top, bottom) = MOUTH
    z = (grid(13, 25, point.device) + 1) / 2
    z = z * z.new_tensor([right_end - left_end, bottom - top]) + z.new_tensor([left_end, top])
    there = sample(z).permute(1, 2, 0)  # (13, 25, 3)
    hue = ratio(there + FLOOR) - ratio(skin + FLOOR)
    level = (brightness(there) + FLOOR).log() - (brightness(skin) + FLOOR).log()
    red, blue = hue.unbind(-1)
    alike = (red > -0.1) & (blue < 0.12) & (level > -0.8) & (level < 0.35)
    alike &= (hue.abs() < 0.45).all(-1)  # skin, or lips
    share = alike.float().mean()
    redder = red.quantile(0.95) - red.median()
    middle = level[:, 5:20]
    dark = (middle.median(0).values - middle.amin(0)).median()  # a line from side to side
    other = (share < 0.01) & (redder < 0.3)  # no skin, even if patterned
    plain = (share < 0.2) & (redder < 0.14) & (dark < 0.2)  # little skin, no lips
    even = (redder < 0.05) & (dark < 0.115)  # uniform, whatever its colour
    return bool(other | plain | even)
