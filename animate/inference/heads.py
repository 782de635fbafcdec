"""Keep a head that is pasted back near its place: there hair and neck still join the picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from animate.models.contract import Motion, together
from animate.options import Retarget

if TYPE_CHECKING:
    from animate.inference.predictor import Predictor
    from animate.inference.stats import DriverStats

# How far a pasted head may go from its place, in half crops (`MotionModel.head_distance`): up to
# FREE as far as the driver's, then ever less, never as far as FULL. From there on necks tear.
FREE, FULL = 0.2, 0.25
NEAR, AWAY = 0.08, 0.11  # from NEAR on hair begins to leave the square, from AWAY on it is free to


def allowed(distance: float) -> float:
    """How far a head goes that the driver moves that far, in half crops."""
    room = FULL - FREE
    return min(distance, FREE) + room * (1 - math.exp(-max(distance - FREE, 0.0) / room))


def leaving(distance: float) -> float:
    """How far a head's movement goes on above its square, in [0, 1], as `Paster` takes it."""
    return min(1.0, max(0.0, (distance - NEAR) / (AWAY - NEAR)))


@dataclass(frozen=True)
class HeadLimit:
    """Limits how far a pasted head moves, turns and grows from its own pose in the picture."""

    own: Motion  # the head's pose in the picture
    count: Callable[[int], None] | None = None  # called with numbers of poses that are far
    acts: bool = True  # False: far poses are counted alone

    def count_far(self, distance: float) -> None:
        """Count a pose that the driver moves that far, if it is far."""
        if self.count is not None and distance > FREE:
            self.count(1)

    def held(
        self,
        predictor: Predictor,
        source: Any,
        moved: Motion,
        motion: Motion,
        reference: Motion,
        how: Retarget,
    ) -> tuple[Motion, list[float]]:
        """Retargeted poses `moved` within the limit, and how far the driver moves their heads.

        `moved` is `motion` retargeted to `source`. The whole pose gives way to the head's own, so
        shift, roll, size and turn do so alike; the expression stays, if the model can tell it.
        """
        with torch.inference_mode():
            distances = predictor.model.head_distance(self.own, moved).tolist()
        if not self.acts or max(distances) <= FREE:
            return moved, distances
        still = self.own
        if "head" in predictor.model.regions:
            how = replace(how, relative=True, head=0)
            still = predictor.retarget(source, motion, reference, how)
        near = [moved[i : i + 1] for i in range(len(moved))]
        for i, distance in enumerate(distances):
            if distance > FREE:
                back = 1 - allowed(distance) / distance
                near[i] = near[i].toward(still[i : i + 1] if len(still) > 1 else still, back)
        return together(near), distances


def limit_of(
    predictor: Predictor, own: Motion, how: Retarget, stats: DriverStats | None = None
) -> HeadLimit | None:
    """The limit of a head with the pose `own` in a photo; None for a model that can't hold one.

    `stats` counts limited frames, or those that would be if `how` limited them.
    """
    if "head" not in predictor.model.regions:
        return None
    acts = how.limits_head
    count = None if stats is None else stats.hold if acts else stats.stray
    return HeadLimit(own, count, acts)
