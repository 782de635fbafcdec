"""The training loop: one function of plain arguments, resumable to the bit."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import fields
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from animate.errors import AnimateError
from animate.models.contract import MotionModel
from animate.training.data import Clips, Pairs, ahead

Loss = Callable[[MotionModel, Pairs, int, int], dict[str, Tensor]]


def train(
    model: MotionModel,
    clips: Clips,
    loss: Loss,
    out: Path,
    *,
    held_out: Clips | None = None,
    size: int = 256,  # side of the training images, pixels
    batch: int = 8,  # pairs per step
    steps: int = 100_000,  # in all, counted over every resumed run
    rate: float = 4e-4,  # of Adam
    warm_up: int = 200,  # steps until the rate is reached
    decay: float = 0.2,  # last part of the steps, in which the rate falls to a twentieth
    ema: float = 0.999,  # decay per step of the averaged weights, which are the result
    clip_norm: float = 5.0,  # largest gradient norm
    freeze: tuple[str, ...] = (),  # parts of the model that stay as they are
    precision: str = "bfloat16",  # or float32
    device: str = "cpu",
    seed: int = 0,
    log_every: int = 50,
    save_every: int = 500,
    stop_at: float | None = None,  # seconds after which to save and stop early
) -> MotionModel:
    """Train until `steps`, from the state in `out` if there is one; returns the averaged model.

    Every `save_every` steps `out/state.pt` (all that resuming needs) is replaced atomically, and
    `out/log.jsonl` gains a line every `log_every` steps. Steps draw their data and noise from
    (seed, step), so that a resumed run equals an uninterrupted one.
    """
    torch.manual_seed(seed)
    model.to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    for name in freeze:
        getattr(model, name).requires_grad_(False).eval()
    learning = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(learning, lr=rate, betas=(0.9, 0.99))
    average = deepcopy(model).requires_grad_(False)
    out.mkdir(parents=True, exist_ok=True)
    parts = {"model": model, "average": average, "optimiser": optimiser}
    start = resume(out / "state.pt", parts)
    began = told = time.monotonic()
    seen: dict[str, Tensor] = {}  # the newest of each term: some are not in every step
    for step, pairs in enumerate(
        islice(ahead(clips, batch, size, seed, start), steps - start), start
    ):
        for group in optimiser.param_groups:
            group["lr"] = rate * schedule(step, steps, warm_up, decay)
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            terms = loss(model, place(pairs, device), step, seed)
        total = torch.stack(list(terms.values())).sum()
        seen |= {k: v.detach() for k, v in terms.items()}
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(learning, clip_norm)
        if torch.isfinite(norm):
            optimiser.step()
        if step % 4 == 3:  # a fourth of the cost of averaging every step
            blend(average, model, min(ema, (1 + step) / (10 + step)) ** 4)
        if (step + 1) % log_every == 0:
            now = time.monotonic()
            line = {"step": step + 1, "samples": (step + 1) * batch, "loss": total.item()}
            line |= {k: round(v.item(), 5) for k, v in seen.items()}
            line["samples_per_s"] = round(batch * log_every / (now - told), 2)
            told = now
            note(out / "log.jsonl", line)
        late = stop_at is not None and time.monotonic() - began > stop_at
        if (step + 1) % save_every == 0 or step + 1 == steps or late:
            save(out / "state.pt", parts, step + 1)
            if held_out is not None:
                note(out / "log.jsonl", {"step": step + 1} | score(average, held_out, size, device))
            told = time.monotonic()
        if late:
            break
    return average.eval()


def schedule(step: int, steps: int, warm_up: int, decay: float) -> float:
    """Part of the full rate at a step: a linear rise, a plateau, a linear fall to a twentieth."""
    falling = (steps - step) / max(decay * steps, 1)
    return min((step + 1) / max(warm_up, 1), 1.0, 0.05 + 0.95 * falling)


def place(pairs: Pairs, device: str) -> Pairs:
    """Pairs on a device, images channels last."""
    moved = {f.name: getattr(pairs, f.name).to(device) for f in fields(pairs)}
    for name in ("source", "driving"):
        moved[name] = moved[name].contiguous(memory_format=torch.channels_last)
    return Pairs(**moved)


@torch.no_grad()
def blend(average: nn.Module, model: nn.Module, keep: float) -> None:
    """average <- keep * average + (1 - keep) * model; buffers are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - keep)
    for a, b in zip(average.buffers(), model.buffers(), strict=True):
        a.copy_(b)


def score(model: MotionModel, clips: Clips, size: int, device: str) -> dict[str, float]:
    """Mean over held-out clips of `reconstruct`."""
    found = [reconstruct(model, f, size, device) for f in clips.frames if len(f) > 1]
    ours, copied = (sum(column) / len(found) for column in zip(*found, strict=True))
    return {"held_out_l1": round(ours, 5), "held_out_copy_l1": round(copied, 5)}


@torch.no_grad()
def reconstruct(
    model: MotionModel, frames: np.ndarray, size: int, device: str
) -> tuple[float, float]:
    """Mean L1 of the first of (T, H, H, 3) frames moved to eight later ones, and of leaving it.

    Images in [0, 1] at `size` pixels; absolute motion, as in the reconstruction protocol of
    Siarohin et al. 2019, but for eight evenly spread frames instead of all.
    """
    at = torch.linspace(0, len(frames) - 1, 9).round().long()
    images = torch.stack([torch.from_numpy(frames[int(t)].copy()) for t in at])
    images = images.permute(0, 3, 1, 2).float().to(device) / 255
    images = nn.functional.adaptive_avg_pool2d(images, size)
    model.eval()
    with torch.autocast(device, torch.bfloat16):
        moved = model.render(model.encode(images[:1]), model.track(images[1:])).float()
    target = images[1:]
    return (moved - target).abs().mean().item(), (images[:1] - target).abs().mean().item()


def note(path: Path, line: dict[str, float]) -> None:
    """One line more of the log, and on the terminal."""
    with path.open("a") as log:
        log.write(json.dumps(line) + "\n")
    print(" ".join(f"{k} {v:.5g}" for k, v in line.items()), flush=True)


def save(path: Path, parts: dict, step: int) -> None:
    """Replace the state atomically: an interruption leaves the one before."""
    draft = path.with_suffix(".part")
    torch.save({"step": step} | {k: v.state_dict() for k, v in parts.items()}, draft)
    os.replace(draft, path)


def resume(path: Path, parts: dict) -> int:
    """Load a state, if there is one, and return the step to go on with."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True, map_location="cpu")
    try:
        for name, part in parts.items():
            part.load_state_dict(state[name])
    except (KeyError, RuntimeError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise AnimateError(
            f"{path} is of another model or recipe ({why}): use another out="
        ) from error
    return int(state["step"])
