"""Report an evaluation: JSON for machines, Markdown for people, error curves, the worst clips."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from animate.errors import AnimateError
from animate.evaluation import transfer
from animate.evaluation.measure import ClipResult
from animate.evaluation.metrics import METRICS, Needs, named, numbered
from animate.evaluation.statistics import Estimate, by_identity, estimate
from animate.publish import sheets
from animate.publish.sheets import Line
from animate.system.environment import environment

WORST = 10  # clips on the sheet of worst frames
CELL = 192  # pixels: side of each picture on that sheet


@dataclass(frozen=True)
class Report:
    """All measurements, and the `settings` that they were made with."""

    protocol: str
    settings: dict[str, Any]
    missing: dict[str, str]  # metric: reason
    methods: Sequence[str]
    clips: Sequence[ClipResult]
    pooled: dict[str, float]  # the model's metrics over all clips together

    def column(self, method: str, metric: str) -> list[float | None]:
        return [clip.numbers[method].get(metric) for clip in self.clips]

    def mean(self, method: str, metric: str) -> Estimate | None:
        """The mean over clips with its interval; None if nothing was measured."""
        if METRICS[metric].needs is Needs.POOL:
            known = metric in self.pooled and method == "model"
            return Estimate(self.pooled[metric], None, None, len(self.clips)) if known else None
        who = [clip.identity for clip in self.clips]
        return estimate(self.column(method, metric), who, self.settings["seed"])

    def shares(self, method: str, metric: str) -> dict[str, transfer.Share | None]:
        """The medians by group of a metric of movement; {} if it is missing."""
        if metric in self.missing:
            return {}
        who = [clip.identity for clip in self.clips]
        fits = [clip.fits[method][metric] for clip in self.clips]
        return transfer.shares(fits, who, self.settings["seed"])

    def frame_weighted_l1(self, method: str) -> float | None:
        """L1 with equal weight for every frame, as in the original reconstruction script."""
        values, frames = self.column(method, "l1"), [clip.frames for clip in self.clips]
        if any(v is None for v in values):
            return None
        return float(np.average(np.array(values, float), weights=frames))

    def frame(self, index: int) -> int:
        """The number, within the clip, of the measured frame `index`."""
        first = 0 if self.settings["pairs"] else 1
        return (index + first) * self.settings["every"]

    def as_dict(self) -> dict[str, Any]:
        """The report as plain containers for JSON; a missing metric is null, `missing` says why."""
        who = [clip.identity for clip in self.clips]
        methods = {}
        for method in self.methods:
            means = {metric: self.mean(method, metric) for metric in numbered()}
            methods[method] = {
                "mean": {k: None if v is None else asdict(v) for k, v in means.items()},
                "l1_frame_weighted": self.frame_weighted_l1(method),
                "identities": {m: by_identity(self.column(method, m), who) for m in numbered()},
                "clips": {clip.name: clip.numbers[method] for clip in self.clips},
                "errors": {clip.name: clip.errors[method] for clip in self.clips},
            } | {metric: self._movement(method, metric) for metric in named(Needs.MOVES)}
        return {
            "protocol": self.protocol,
            "settings": self.settings,
            "environment": environment(),
            "metrics": {name: metric.explained for name, metric in METRICS.items()},
            "missing": self.missing,
            "clips": {c.name: {"identity": c.identity, "frames": c.frames} for c in self.clips},
            "methods": methods,
        }

    def _movement(self, method: str, metric: str) -> dict[str, Any] | None:
        """A metric of movement as plain containers: by group, and by clip and quantity."""
        if metric in self.missing:
            return None
        groups = self.shares(method, metric)
        fits = {clip.name: clip.fits[method][metric] for clip in self.clips}
        return {
            "groups": {k: None if v is None else asdict(v) for k, v in groups.items()},
            "clips": {name: {k: asdict(v) for k, v in own.items()} for name, own in fits.items()},
        }


def write(report: Report, out: Path, inputs: Sequence[Path]) -> None:
    """Write report.json, report.md, curves.png and worst.png into the folder `out`."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.json").write_text(json.dumps(report.as_dict(), indent=1) + "\n")
        (out / "report.md").write_text(markdown(report))
    except OSError as error:
        raise AnimateError(
            f"out={out} can't be written to ({error}): use another folder"
        ) from error
    made = {key: report.settings[key] for key in ("model", "model_sha256")}
    panels = curves(report)
    if any(panels.values()):
        picture = sheets.curves(panels, "frame of the clip")
        sheets.show(out / "curves.png", picture, photos=inputs, drivers=inputs, **made)
    sheet = worst(report)
    if sheet is not None:
        sheets.show(out / "worst.png", sheet, photos=inputs, drivers=inputs, **made)


