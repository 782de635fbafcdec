"""The settings of `animate train`, besides those of the motion model and the loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animate.system.settings import REQUIRED, Group, setting

DRAWN = "drawn"  # data.clips and data.held_out: synthetic faces instead of a folder


@dataclass(frozen=True)
class Training(Group):
    """A training run."""

    out: Path = setting(REQUIRED, "folder of the run: states, log, report, checkpoint.safetensors")
    start: Path | None = setting(
        None, "checkpoint to start from: a path, or a name from `animate checkpoint list`"
    )
    freeze: tuple[str, ...] = setting((), "parts of the model that aren't trained")
    seed: int = setting(0, "seed of the first weights, the pairs and the model's noise", least=0)
    device: str = setting("auto", "auto (CUDA if there is one), cpu, cuda")
    precision: str = setting(
        "auto",
        "of autocast: auto (bfloat16 if the machine is fast at it), float32, bfloat16, float16",
        words=("auto", "float32", "bfloat16", "float16"),
    )
    compiled: bool = setting(False, "compile the model's training pass by torch.compile")
    deterministic: bool = setting(False, "use deterministic kernels wherever torch has them")
    log_every: int = setting(50, "steps between lines of the log", least=1)
    save_every: int = setting(500, "steps between saved states", least=1)
    keep: int = setting(2, "number of states to keep", least=1)
    hours: float | None = setting(
        None, "hours after which to save and stop; the same command resumes", above=0
    )


@dataclass(frozen=True)
class Data(Group):
    """Clips of people: videos, folders of frames, or shards of `animate prepare`."""

    prefix = "data."

    clips: Path | str = setting(
        REQUIRED, "folder; or drawn: synthetic faces, for trying out a recipe", words=(DRAWN,)
    )
    held_out: Path | str | None = setting(
        None,
        "folder of people who are not in clips, scored at every save; or drawn",
        words=(DRAWN,),
    )
    landmarks: Path | None = setting(
        None, "npz with a teacher's landmarks of clips (scripts/teach_landmarks.py)"
    )
    person: Path | None = setting(
        None, "folder with person masks of clips (scripts/teach_person.py)"
    )
    cache: Path | None = setting(
        None, "folder for the decoded frames of videos, 0.2 MB each at 256 pixels"
    )
    size: int = setting(256, "side of the training images in pixels", least=16, most=4096)
    by_person: bool = setting(False, "draw a person first, then one of their clips")
    by_length: bool = setting(False, "weight clips by the square root of their number of frames")
    resident: bool = setting(False, "keep all frames in the device's memory, uint8")
    workers: int = setting(1, "threads that draw pairs ahead", least=1, most=256)

    def check(self) -> None:
        if self.clips == DRAWN:
            self.refuse(("landmarks", "person"), "with data.clips=drawn")
            if self.held_out in (None, DRAWN):
                self.refuse(("cache",), "with drawn faces")


@dataclass(frozen=True)
class Augment(Group):
    """Standard deviations of the random augmentation: turn in radians, shift in half sides, the
    others of the factor's logarithm."""

    prefix = "data.augment."

    turn: float = setting(0.12, "random turn: standard deviation, radians", least=0, most=5)
    zoom: float = setting(0.12, "random zoom: of the factor's logarithm", least=0, most=5)
    shift: float = setting(0.07, "random shift: half sides", least=0, most=5)
    gamma: float = setting(0.15, "random gamma: of its logarithm", least=0, most=5)
    gain: float = setting(0.1, "random brightness: of the factor's logarithm", least=0, most=5)
    tint: float = setting(0.04, "the same of each colour", least=0, most=5)
    saturation: float = setting(0.2, "random saturation: of its logarithm", least=0, most=5)
    contrast: float = setting(0.1, "random contrast: of its logarithm", least=0, most=5)


@dataclass(frozen=True)
class Optim(Group):
    """The optimiser (Adam), its schedule and the averaged weights."""

    prefix = "optim."

    steps: int = setting(100_000, "in total, over all resumed runs", least=1)
    batch: int = setting(8, "pairs per step, over all processes", least=1)
    accumulate: int = setting(1, "micro-batches per step and process", least=1)
    lr: float = setting(4e-4, "learning rate", above=0)
    betas: tuple[float, ...] = setting(
        (0.9, 0.99), "Adam's two betas, from 0 to below 1", count=2, least=0, below=1
    )
    warm_up: int = setting(200, "steps until the full lr", least=0)
    decay: float = setting(
        0.2,
        "last share of the steps, in which lr falls to a twentieth",
        least=0,
        most=1,
    )
    milestones: tuple[int, ...] = setting((), "steps at which lr falls to a tenth", least=1)
    ema: float = setting(
        0.999,
        "decay per step of the averaged weights, which are the result",
        least=0,
        below=1,
    )
    clip_norm: float = setting(5.0, "largest gradient norm; .inf: any", above=0, infinite=True)


@dataclass(frozen=True)
class Recipe:
    """All settings of a training run; the model and the loss check their own."""

    training: Training
    data: Data
    augment: Augment
    optim: Optim
    motion: Mapping[str, Any]  # name, and arguments of its constructor
    loss: Mapping[str, Any]  # name, and arguments of its constructor

    @classmethod
    def of(cls, tree: Mapping[str, Any]) -> Recipe:
        """The recipe in nested settings, as `config.settings("train")` returns them. Raises
        AnimateError for a value that a setting can't have. Settings that version 0.2 recorded call
        `optim.lr` `optim.rate`."""
        rest = dict(tree)
        nested = {name: dict(rest.pop(name)) for name in ("data", "optim", "motion", "loss")}
        rest.pop("hydra", None)
        augment, optim = nested["data"].pop("augment"), nested["optim"]
        if "rate" in optim:
            optim["lr"] = optim.pop("rate")
        return cls(
            Training(**rest),
            Data(**nested["data"]),
            Augment(**augment),
            Optim(**optim),
            nested["motion"],
            nested["loss"],
        )
