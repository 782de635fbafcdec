"""The models that measure, as far as they are there, and what they find in a clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from animate.evaluation import faces, motion, pixels
from animate.evaluation.metrics import METRICS, Needs, named

OTHER = "another person drives: there is no true picture to compare with"


@dataclass(frozen=True)
class Moment:
    """A frame of a result that is worth showing."""

    error: float
    index: int  # among the measured frames
    driver: np.ndarray
    result: np.ndarray


@dataclass
class Record:
    """What was seen of one clip by one method."""

    distances: dict[str, list[float]] = field(default_factory=dict)  # for every frame
    tracks: list[np.ndarray] = field(default_factory=list)  # (t, K, 2) of each chunk
    vectors: dict[int, np.ndarray] = field(default_factory=dict)  # of identity, by frame
    followed: int = 0  # frames
    errors: list[float | None] = field(default_factory=list)  # that the worst are chosen by
    worst: Moment | None = None


@dataclass
class ClipResult:
    """One clip: for each method its numbers and its error frame by frame, and the worst moment."""

    name: str
    identity: str
    frames: int
    numbers: dict[str, dict[str, float | None]]
    errors: dict[str, list[float | None]]
    photo: np.ndarray
    worst: Moment | None


class Meter:
    """Measures frames; `missing` names each metric that can't be had, with the reason.

    size: side of the frames. same: the driver is the person of the photo, so that there is a true
    picture to compare with.
    """

    def __init__(
        self,
        *,
        same: bool,
        size: int,
        landmarks: str,
        landmarks_file: Path | None,
        identity: str,
        identity_every: int,
        lpips: Path | None,
        inception: Path | None,
    ) -> None:
        self.same, self.identity_every = same, identity_every
        self.missing: dict[str, str] = {}
        self.landmarker = self._get(
            named(Needs.TRACKS),
            "switched off" if landmarks == "none" else None,
            lambda: faces.landmarker(landmarks, landmarks_file),
        )
        scheme: Any = self.landmarker and self.landmarker.scheme
        unaligned = "faces are aligned by landmarks, and there are none"
        self.identity = self._get(
            named(Needs.IDENTITY, Needs.IDENTITIES),
            "switched off" if identity == "none" else None if scheme else unaligned,
            lambda: faces.identity(identity, scheme),
        )
        setup = pixels.Setup(size, lpips, inception)
        self.functions: dict[str, Any] = {
            name: self._get([name], None, partial(metric.load, setup))
            if metric.load
            else metric.compute
            for name, metric in METRICS.items()
        }
        for name, metric in METRICS.items():
            if size < metric.smallest:
                self.missing[name] = f"it needs {metric.smallest} pixels a side"
        if not same:
            self.missing |= {name: OTHER for name, m in METRICS.items() if m.true_picture}

    def _get(self, metrics: Sequence[str], absent: str | None, make: Callable[[], Any]) -> Any:
        """What `make` makes, or None, with the reason noted for its metrics."""
        try:
            if absent is None:
                return make()
        except faces.Missing as reason:
            absent = str(reason)
        self.missing |= dict.fromkeys(metrics, absent)
        return None

    def had(self, *needs: Needs) -> list[str]:
        """The metrics that need one of these and can be had."""
        return [name for name in named(*needs) if name not in self.missing]

    def pool(self, frames: list[np.ndarray], targets: list[np.ndarray]) -> None:
        """Add the model's next frames and the true ones to the metrics over all clips."""
        if names := self.had(Needs.POOL):
            result, target = tensor(frames), tensor(targets)
            for name in names:
                self.functions[name].add(result, target)

    def pooled(self) -> dict[str, float]:
        """The metrics over all clips; the reason is noted where there is none."""
        found = {}
        for name in self.had(Needs.POOL):
            try:
                found[name] = self.functions[name].value()
            except faces.Missing as reason:
                self.missing[name] = str(reason)
        return found

    def close(self) -> None:
        if self.landmarker:
            self.landmarker.close()

    def vector(self, photo: np.ndarray) -> np.ndarray | None:
        """The identity of a photo, None where it shows no face or there is no model."""
        points = self.landmarker.find(photo) if self.identity else None
        return None if points is None else self.identity.embed(photo, points)

    def follow(self, record: Record, frames: list[np.ndarray]) -> None:
        """Find the face in the next frames of a method, and now and then whose it is."""
        if self.landmarker is None:
            return
        track = self.landmarker.track(frames)
        for i, frame in enumerate(frames):
            at = record.followed + i
            if self.identity and at % self.identity_every == 0 and np.isfinite(track[i]).all():
                record.vectors[at] = self.identity.embed(frame, track[i])
        record.tracks.append(track)
        record.followed += len(frames)

    def judge(
        self,
        record: Record,
        frames: list[np.ndarray],
        targets: list[np.ndarray],
        photo: np.ndarray | None,
    ) -> None:
        """Compare the next frames, already followed, with the driver's of the same moments; where
        another person drives, with the identity in the photo."""
        start = len(record.errors)
        errors: list[float | None] = []
        if self.same:
            result, target = tensor(frames), tensor(targets)
            for name in self.had(Needs.FRAMES):
                values = self.functions[name](result, target).tolist()
                record.distances.setdefault(name, []).extend(values)
            by = "lpips" if "lpips" in record.distances else "l1"
            errors += record.distances[by][start:]
        else:
            errors += [
                strangeness(record.vectors.get(start + i), photo) for i in range(len(frames))
            ]
        record.errors += errors
        for i, error in enumerate(errors):
            if error is not None and (record.worst is None or error > record.worst.error):
                record.worst = Moment(error, start + i, targets[i], frames[i])

    def numbers(
        self, record: Record, target: Record, photo: np.ndarray | None, side: int
    ) -> dict[str, float | None]:
        """The numbers of one clip and method; those in `missing` are left out."""
        found: dict[str, float | None] = {k: float(np.mean(v)) for k, v in record.distances.items()}
        if self.landmarker:
            ours, theirs = (np.concatenate(r.tracks) for r in (record, target))
            tracks = motion.Tracks(ours, theirs, self.landmarker.scheme, side)
            found |= {name: self.functions[name](tracks) for name in self.had(Needs.TRACKS)}
        if self.identity:
            both = sorted(set(record.vectors) & set(target.vectors))
            ours, theirs = (np.array([r.vectors[i] for i in both]) for r in (record, target))
            known = bool(both) and photo is not None
            for need, others in ((Needs.IDENTITY, photo), (Needs.IDENTITIES, theirs)):
                for name in self.had(need):
                    found[name] = self.functions[name](ours, others) if known else None
        return found


def strangeness(vector: np.ndarray | None, photo: np.ndarray | None) -> float | None:
    """Cosine distance of an identity to the photo's, where both are known."""
    if vector is None or photo is None:
        return None
    return float(1 - vector @ photo / np.linalg.norm(vector) / np.linalg.norm(photo))


def tensor(frames: list[np.ndarray]) -> Tensor:
    """(T, 3, S, S) in [0, 1] of frames uint8 (S, S, 3)."""
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float().div(255)
