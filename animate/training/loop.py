"""The training loop: one function, plain arguments, resumable to the bit, one or more processes."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from animate.data.folders import Frames
from animate.data.pairs import Clips, ahead
from animate.errors import AnimateError
from animate.models.contract import MotionModel
from animate.system.device import find_device
from animate.training.distributed import ProcessGroup
from animate.training.state import resume, save
from animate.training.step import Loss, Trainers

LONGEST_SKIP = 20  # steps in a row without a finite gradient before training fails


class Logger(Protocol):
    """Receives the loop's progress; log.py implements it."""

    def note(self, words: str) -> None: ...

    def values(self, line: dict[str, float]) -> None: ...

    def saved(self, model: MotionModel, step: int, scored: dict[str, float]) -> None: ...


@contextmanager
def flushed() -> Iterator[None]:
    """Flush subnormal numbers to zero: gradients have many, which slow some processors down."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@flushed()
def train(
    model: MotionModel,
    clips: Clips,
    loss: Loss,
    out: Path,
    *,
    held_out: Clips | None = None,
    size: int = 256,  # side of the training images, pixels
    batch: int = 8,  # pairs per step, over all processes
    accumulate: int = 1,  # micro-batches per step and process
    steps: int = 100_000,  # in total, over all resumed runs
    lr: float = 4e-4,  # Adam's learning rate
    betas: Sequence[float] = (0.9, 0.99),
    warm_up: int = 200,  # steps until the full rate
    decay: float = 0.2,  # last share of the steps, in which the rate falls to a twentieth
    milestones: Sequence[int] = (),  # steps at which the rate falls to a tenth
    ema: float = 0.999,  # decay per step of the averaged weights, which are the result
    clip_norm: float = 5.0,  # largest gradient norm
    freeze: Sequence[str] = (),  # parts of the model that aren't trained
    precision: str = "auto",  # of autocast; or float32, bfloat16, float16
    compiled: bool = False,  # compile the model's training pass by torch.compile
    deterministic: bool = False,  # use deterministic kernels wherever torch has them
    workers: int = 1,  # threads that draw pairs ahead
    device: str = "auto",
    seed: int = 0,
    log_every: int = 50,
    save_every: int = 500,
    keep: int = 2,  # number of states to keep
    stop_at: float | None = None,  # seconds after which to save and stop early
    run_log: Logger | None = None,
) -> MotionModel:
    """Train until `steps`, from the state in `out` if there is one; returns the averaged model.

    The state is saved every `save_every` steps, on SIGTERM or Ctrl-C, and at the end; the same call
    resumes from it. Each step's data and noise depend on (seed, step), so that a resumed run equals
    an uninterrupted one. Raises AnimateError if a loss is not finite, with the last state intact,
    and SystemExit after a signal.
    """
    if compiled:  # this tells torch's compiler, too, whose import takes seconds
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
    else:
        torch.set_deterministic_debug_mode("warn" if deterministic else "default")
    group = ProcessGroup.join(str(find_device(device)))
    micro = group.rows(batch, accumulate)
    model.to(group.device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    check_parts(model, freeze)
    for name in freeze:
        getattr(model, name).requires_grad_(False).eval()
    average = deepcopy(model).requires_grad_(False)
    trainers = Trainers(
        model, loss, group,
        precision=precision, betas=betas, clip_norm=clip_norm, compiled=compiled,
    )  # fmt: skip
    parts = {"model": model, "average": average, **trainers.parts}
    out.mkdir(parents=True, exist_ok=True)
    start = resume(out, parts)
    throughput, skipped = Throughput(start, batch), 0
    latest: dict[str, Tensor] = {}  # value of each term; some are not in every step
    drawn = ahead(
        clips, batch, size, seed, start, micro=micro, device=group.device, workers=workers
    )
    if run_log and start >= steps:  # perhaps killed between the last state and its checkpoint
        run_log.saved(
            average, start, score(average, held_out, size, group.device) if held_out else {}
        )
    with stopping() as asked:
        for step, pairs in enumerate(islice(drawn, max(steps - start, 0)), start):
            throughput.drew()
            torch.manual_seed(1_000_003 * seed + step)  # for random numbers in the model
            terms = group.mean(trainers.learn([p.to(group.device) for p in pairs], step, seed))
            check(terms, step, out)
            now = lr * schedule(step, steps, warm_up, decay, milestones)
            norm = trainers.step(now)
            skipped = 0 if math.isfinite(norm) or precision == "float16" else skipped + 1
            if skipped > LONGEST_SKIP:
                raise AnimateError(
                    f"no gradient was finite for {skipped} steps up to {step + 1}: lower "
                    f"optim.lr, or use precision=float32; the last state in {out} is intact"
                )
            latest |= terms
            if step % 4 == 3:  # a quarter of the cost of averaging in every step
                blend(average, model, min(ema, (1 + step) / (10 + step)) ** 4)
            late = stop_at is not None and throughput.age() > stop_at
            last = group.any(late or bool(asked())) or step + 1 == steps
            if run_log and (step + 1) % log_every == 0:
                line = {"step": step + 1, "samples": (step + 1) * batch, "lr": now}
                line |= {"loss": float(sum(terms.values())), "gradient": norm}
                line |= {k: round(v.item(), 5) for k, v in latest.items()}
                skips = {"skipped_frames": clips.store.skipped} if clips.store.skipped else {}
                run_log.values(line | throughput.read(step + 1, group.device) | skips)
                for words in clips.store.warnings():
                    run_log.note(words)
            if ((step + 1) % save_every == 0 or last) and group.rank == 0:
                save(out, parts, step + 1, keep)
                scored = score(average, held_out, size, group.device) if held_out else {}
                if run_log:
                    run_log.saved(average, step + 1, scored)
                throughput.restart(step + 1)
            throughput.ended()
            if last:
                break
    drawn.close()
    group.leave()
    if asked():
        raise SystemExit(128 + asked())
    return average.eval()


def check_parts(model: nn.Module, names: Sequence[str]) -> None:
    """Raise AnimateError for a name that is no part of the model."""
    parts = [name for name, _ in model.named_children()]
    unknown = [name for name in names if name not in parts]
    if unknown:
        raise AnimateError(f"freeze names {unknown[0]}: use parts of {', '.join(parts)}")


def schedule(
    step: int, steps: int, warm_up: int, decay: float, milestones: Sequence[int] = ()
) -> float:
    """Factor on the full rate at a step: a linear rise, a plateau and a linear fall to a twentieth,
    times 0.1 for each milestone passed."""
    falling = (steps - step) / max(decay * steps, 1)
    passed = sum(step >= m for m in milestones)
    return min((step + 1) / max(warm_up, 1), 1.0, 0.05 + 0.95 * falling) * 0.1**passed


def check(terms: dict[str, Tensor], step: int, out: Path) -> None:
    """Raise AnimateError if a term is not finite; called before the weights change."""
    if bool(torch.isfinite(torch.stack(list(terms.values()))).all()):
        return
    wrong = [name for name, value in terms.items() if not bool(torch.isfinite(value))]
    raise AnimateError(
        f"{', '.join(wrong)} is not finite at step {step + 1}: lower optim.lr, or use "
        f"precision=float32; the last state in {out} is intact"
    )


@contextmanager
def stopping() -> Iterator[Callable[[], int]]:
    """Catch SIGTERM and SIGINT until the step is done and saved; a second signal acts at once.

    Yields a function that returns the number of the signal received, or 0."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: object) -> None:
        received.append(number)
        restore()

    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: received[0] if received else 0
    finally:
        restore()


