"""Registry of losses; a new one needs a module, a line here and a YAML in configs/loss."""

from __future__ import annotations

from typing import Any

from animate.errors import AnimateError
from animate.models import load

LOSSES = {  # name: "module:class"; the module is imported only when needed
    "keypoints": "animate.training.losses.first_order_gated:KeypointLoss",
    "reenactment": "animate.training.losses.first_order_gated:GatedLoss",
    "published": "animate.training.losses.first_order:FirstOrderLoss",
    "mouths": "animate.training.losses.mouth:MouthLoss",
}


def build_loss(name: str, **arguments: Any) -> Any:
    """Import and construct the loss `name`.

    Raises AnimateError if the name is unknown or the loss doesn't take an argument.
    """
    if name not in LOSSES:
        raise AnimateError(f"unknown loss.name={name}: use one of {', '.join(LOSSES)}")
    try:
        return load(LOSSES[name])(**arguments)
    except TypeError as error:
        raise AnimateError(f"wrong settings for loss {name}: {error}") from error