def markdown(report: Report) -> str:
    """The report as Markdown, with tables over all clips, by person and by clip."""
    measured = [m for m in numbered() if any(report.mean(name, m) for name in report.methods)]
    lines = ["# Evaluation", "", f"Protocol: {report.protocol}.", ""]
    lines += [f"- {key}: {value}" for key, value in report.settings.items()]
    lines += [f"- {key}: {value}" for key, value in environment().items()]
    people = len({clip.identity for clip in report.clips})
    frames = sum(clip.frames for clip in report.clips)
    lines += ["", f"{frames} frames of {len(report.clips)} clips of {people} people. Mean over "
              "clips, with its 95 % interval from a bootstrap over people.", ""]  # fmt: skip
    rows = [[m, *(_cell(m, report.mean(name, m), len(report.clips)) for name in report.methods)]
            for m in measured]  # fmt: skip
    weighted = [report.frame_weighted_l1(name) for name in report.methods]
    if any(v is not None for v in weighted):
        rows.insert(1, ["l1, every frame alike", *map(METRICS["l1"].text, weighted)])
    lines += table(["", *report.methods], rows)
    lines += ["", *(f"- {m}: {METRICS[m].explained}" for m in measured)]
    lines += [f"- {m}: missing, {why}" for m, why in report.missing.items()]
    own = [m for m in measured if METRICS[m].needs is not Needs.POOL]
    who = [clip.identity for clip in report.clips]
    each = {m: by_identity(report.column("model", m), who) for m in own}
    lines += ["", "## The model, person by person", ""]
    lines += table(["", *own], [[i, *(METRICS[m].text(each[m][i]) for m in own)]
                                for i in sorted(set(who))])  # fmt: skip
    lines += ["", "## The model, clip by clip", ""]
    lines += table(["", *own], [[c.name, *(METRICS[m].text(c.numbers["model"].get(m)) for m in own)]
                                for c in report.clips])  # fmt: skip
    for metric in named(Needs.MOVES):
        if metric not in report.missing:
            lines += _movement(report, metric)
    return "\n".join(lines) + "\n"


def _movement(report: Report, metric: str) -> list[str]:
    """The tables of a metric of movement: every method's medians by group, the model's by clip."""
    number = METRICS[metric].text
    shares = {method: report.shares(method, metric) for method in report.methods}
    heads = ["", "clips", "series"]
    heads += [f"{method}, {what}" for method in report.methods for what in ("slope", "r")]
    rows = []
    for group, share in shares["model"].items():
        row = [group, *((str(share.slope.clips), str(share.series)) if share else ("0", "0"))]
        for one in (shares[method][group] for method in report.methods):
            row += [_cell(metric, v, v.clips) for v in (one.slope, one.r)] if one else ["-", "-"]
        rows.append(row)
    each = []
    for clip in report.clips:
        middles = transfer.middles(clip.fits["model"][metric])
        each.append([clip.name, *(", ".join(map(number, m)) if m else "-" for m in middles)])
    lines = ["", f"## {metric.capitalize()}", "", f"{METRICS[metric].explained}.", ""]
    lines += table(heads, rows)
    lines += ["", f"## The model, {metric} clip by clip: slope, r", ""]
    return lines + table(["", *transfer.GROUPS], each)


