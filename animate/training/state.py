"""The state of a run on disk: written whole or not at all, the last few kept."""

from __future__ import annotations

import os
import pickle
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from animate.errors import AnimateError

NEWEST = "state.pt"
FORMER = {"discriminator": "critic", "discriminator_optimiser": "critic_optimiser"}  # until 0.2.0


def save(out: Path, parts: Mapping[str, Any], step: int, keep: int) -> None:
    """Write the state after `step` steps as out/state-STEP.pt and, the same file, out/state.pt.

    Of older ones the last `keep` remain. Raises AnimateError for a full disk, with all that was
    there before intact.
    """
    path = out / f"state-{step:08d}.pt"
    draft = path.with_suffix(".part")
    try:
        with draft.open("wb") as file:
            torch.save({"step": step} | {k: v.state_dict() for k, v in parts.items()}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        _alias(path, out / NEWEST)
    except (OSError, RuntimeError) as error:  # torch words a failed write as a RuntimeError
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise AnimateError(
            f"the state of step {step} can't be written to {out} ({_line(error)}): free some "
            "space; the same command goes on from the state before"
        ) from error
    for old in kept(out)[: -max(keep, 1)]:
        old.unlink()


def kept(out: Path) -> list[Path]:
    """The states in a folder, oldest first."""
    return sorted(p for p in out.glob("state-*.pt") if re.fullmatch(r"state-\d{8,}\.pt", p.name))


def _alias(path: Path, name: Path) -> None:
    """Make `name` the same file, or where the disk knows no such thing, a copy of it."""
    draft = name.with_suffix(".part")
    draft.unlink(missing_ok=True)
    try:
        os.link(path, draft)
    except OSError:
        shutil.copyfile(path, draft)
    os.replace(draft, name)


def resume(out: Path, parts: Mapping[str, Any]) -> int:
    """Load the newest state, if there is one, and return the step to go on with."""
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
            f"{path} is of another model or recipe ({_line(error)}): use another out="
        ) from error


def _line(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).split("\n")[0]
