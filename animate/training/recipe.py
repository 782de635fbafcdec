"""Run `animate train`: build model, clips and loss from configs/train.yaml, train, and report."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from animate.errors import AnimateError
from animate.options import DRAWN, Data, Recipe
from animate.system.observer import QUIET, Observer


def run(settings: dict[str, Any], observer: Observer = QUIET) -> Path:
    """Train as the settings say, resuming from a state in `out`; returns the checkpoint's path.

    Raises AnimateError for wrong settings, before anything is written.
    """
    from animate.system.device import find_device
    from animate.training.log import RunLog
    from animate.training.loop import check_parts, train
    from animate.training.losses.registry import build_loss

    recipe = Recipe.of(settings)
    training, data, optim = recipe.training, recipe.data, recipe.optim
    device = str(find_device(training.device))
    model = motion_model(recipe)
    check_parts(model, training.freeze)
    loss = build_loss(**recipe.loss)
    clips = training_clips(recipe, device)
    held_out = held_out_clips(data)
    run_log = None
    if int(os.environ.get("RANK", "0")) == 0:
        run_log = RunLog(
            training.out,
            steps=optim.steps,
            model=(recipe.motion["name"], recipe.motion["arguments"]),
            settings=settings,
            shown=held_out or clips,
            size=data.size,
            observer=observer,
        )
        (training.out / "settings.json").write_text(json.dumps(settings, indent=2, default=str))
    same = ("freeze", "seed", "precision", "compiled", "deterministic", "log_every", "save_every",
            "keep")  # fmt: skip
    try:
        train(
            model,
            clips,
            loss,
            training.out,
            held_out=held_out,
            size=data.size,
            workers=data.workers,
            device=device,
            stop_at=None if training.hours is None else 3600 * training.hours,
            run_log=run_log,
            **{one.name: getattr(optim, one.name) for one in fields(optim)},
            **{name: getattr(training, name) for name in same},
        )
    except SystemExit:
        if run_log:
            run_log.finish(clips)
        raise
    if run_log:
        run_log.finish(clips)
    return training.out / "checkpoint.safetensors"


def motion_model(recipe: Recipe) -> Any:
    """Build the model, with the weights of the checkpoint `start` if there is one."""
    import torch

    from animate import checkpoints
    from animate.models import build

    start = recipe.training.start
    torch.manual_seed(recipe.training.seed)
    model = build(recipe.motion["name"], **recipe.motion["arguments"])
    if start:
        loaded, info = checkpoints.load(start)
        try:
            model.load_state_dict(loaded.state_dict())
        except RuntimeError as error:
            raise AnimateError(
                f"start={start} holds a {info.model} with {info.arguments}, unlike motion: use the "
                "same motion.name and motion.arguments"
            ) from error
    return model


def training_clips(recipe: Recipe, device: str) -> Any:
    from animate.data.drawn import drawn_clips
    from animate.data.opening import open_clips
    from animate.data.stores import Resident

    data = recipe.data
    if data.clips == DRAWN:
        clips = drawn_clips(side=data.size, augment=recipe.augment)
    else:
        cache = data.cache / "clips" if data.cache else None
        clips = open_clips(
            Path(data.clips), cache, data.landmarks, person=data.person,
            by_person=data.by_person, by_length=data.by_length, augment=recipe.augment,
        )  # fmt: skip
    if data.resident:
        clips.store = Resident(clips.frames, device)
    return clips


def held_out_clips(data: Data) -> Any:
    from animate.data.drawn import drawn_clips
    from animate.data.opening import open_clips

    if data.held_out is None:
        return None
    if data.held_out == DRAWN:
        return drawn_clips(people=3, side=data.size, seed=1)
    return open_clips(Path(data.held_out), data.cache / "held_out" if data.cache else None)
