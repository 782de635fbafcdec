"""Compute the metrics of clips with the measuring models that are available."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from animate.evaluation import faces, landmarks, pixels, transfer
from animate.evaluation.metrics import METRICS, Needs, named

UNMOVED = (
    "it needs head pose and blendshapes, which only MediaPipe's Face Landmarker finds: "
    "landmarks=mediapipe landmarks_file=face_landmarker.task"
)
OTHER = "the driver is another person: there is no ground truth to compare with"


@dataclass(frozen=True)
class Moment:
    """One measured frame of a result, with its error and the driver's frame."""

    error: float
    index: int  # among the measured frames
    driver: np.ndarray  # (S, S, 3) uint8
    result: np.ndarray  # (S, S, 3) uint8


@dataclass
class Record:
    """Measurements of one clip by one method, which grow chunk by chunk."""

    distances: dict[str, list[float]] = field(default_factory=dict)  # by metric, for every frame
    tracks: list[np.ndarray] = field(default_factory=list)  # landmarks (t, K, 2) of each chunk
    moves: list[np.ndarray] = field(default_factory=list)  # head pose and expression (t, Q)
    vectors: dict[int, np.ndarray] = field(default_factory=dict)  # identity vectors by frame
    followed: int = 0  # frames in `tracks`
    errors: list[float | None] = field(default_factory=list)  # by frame, to rank them
    worst: Moment | None = None  # the frame with the largest error


@dataclass
class ClipResult:
    """Results of one clip: each method's numbers and errors by frame, and the worst frame."""

    name: str
    identity: str
    frames: int  # how many were measured
    numbers: dict[str, dict[str, float | None]]  # by method, by metric
    fits: dict[str, dict[str, dict[str, transfer.Fit]]]  # by method, by metric, by quantity
    errors: dict[str, list[float | None]]  # by method, for every frame
    photo: np.ndarray
    worst: Moment | None


class Meter:
    """Measures frames; `missing` maps each unavailable metric to the reason.

    size: side of the frames in pixels. same: the driver is the person in the photo, so its frames
    are the ground truth.
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
            named(Needs.TRACKS, Needs.MOVES),
            "switched off" if landmarks == "none" else None,
            lambda: faces.landmarker(landmarks, landmarks_file),
        )
        if self.landmarker and not self.landmarker.moves:
            self.missing |= dict.fromkeys(named(Needs.MOVES), UNMOVED)
        scheme: Any = self.landmarker and self.landmarker.scheme
        unaligned = "faces are aligned by landmarks, which are missing"
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
        """What `make` returns; None if `absent` or Missing, with that reason for its metrics."""
        try:
            if absent is None:
                return make()
        except faces.Missing as reason:
            absent = str(reason)
        self.missing |= dict.fromkeys(metrics, absent)
        return None

    def had(self, *needs: Needs) -> list[str]:
        """The available metrics that need one of these."""
        return [name for name in named(*needs) if name not in self.missing]

    def pool(self, frames: list[np.ndarray], targets: list[np.ndarray]) -> None:
        """Add the model's next frames and the target frames to the metrics over all clips."""
        if names := self.had(Needs.POOL):
            result, target = tensor(frames), tensor(targets)
            for name in names:
                self.functions[name].add(result, target)

    def pooled(self) -> dict[str, float]:
        """The metrics over all clips; one without a value is put into `missing`."""
        values = {}
        for name in self.had(Needs.POOL):
            try:
                values[name] = self.functions[name].value()
            except faces.Missing as reason:
                self.missing[name] = str(reason)
        return values

    def close(self) -> None:
        if self.landmarker:
            self.landmarker.close()

    def vector(self, photo: np.ndarray) -> np.ndarray | None:
        """The identity vector of a photo; None without a face or an identity model."""
        face = self.landmarker.find(photo) if self.identity else None
        return None if face is None else self.identity.embed(photo, face.points)

    def follow(self, record: Record, frames: list[np.ndarray]) -> None:
        """Track the face in the next frames of a method; each `identity_every`-th frame gets an
        identity vector."""
        if self.landmarker is None:
            return
        track, moves = self.landmarker.track(frames)
        for i, frame in enumerate(frames):
            t = record.followed + i
            if self.identity and t % self.identity_every == 0 and np.isfinite(track[i]).all():
                record.vectors[t] = self.identity.embed(frame, track[i])
        record.tracks.append(track)
        record.moves.append(moves)
        record.followed += len(frames)

    def compare(
        self,
        record: Record,
        frames: list[np.ndarray],
        targets: list[np.ndarray],
        photo: np.ndarray | None,
    ) -> None:
        """Compare the next frames, after `follow`, with the driver's at the same times; where the
        driver is another person, with the photo's identity vector."""
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
                identity_distance(record.vectors.get(start + i), photo) for i in range(len(frames))
            ]
        record.errors += errors
        for i, error in enumerate(errors):
            if error is not None and (record.worst is None or error > record.worst.error):
                record.worst = Moment(error, start + i, targets[i], frames[i])

    def numbers(
        self, record: Record, target: Record, photo: np.ndarray | None, side: int
    ) -> dict[str, float | None]:
        """The metrics of one clip and method, without those in `missing`."""
        values: dict[str, float | None] = {
            k: float(np.mean(v)) for k, v in record.distances.items()
        }
        if self.landmarker:
            ours, theirs = (np.concatenate(r.tracks) for r in (record, target))
            tracks = landmarks.Tracks(ours, theirs, self.landmarker.scheme, side)
            values |= {name: self.functions[name](tracks) for name in self.had(Needs.TRACKS)}
        if self.identity:
            both = sorted(set(record.vectors) & set(target.vectors))
            ours, theirs = (np.array([r.vectors[i] for i in both]) for r in (record, target))
            known = bool(both) and photo is not None
            for need, others in ((Needs.IDENTITY, photo), (Needs.IDENTITIES, theirs)):
                for name in self.had(need):
                    values[name] = self.functions[name](ours, others) if known else None
        return values

    def fits(self, record: Record, target: Record) -> dict[str, dict[str, transfer.Fit]]:
        """What the metrics of movement find in one clip and method, by metric and quantity."""
        if not (names := self.had(Needs.MOVES)):
            return {}
        ours, theirs = (np.concatenate(r.moves) for r in (record, target))
        moves = transfer.Moves(ours, theirs, self.landmarker.moves)
        return {name: self.functions[name](moves) for name in names}


def identity_distance(vector: np.ndarray | None, photo: np.ndarray | None) -> float | None:
    """Cosine distance of a frame's identity vector to the photo's; None if either is unknown."""
    if vector is None or photo is None:
        return None
    return float(1 - vector @ photo / np.linalg.norm(vector) / np.linalg.norm(photo))


def tensor(frames: list[np.ndarray]) -> Tensor:
    """Convert T frames uint8 (S, S, 3) to (T, 3, S, S) in [0, 1]."""
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float().div(255)
