"""Save and resume the state of a training run; writes are atomic and the last few are kept."""

from __future__ import annotations

import os
import pickle
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from animate.errors import AnimateError
from animate.system.atomic import replacing

NEWEST = "state.pt"  # file name of the newest state
FORMER = {"discriminator": "critic", "discriminator_optimiser": "critic_optimiser"}  # until 0.2.0


def save(out: Path, parts: Mapping[str, Any], step: int, keep: int) -> None:
    """Write the state after `step` steps as out/state-STEP.pt, and link out/state.pt to it.

    The newest `keep` states remain. Raises AnimateError if the disk is full; earlier states stay
    intact.
    """
    path = out / f"state-{step:08d}.pt"
    try:
        with replacing(path, draft=path.with_suffix(".part")) as draft, draft.open("wb") as file:
            torch.save({"step": step} | {k: v.state_dict() for k, v in parts.items()}, file)
        _alias(path, out / NEWEST)
    except (OSError, RuntimeError) as error:  # torch words a failed write as a RuntimeError
        raise AnimateError(
            f"the state of step {step} can't be written to {out} ({_line(error)}): free some "
            "space and run the same command, which resumes from the last state"
        ) from error
    for old in kept(out)[: -max(keep, 1)]:
        old.unlink()


def kept(out: Path) -> list[Path]:
    """Paths of the states in a folder, oldest first."""
    return sorted(p for p in out.glob("state-*.pt") if re.fullmatch(r"state-\d{8,}\.pt", p.name))


def _alias(path: Path, name: Path) -> None:
    """Hard-link `name` to a file, or copy the file if the disk has no hard links."""
    with replacing(name, draft=name.with_suffix(".part")) as draft:
        draft.unlink()
        try:
            os.link(path, draft)
        except OSError:
            shutil.copyfile(path, draft)


def resume(out: Path, parts: Mapping[str, Any]) -> int:
    """Load the newest state, if there is one, and return the step to resume at."""
    path = out / NEWEST
    if not path.exists():
        return 0
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        for name, part in parts.items():
            part.load_state_dict(state[name if name in state else FORMER.get(name, name)])
        return int(state["step"])
    except (KeyError, RuntimeError, ValueError, pickle.UnpicklingError, EOFError) as error:
        raise AnimateError(
            f"{path} belongs to another model or recipe ({_line(error)}): use another out="
        ) from error


def _line(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).split("\n")[0]
