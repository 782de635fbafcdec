"""Run `animate train`: build model, clips and loss from configs/train.yaml, train, and report."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from animate.errors import AnimateError
from animate.system.observer import QUIET, Observer


def run(settings: dict[str, Any], observer: Observer = QUIET) -> Path:
    """Train as the settings say, resuming from a state in `out`; returns the checkpoint's path."""
    from animate.system.device import find_device
    from animate.training.log import RunLog
    from animate.training.loop import train
    from animate.training.losses.registry import build_loss

    check_numbers(settings["optim"])
    out, data = Path(settings["out"]), settings["data"]
    device = str(find_device(settings["device"]))
    clips = training_clips(data, device)
    held_out = held_out_clips(data)
    run_log = None
    if int(os.environ.get("RANK", "0")) == 0:
        run_log = RunLog(
            out,
            steps=settings["optim"]["steps"],
            model=(settings["motion"]["name"], settings["motion"]["arguments"]),
            settings=settings,
            shown=held_out or clips,
            size=data["size"],
            observer=observer,
        )
        (out / "settings.json").write_text(json.dumps(settings, indent=2, default=str))
    hours = settings["hours"]
    same = ("freeze", "seed", "precision", "compiled", "deterministic", "log_every", "save_every",
            "keep")  # fmt: skip
    try:
        train(
            motion_model(settings),
            clips,
            build_loss(**settings["loss"]),
            out,
            held_out=held_out,
            size=data["size"],
            workers=data["workers"],
            device=device,
            stop_at=None if hours is None else 3600 * hours,
            run_log=run_log,
            **settings["optim"],
            **{key: settings[key] for key in same},
        )
    except SystemExit:
        if run_log:
            run_log.finish(clips)
        raise
    if run_log:
        run_log.finish(clips)
    return out / "checkpoint.safetensors"


def check_numbers(optim: dict[str, Any]) -> None:
    """Raise AnimateError if a setting of the optimiser isn't a number or a list of numbers."""
    for key, value in optim.items():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, bool) or not isinstance(part, (int, float)):
                raise AnimateError(f"optim.{key}={value} is not numeric: see configs/optim")


def motion_model(settings: dict[str, Any]) -> Any:
    """Build the model, with the weights of the checkpoint `start` if there is one."""
    import torch

    from animate import checkpoints
    from animate.models import build

    torch.manual_seed(settings["seed"])
    model = build(settings["motion"]["name"], **settings["motion"]["arguments"])
    if settings["start"]:
        loaded, info = checkpoints.load(settings["start"])
        try:
            model.load_state_dict(loaded.state_dict())
        except RuntimeError as error:
            raise AnimateError(
                f"start={settings['start']} holds a {info.model} with {info.arguments}, unlike "
                "motion: use the same motion.name and motion.arguments"
            ) from error
    return model


def training_clips(data: dict[str, Any], device: str) -> Any:
    from animate.data.drawn import drawn_clips
    from animate.data.opening import open_clips
    from animate.data.pairs import Augment
    from animate.data.stores import Resident

    try:
        augment = Augment(**data["augment"])
    except TypeError as error:
        raise AnimateError(f"wrong settings in data.augment: {error}") from error
    if data["clips"] == "drawn":
        clips = drawn_clips(side=data["size"], augment=augment)
    else:
        cache = Path(data["cache"]) / "clips" if data["cache"] else None
        clips = open_clips(
            data["clips"], cache, data["landmarks"], person=data["person"],
            by_person=data["by_person"], by_length=data["by_length"], augment=augment,
        )  # fmt: skip
    if data["resident"]:
        clips.store = Resident(clips.frames, device)
    return clips


def held_out_clips(data: dict[str, Any]) -> Any:
    from animate.data.drawn import drawn_clips
    from animate.data.opening import open_clips

    if not data["held_out"]:
        return None
    if data["held_out"] == "drawn":
        return drawn_clips(people=3, side=data["size"], seed=1)
    return open_clips(data["held_out"], Path(data["cache"]) / "held_out" if data["cache"] else None)
