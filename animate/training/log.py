"""Log a training run: progress bar, log file, TensorBoard, previews, checkpoints, report.

Files in the run's folder: log.jsonl (a line every `log_every` steps, and one for each score),
events.out.* (TensorBoard), checkpoint.safetensors (the averaged weights at the last save),
best.safetensors (those with the best held-out score), preview.png and curves.png (marked),
report.md and summary.json.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from animate import checkpoints
from animate.data.pairs import Clips
from animate.errors import AnimateError, VerificationError
from animate.models.contract import MotionModel
from animate.publish import sheets
from animate.system.environment import environment
from animate.system.observer import QUIET, Observer

ROWS, CELL = 4, 128  # pairs in a preview; side of each picture, pixels
BEST, COPY = "held_out_l1", "held_out_copy_l1"  # scores of the model, and of copying the photo


class RunLog:
    """The log of one run in the folder `out`.

    model: name and constructor arguments, for checkpoints and curves. shown: clips for the preview,
    at `size` pixels. settings: for the report alone.
    """

    def __init__(
        self,
        out: Path,
        *,
        steps: int,
        model: tuple[str, dict[str, Any]],
        settings: dict[str, Any],
        shown: Clips,
        size: int,
        observer: Observer = QUIET,
    ) -> None:
        self.observer = observer
        self.out, self.settings = out, settings
        self.name, self.arguments = model
        self.pairs = preview_pairs(shown, size)
        out.mkdir(parents=True, exist_ok=True)
        self.steps = observer.watch(range(1, steps + 1), steps, "step")
        self.reached = 0
        self.best = min((line[BEST] for line in self.lines() if BEST in line), default=None)
        self.events = _tensorboard(out)
        if self.events is None:
            observer.note("TensorBoard is not installed: there are no event files")

    def lines(self) -> list[dict[str, float]]:
        """The lines of log.jsonl, without one that a kill or a full disk cut short."""
        path = self.out / "log.jsonl"
        if not path.exists():
            return []
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
        former = {"rate": "lr"}  # names in the logs of version 0.2
        return [{former.get(name, name): v for name, v in line.items()} for line in lines]

    def note(self, words: str) -> None:
        """Pass one sentence for the user on."""
        self.observer.note(words)

    def values(self, line: Mapping[str, float]) -> None:
        """Add a line of values to log.jsonl, TensorBoard and the progress bar."""
        try:
            with (self.out / "log.jsonl").open("a+b") as log:
                if log.tell():
                    log.seek(-1, os.SEEK_END)
                    log.write(b"" if log.read(1) == b"\n" else b"\n")  # the last line was cut short
                log.write(json.dumps(dict(line)).encode() + b"\n")
        except OSError as error:
            raise AnimateError(
                f"{self.out}/log.jsonl can't be written ({error.strerror}): free some space; the "
                "same command goes on from the last state"
            ) from error
        step = int(line["step"])
        if self.events:
            for name, value in line.items():
                if name != "step":
                    self.events.add_scalar(name, value, step)
            self.events.flush()
        while self.reached < step:
            self.reached = next(self.steps, step)
        self.observer.values(line)

    def saved(self, model: MotionModel, step: int, scored: Mapping[str, float]) -> None:
        """Save the averaged weights as checkpoints, and publish a preview of them."""
        path = self.out / "checkpoint.safetensors"
        card = {"steps": step, "scores": dict(scored)}
        info = checkpoints.save(path, model, arguments=self.arguments, card=card)
        if scored:
            self.values({"step": step} | dict(scored))
            if self.best is None or scored[BEST] < self.best:
                self.best = scored[BEST]
                checkpoints.save(
                    self.out / "best.safetensors", model, arguments=self.arguments, card=card
                )
        grid = preview(model, *self.pairs)
        path = self.out / "preview.png"
        if self.show(path, grid, info.model, info.sha256) and self.events:
            _add_picture(self.events, path, grid.shape, step)

    def finish(self, clips: Clips) -> Path:
        """Write the report and return its path."""
        self.steps.close()
        if self.events:
            self.events.close()
        return write_report(self, clips)

    def show(self, path: Path, picture: np.ndarray, model: str, sha256: str) -> bool:
        """Publish a picture; returns False, with a note, if it can't carry the mark."""
        try:
            sheets.show(path, picture, model=model, model_sha256=sha256)
        except VerificationError as error:
            self.observer.note(f"no {path.name}: {error}")
            return False
        return True


def _tensorboard(out: Path) -> Any:
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(out))


