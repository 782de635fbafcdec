"""Measure training speed: pairs a second of the loader, samples a second of the training step.

    python scripts/benchmarks/training.py --loader DATA_FOLDER [...] --cache CACHE
    python scripts/benchmarks/training.py --step vox256 --batch 2 [--device cuda --resident DATA]

Times are wall-clock time and CPU time, which other work does not disturb. The step is the
experiment's on random images, or with --resident on pairs of those clips, drawn in the device's
memory. VGG-19 has random weights, which cost the same. Memory is the growth of the process's or the
GPU's peak over one step.
"""

import argparse
import resource
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from animate.config import settings
from animate.data.opening import open_clips
from animate.data.pairs import Clips, Pairs
from animate.data.stores import Resident
from animate.models import build
from animate.system.memory import keep_memory
from animate.training.distributed import ProcessGroup
from animate.training.losses.registry import build_loss
from animate.training.step import Trainers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loader", nargs="*", type=Path, default=[], help="folders of clips")
    parser.add_argument("--cache", type=Path, help="folder for decoded frames of videos")
    parser.add_argument("--step", help="name of an experiment in configs/experiment")
    parser.add_argument("--resident", type=Path, help="folder of clips to train on")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3, help="measurements; prints their median")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--compiled", action="store_true")
    args = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch {args.batch}")
    for folder in args.loader:
        clips = open_clips(folder, args.cache)
        loader(folder.name, clips, args, "cpu")
        clips.store = Resident(clips.frames, args.device)
        loader(f"{folder.name}, resident on {args.device}", clips, args, args.device)
    if args.step:
        step(args)


def loader(name: str, clips: Clips, args: argparse.Namespace, device: str) -> None:
    """Print the pairs a second that one thread draws."""
    torch.set_num_threads(1)
    draws, rates, busy = max(1, 64 // args.batch), [], []
    for r in range(args.repeats + 1):  # the first warms up
        began, at = time.perf_counter(), time.process_time()
        for i in range(draws):
            clips.draw(args.batch, args.size, np.random.default_rng([r, i]), device=device)
        if device != "cpu":
            torch.cuda.synchronize()
        rates.append(draws * args.batch / (time.perf_counter() - began))
        busy.append(draws * args.batch / (time.process_time() - at))
    print(
        f"{name}: {median(rates[1:]):.0f} pairs/s, {median(busy[1:]):.0f} pairs per second "
        f"of CPU time ({len(clips)} clips)",
        flush=True,
    )


def step(args: argparse.Namespace) -> None:
    """Print time and memory of the experiment's training step."""
    tree = settings("train", [f"experiment={args.step}", "out=x", "data.clips=x"])
    if tree["loss"].get("backbone") == "vgg19":
        tree["loss"]["weights"] = "random"
    group = ProcessGroup.join(args.device)
    model = build(tree["motion"]["name"], **tree["motion"]["arguments"]).to(group.device)
    model.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    keep_memory()
    trainers = Trainers(
        model, build_loss(**tree["loss"]), group, precision=args.precision,
        betas=tree["optim"]["betas"],
        clip_norm=tree["optim"]["clip_norm"], compiled=args.compiled,
    )  # fmt: skip
    draw = pairs_of(args)
    before, times, busy = peak(args.device), [], []
    for i in range(args.repeats + 1):  # the first warms up
        began, at = time.perf_counter(), time.process_time()
        trainers.learn([draw(i).to(group.device)], i, 0)
        trainers.step(1e-4)
        if args.device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
        busy.append(time.process_time() - at)
        print(f"step {i}: {times[-1]:.2f} s, {busy[-1]:.2f} s of CPU time", flush=True)
    rate, memory = args.batch / median(times[1:]), (peak(args.device) - before) / args.batch
    print(
        f"{args.step}, {args.precision}: {rate:.3g} samples/s, {median(busy[1:]) / args.batch:.3g} "
        f"s of CPU time and {memory:.0f} MiB a sample"
    )


def pairs_of(args: argparse.Namespace) -> Any:
    if args.resident:
        clips = open_clips(args.resident, args.cache)
        clips.store = Resident(clips.frames, args.device)
        return lambda i: clips.draw(
            args.batch, args.size, np.random.default_rng([0, i]), device=args.device
        )
    images = torch.rand(2, args.batch, 3, args.size, args.size)
    unknown = torch.full((args.batch, 1, 2), float("nan"))
    pairs = Pairs(images[0], images[1], unknown, unknown)
    return lambda i: pairs


def peak(device: str) -> float:
    """The peak memory so far in MiB."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


if __name__ == "__main__":
    main()
