"""The motion models by name; adding one is a module, a line here and a YAML in configs/motion."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from animate.errors import AnimateError

if TYPE_CHECKING:
    from animate.models.contract import MotionModel


class Model(NamedTuple):
    """Where a motion model is found, as "module:name"; nothing is imported before it is asked for.

    `importer` is a function that makes models of somebody else's file of weights
    (`animate.checkpoints.import_foreign`); None where there are no such files.
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


def load(place: str) -> Any:
    """What stands at "module:name"."""
    module, attribute = place.split(":")
    return getattr(import_module(module), attribute)


def build(name: str, **arguments: Any) -> MotionModel[Any, Any]:
    """Construct the registered model `name`; its module is imported here, not before.

    Raises AnimateError when the name is unknown or an argument is not the model's.
    """
    if name not in REGISTRY:
        raise AnimateError(f"no motion model called {name}: use one of {', '.join(REGISTRY)}")
    try:
        return load(REGISTRY[name].constructor)(**arguments)
    except TypeError as error:
        raise AnimateError(f"motion model {name} was given wrong arguments: {error}") from error
