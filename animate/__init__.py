"""Portrait animation with provenance: `portrait` makes a marked video, `verify` reads its mark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from animate.errors import AnimateError, VerificationError
    from animate.inference.portrait import portrait
    from animate.verification.verify import verify

__version__ = "0.2.0"
__all__ = ["AnimateError", "VerificationError", "portrait", "verify"]

_HOMES = {
    "AnimateError": "animate.errors",
    "VerificationError": "animate.errors",
    "portrait": "animate.inference.portrait",
    "verify": "animate.verification.verify",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `import animate` loads nothing heavy."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
