"""The motion models by name; adding one is a module, a line here and a YAML in configs/motion."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from animate.errors import AnimateError

if TYPE_CHECKING:
    from animate.models.contract import MotionModel

REGISTRY = {
    "first_order": "animate.models.first_order.model:FirstOrder",
    "first_order_gated": "animate.models.first_order_gated.model:FirstOrderGated",
}


def build(name: str, **arguments: Any) -> MotionModel:
    """Construct the registered model `name`; its module is imported here, not before.

    Raises AnimateError when the name is unknown or an argument is not the model's.
    """
    if name not in REGISTRY:
        raise AnimateError(f"no motion model called {name}: use one of {', '.join(REGISTRY)}")
    module, attribute = REGISTRY[name].split(":")
    try:
        return getattr(import_module(module), attribute)(**arguments)
    except TypeError as error:
        raise AnimateError(f"motion model {name} was given wrong arguments: {error}") from error
