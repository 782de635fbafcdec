"""From the plain settings of configs/train.yaml to a trained checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from animate.errors import AnimateError


def run(settings: dict[str, Any]) -> Path:
    """Train as the settings say, going on where `out` stands; returns the checkpoint's path."""
    from animate import checkpoints
    from animate.models import build
    from animate.training.data import Clips
    from animate.training.loop import train
    from animate.training.losses import Guidance, Reenactment

    losses = {"keypoints": Guidance, "reenactment": Reenactment}
    out, data, loss, motion = (settings[key] for key in ("out", "data", "loss", "motion"))
    kind = losses.get(loss.pop("name"))
    if kind is None:
        raise AnimateError(f"no such loss: use one of {', '.join(losses)}")
    cache = Path(data["cache"])
    clips = Clips(data["clips"], cache / "clips", data["landmarks"])
    held_out = Clips(data["held_out"], cache / "held_out") if data["held_out"] else None
    model = build(motion["name"], **motion["arguments"])
    if settings["start"]:
        begun, _ = checkpoints.load(settings["start"])
        model.load_state_dict(begun.state_dict())
    hours = settings["hours"]
    trained = train(
        model,
        clips,
        kind(**loss),
        Path(out),
        held_out=held_out,
        size=data["size"],
        device=pick_device(settings["device"]),
        stop_at=None if hours is None else 3600 * hours,
        freeze=tuple(settings["freeze"]),
        **settings["optim"],
        **{key: settings[key] for key in ("seed", "precision", "log_every", "save_every")},
    )
    (Path(out) / "settings.json").write_text(json.dumps(settings, indent=2, default=str))
    path = Path(out) / "checkpoint.safetensors"
    checkpoints.save(path, trained, arguments=motion["arguments"])
    return path


def pick_device(name: str) -> str:
    """`auto` is the GPU where there is one."""
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
