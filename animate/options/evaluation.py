"""The settings of `animate evaluate`, besides those of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from animate.system.settings import REQUIRED, Group, setting


@dataclass(frozen=True)
class Evaluation(Group):
    """What `animate evaluate` measures; checkpoint, device and precision are in `Options`."""

    pairs: Path | None = setting(
        None, "CSV of source,driving in data: photos, and other people's clips that move them"
    )
    every: int = setting(1, "measure every N-th frame", least=1)
    limit: int | None = setting(None, "most frames measured of a clip; null: all", least=1)
    baselines: tuple[str, ...] = setting(
        ("photo",),
        "baselines measured beside the model: photo (unchanged), driver (pasted)",
        words=("photo", "driver"),
    )
    landmarks: str = setting(
        "auto",
        "model that finds landmarks; auto: the first one installed",
        words=("auto", "mediapipe", "face_alignment", "dlib", "none"),
    )
    landmarks_file: Path | None = setting(
        None, "MediaPipe's face_landmarker.task, or the folder with face-alignment's weights"
    )
    identity: str = setting("dlib", "model that compares identities", words=("dlib", "none"))
    identity_every: int = setting(5, "compare identity in every N-th measured frame", least=1)
    lpips: Path | None = setting(None, "alexnet-owt-7be5be79.pth, AlexNet of torchvision")
    inception: Path | None = setting(None, "pt_inception-2015-12-05-6726825d.pth, for FID")
    seed: int = setting(0, "seed of the bootstrap intervals", least=0)


@dataclass(frozen=True)
class EvaluationFolders(Group):
    """Where `animate evaluate` reads and writes."""

    data: Path = setting(REQUIRED, "folder of square clips: videos, or folders of frames")
    out: Path = setting(REQUIRED, "folder for report.json, report.md, curves.png and worst.png")