def summary_line(report: Report, method: str) -> str:
    """The means of one method, as the command prints them: "l1 0.0123, csim 0.9876"."""
    means = {m: report.mean(method, m) for m, metric in METRICS.items() if metric.printed}
    return ", ".join(
        f"{m} {mean.value:.{METRICS[m].digits}f}" for m, mean in means.items() if mean is not None
    )


def movement_lines(report: Report) -> list[str]:
    """The model's medians of each metric of movement, as the command prints them after the means:
    "model, transfer (slope, r): yaw 0.98, 0.99; ..."."""
    lines = []
    for metric in named(Needs.MOVES):
        number, shares = METRICS[metric].text, report.shares("model", metric)
        known = [
            f"{group} {number(share.slope.value)}, {number(share.r.value)}"
            for group, share in shares.items()
            if share is not None
        ]
        if known:
            lines.append(f"model, {metric} (slope, r): {'; '.join(known)}")
    return lines


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def _cell(metric: str, value: Estimate | None, clips: int) -> str:
    if value is None:
        return "-"
    number = METRICS[metric].text
    text = number(value.value)
    if value.low is not None:
        text += f" ({number(value.low)} to {number(value.high)})"
    return text if value.clips == clips else f"{text}, {value.clips} clips"


def curves(report: Report) -> dict[str, dict[str, Line]]:
    """Errors by frame for two panels: each method's mean over clips, and the model's clips."""
    means: dict[str, Line] = {}
    for method in report.methods:
        errors = [clip.errors[method] for clip in report.clips]
        longest = max(map(len, errors))
        padded = np.full((len(errors), longest), np.nan)
        for row, values in zip(padded, errors, strict=True):
            row[: len(values)] = [np.nan if v is None else v for v in values]
        at = np.flatnonzero(np.isfinite(padded).any(0))
        means[method] = ([report.frame(int(i)) for i in at], np.nanmean(padded[:, at], 0).tolist())
    each: dict[str, Line] = {}
    for clip in ranked(report):
        known = [(i, v) for i, v in enumerate(clip.errors["model"]) if v is not None]
        each[clip.name] = ([report.frame(i) for i, _ in known], [v for _, v in known])
    kind = error_kind(report)
    return {f"{kind}: mean over clips": means, f"{kind}: the model, worst clips named": each}


def error_kind(report: Report) -> str:
    """The name of the error by which clips and frames are ranked."""
    if "csim" in report.missing or "l1" not in report.missing:
        return "LPIPS" if "lpips" not in report.missing else "L1"
    return "identity, 1 - CSIM"


def ranked(report: Report) -> list[ClipResult]:
    """The clips from worst to best, by the model's mean error."""

    def error(clip: ClipResult) -> float:
        known = [v for v in clip.errors["model"] if v is not None]
        return -float(np.mean(known)) if known else 0.0

    return sorted(report.clips, key=error)


def worst(report: Report) -> np.ndarray | None:
    """A picture of the worst clips at their worst frames: photo, driver, result, and the difference
    where the driver's frame is the ground truth."""
    same = "l1" not in report.missing
    rows, labels = [], []
    for clip in ranked(report)[:WORST]:
        if clip.worst is None:
            continue
        moment = clip.worst
        row = [clip.photo, moment.driver, moment.result]
        if same:
            row.append(np.abs(moment.driver.astype(int) - moment.result).astype(np.uint8))
        rows.append(row)
        frame, kind = report.frame(moment.index), error_kind(report)
        labels.append(f"{clip.name}, frame {frame}: {kind} {moment.error:.4f}")
    heads = ["photo", "driver", "result", "difference"][: 3 + same]
    return sheets.grid(rows, heads, labels, CELL) if rows else None