class Throughput:
    """Measures samples per second since the last reading, and the share of time spent waiting for
    pairs."""

    def __init__(self, step: int, batch: int) -> None:
        self.began, self.batch = time.monotonic(), batch
        self.restart(step)

    def restart(self, step: int) -> None:
        self.since, self.step, self.waited = time.monotonic(), step, 0.0
        self.last = self.since

    def age(self) -> float:
        return time.monotonic() - self.began

    def drew(self) -> None:
        """Note that a step's pairs have arrived."""
        self.waited += time.monotonic() - self.last

    def ended(self) -> None:
        self.last = time.monotonic()

    def read(self, step: int, device: torch.device) -> dict[str, float]:
        elapsed = max(time.monotonic() - self.since, 1e-9)
        reading = {
            "samples_per_s": round(self.batch * (step - self.step) / elapsed, 2),
            "waited": round(self.waited / elapsed, 3),
        }
        if device.type == "cuda":
            reading["gpu_gib"] = round(torch.cuda.max_memory_allocated(device) / 2**30, 2)
        self.restart(step)
        return reading


@torch.no_grad()
def blend(average: nn.Module, model: nn.Module, keep: float) -> None:
    """average <- keep * average + (1 - keep) * model; buffers are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - keep)
    for a, b in zip(average.buffers(), model.buffers(), strict=True):
        a.copy_(b)


def score(
    model: MotionModel, clips: Clips, size: int, device: torch.device | str
) -> dict[str, float]:
    """Mean of `reconstruct` over held-out clips. Raises AnimateError if all are too short."""
    errors = [reconstruct(model, f, size, device) for f in clips.frames if len(f) > 1]
    if not errors:
        raise AnimateError("no clip in data.held_out has two frames: use longer clips")
    ours, copied = (sum(column) / len(errors) for column in zip(*errors, strict=True))
    return {"held_out_l1": round(ours, 5), "held_out_copy_l1": round(copied, 5)}


@torch.no_grad()
def reconstruct(
    model: MotionModel, frames: Frames, size: int, device: torch.device | str
) -> tuple[float, float]:
    """Mean L1 error when the first of (T, H, H, 3) frames is driven by eight later ones, and when
    it is merely copied.

    Images are in [0, 1] at `size` pixels. Motion is absolute, as in the reconstruction protocol of
    Siarohin et al. 2019, but for eight evenly spaced frames instead of all.
    """
    at = np.linspace(0, len(frames) - 1, 9).round().astype(int)
    images = torch.from_numpy(np.stack([frames[int(t)] for t in at]))
    images = images.permute(0, 3, 1, 2).float().to(device) / 255
    images = nn.functional.adaptive_avg_pool2d(images, size)
    model.eval()
    with torch.autocast(torch.device(device).type, torch.bfloat16):
        moved = model.render(model.encode(images[:1]), model.track(images[1:])).float()
    target = images[1:]
    return (moved - target).abs().mean().item(), (images[:1] - target).abs().mean().item()