def _add_picture(events: Any, path: Path, shape: tuple[int, ...], step: int) -> None:
    """Add the published file to TensorBoard, bytes unchanged, so that the mark is in it."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    image = Summary.Image(
        height=shape[0], width=shape[1], colorspace=3, encoded_image_string=path.read_bytes()
    )
    events._get_file_writer().add_summary(
        Summary(value=[Summary.Value(tag="preview", image=image)]), step
    )
    events.flush()


def preview_pairs(clips: Clips, size: int) -> tuple[Tensor, Tensor]:
    """First and middle frames of a few clips, (n, 3, size, size) each."""
    frames = [clips.frames[i] for i in range(min(ROWS, len(clips)))]
    images = [np.stack([f[t] for f in frames for t in (0, len(f) // 2)])]
    found = torch.from_numpy(images[0]).permute(0, 3, 1, 2).float() / 255
    found = torch.nn.functional.adaptive_avg_pool2d(found, size)
    return found[0::2], found[1::2]


@torch.no_grad()
def preview(model: MotionModel, source: Tensor, driving: Tensor) -> np.ndarray:
    """A sheet with a row per pair: source and driver with keypoints, prediction, the photo warped
    by the dense motion, occlusion map (white: visible in the photo), difference to the driver."""
    model.eval()
    out = model(source.to(model.device), driving.to(model.device))
    seen = out.image.float().cpu().clamp(0, 1)
    side = source.shape[-1]
    trusted = torch.nn.functional.interpolate(out.occlusion.float().cpu(), side).expand(
        -1, 3, -1, -1
    )
    columns = {
        "source": with_points(pixels(source), model.points(out.source)),
        "driver": with_points(pixels(driving), model.points(out.driving)),
        "prediction": pixels(seen),
        "warped": pixels(out.warped.float().cpu()),
        "occlusion": pixels(trusted.expand(-1, 3, -1, -1)),
        "difference": pixels((seen - driving).abs()),
    }
    rows = list(zip(*columns.values(), strict=True))
    return sheets.grid(rows, list(columns), cell=CELL)


def pixels(images: Tensor) -> list[np.ndarray]:
    """(n, 3, S, S) in [0, 1] as uint8 (S, S, 3) each."""
    return list(images.clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).numpy())


def with_points(pictures: list[np.ndarray], points: Tensor | None) -> list[np.ndarray]:
    """Pictures with their points (n, K, 2), each in a colour of its own; unchanged without any."""
    if points is None:
        return pictures
    from colorsys import hsv_to_rgb

    count = points.shape[1]
    rainbow = [tuple(int(255 * v) for v in hsv_to_rgb(k / count, 1, 1)) for k in range(count)]
    places = points.float().cpu().numpy()
    return [sheets.dotted(one, at, rainbow) for one, at in zip(pictures, places, strict=True)]


def write_report(run_log: RunLog, clips: Clips) -> Path:
    """Write report.md, summary.json and curves.png from the log."""
    import yaml

    lines, out = run_log.lines(), run_log.out
    names = [
        k for k in dict.fromkeys(k for line in lines for k in line) if k not in ("step", "samples")
    ]
    # By step; the last line of a step counts, as steps are repeated after a kill.
    values = {
        name: dict(sorted({line["step"]: line[name] for line in lines if name in line}.items()))
        for name in names
    }
    last = {name: list(v.values())[-1] for name, v in values.items()}
    lines_of = {name: (list(v), list(v.values())) for name, v in values.items()}
    scores = {name: lines_of.pop(name) for name in (BEST, COPY) if name in lines_of}
    courses = ({"held out": scores} if scores else {}) | {k: {k: v} for k, v in lines_of.items()}
    summary = {"settings": run_log.settings, "last": last, "best": {BEST: run_log.best}}
    (out / "summary.json").write_text(json.dumps(summary, indent=1, default=str) + "\n")
    text = ["# Training run", ""]
    if courses and find_spec("matplotlib"):
        grid = sheets.curves(courses, "step", columns=3)
        if run_log.show(out / "curves.png", grid, run_log.name, "of several steps"):
            text += ["![curves](curves.png)", ""]
    if (out / "preview.png").exists():
        text += ["![source, driver, prediction, warped, occlusion, difference](preview.png)", ""]
        text += [
            "Dots are keypoints. Occlusion: white comes from the photo, black is painted.",
            "",
        ]
    text += ["| at the end | |", "| --- | --- |"]
    text += [f"| {name} | {value:.5g} |" for name, value in last.items()]
    if run_log.best is not None:
        text += [f"| best {BEST} | {run_log.best:.5g} |"]
    text += ["", f"{len(clips)} clips, {int(clips.lengths.sum())} frames; "
             f"{clips.store.skipped} unreadable frames were skipped.", ""]  # fmt: skip
    text += [f"- {k}: {v}" for k, v in environment().items()]
    text += ["", "```yaml", yaml.safe_dump(run_log.settings, sort_keys=False).rstrip(), "```", ""]
    (out / "report.md").write_text("\n".join(text))
    return out / "report.md"


def compare(folder: Path) -> str:
    """A Markdown table of the runs in the sub-folders of a sweep, best first, also written to
    comparison.md: settings that differ, best score, last values."""
    runs = {}
    for path in sorted(folder.glob("*/")):
        files = [path / name for name in ("summary.json", "failed.json")]
        if present := [file for file in files if file.exists()]:
            runs[path.name] = json.loads(present[0].read_text())
    if not any("last" in run for run in runs.values()):
        raise AnimateError(f"no run in {folder} came to its end: see the messages above")
    settings = {name: dict(_flat(run["settings"])) for name, run in runs.items()}
    keys = [k for k in next(iter(settings.values())) if k != "out"]
    differing = [k for k in keys if len({str(s.get(k)) for s in settings.values()}) > 1]
    ends = dict.fromkeys(k for run in runs.values() for k in run.get("last", ()))
    others = [k for k in ends if k not in (BEST, "lr", "rate")]  # "rate" is version 0.2's name
    heads = ["run", *differing, f"best {BEST}", *others]
    text = ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]

    def score(name: str) -> float:
        best = runs[name].get("best", {}).get(BEST)
        return float("inf") if best is None else best

    for name in sorted(runs, key=lambda name: (score(name), len(name), name)):
        run = runs[name]
        cells = [name, *(str(settings[name].get(k)) for k in differing)]
        found = [run.get("best", {}).get(BEST), *(run.get("last", {}).get(k) for k in others)]
        cells += ["-" if value is None else f"{value:.5g}" for value in found]
        text.append("| " + " | ".join(cells) + " |")
    text += ["", *(f"- run {name}: {run['why']}" for name, run in runs.items() if "why" in run)]
    table = "\n".join(text).rstrip() + "\n"
    (folder / "comparison.md").write_text(table)
    return table


def _flat(tree: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        inner = isinstance(value, dict)
        found += _flat(value, f"{above}{key}.") if inner else [(f"{above}{key}", value)]
    return found
