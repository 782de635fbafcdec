"""Registry of motion models; a new one needs a module, a line here and a YAML in configs/motion."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from animate.errors import AnimateError

if TYPE_CHECKING:
    from animate.models.contract import MotionModel


class Model(NamedTuple):
    """Where a motion model is, as "module:name"; its module is imported only when needed.

    `importer` is a function that converts another project's weights
    (`animate.checkpoints.import_foreign`); None if there are none.
    """

    constructor: str
    importer: str | None = None


REGISTRY = {
    "first_order": Model(
        "animate.models.first_order.model:FirstOrder",
        "animate.models.first_order.convert:convert",
    ),
    "first_order_gated": Model("animate.models.first_order_gated.model:FirstOrderGated"),
}

DISCRIMINATORS = {"discriminator": "animate.models.first_order.discriminator:Discriminator"}


def load(place: str) -> Any:
    """Import the object at "module:name"."""
    module, attribute = place.split(":")
    return getattr(import_module(module), attribute)


def build(name: str, **arguments: Any) -> MotionModel[Any, Any]:
    """Import and construct the registered model `name`.

    Raises AnimateError if the name is unknown or the model doesn't take an argument.
    """
    if name not in REGISTRY:
        raise AnimateError(f"unknown motion model {name}: use one of {', '.join(REGISTRY)}")
    try:
        return load(REGISTRY[name].constructor)(**arguments)
    except TypeError as error:
        raise AnimateError(f"wrong arguments for motion model {name}: {error}") from error
