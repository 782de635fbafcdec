"""Pairs of frames from one clip, with landmarks where a teacher gave them, augmented alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from animate.errors import AnimateError
from animate.models import landmarks


@dataclass(frozen=True)
class Pairs:
    """B source and driving images of one person each, seen at the same moment's settings."""

    source: Tensor  # (B, 3, S, S) in [0, 1]
    driving: Tensor  # (B, 3, S, S)
    source_points: Tensor  # (B, K, 2) taught landmarks, NaN where unknown
    driving_points: Tensor  # (B, K, 2)


class Clips:
    """Frames of every clip in a folder, decoded once into `cache` and mapped from there.

    folder: video files or photos of one square size, one person each. teacher: an npz that maps a
    file's stem to (T, 478, 2) landmarks in pixels (scripts/teach_landmarks.py), or None.
    """

    def __init__(self, folder: Path, cache: Path, teacher: Path | None = None) -> None:
        paths = sorted(p for p in Path(folder).glob("*") if p.is_file())
        if not paths:
            raise AnimateError(f"no clips in {folder}: give a folder of videos or photos")
        self.paths = paths
        Path(cache).mkdir(parents=True, exist_ok=True)
        self.frames = [decoded(path, Path(cache)) for path in paths]  # (T, S, S, 3) uint8 each
        self.side = self.frames[0].shape[1]
        self.points = teach(teacher, paths, self.frames)

    def __len__(self) -> int:
        return len(self.frames)

    def draw(self, count: int, size: int, generator: np.random.Generator) -> Pairs:
        """`count` random pairs at `size` pixels; every clip is equally likely."""
        images = np.empty((2, count, self.side, self.side, 3), np.uint8)
        points = np.empty((2, count, len(landmarks.TAUGHT), 2), np.float32)
        for b in range(count):
            clip = generator.integers(len(self))
            for side in range(2):
                t = generator.integers(len(self.frames[clip]))
                images[side, b] = self.frames[clip][t]
                points[side, b] = self.points[clip][t]
        pixels = torch.from_numpy(images).flatten(0, 1).permute(0, 3, 1, 2).float() / 255
        flipped = generator.random(count) < 0.5
        twice = np.concatenate([flipped, flipped])
        pixels[twice] = pixels[twice].flip(-1)
        at = torch.from_numpy(points).flatten(0, 1)
        at[twice] = at[twice][:, list(landmarks.MIRROR)] * torch.tensor([-1.0, 1.0])
        pixels, at = reframe(pixels, at, size, generator)
        source, driving = relight(pixels, generator).chunk(2)
        return Pairs(source, driving, *at.chunk(2))


def decoded(path: Path, cache: Path) -> np.ndarray:
    """The frames of one file, from the cache if they are there."""
    stored = cache / f"{path.stem}.npy"
    if not stored.exists():
        frames = np.stack(list(as_stored(path)))
        if frames.shape[1] != frames.shape[2]:
            raise AnimateError(f"{path} is not square: crop training clips around the face first")
        draft = stored.with_suffix(".part")
        with draft.open("wb") as file:
            np.save(file, frames)
        draft.replace(stored)
    return np.load(stored, mmap_mode="r")


def as_stored(path: Path) -> Iterator[np.ndarray]:
    """The frames of a clip or photo as they are stored, uint8 (H, W, 3): a landmark in pixels means
    these, whatever rotation or pixel aspect a player would apply."""
    import av

    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
    except (av.error.FFmpegError, IndexError) as error:
        raise AnimateError(
            f"{path} can't be read as a training clip: remove it ({error})"
        ) from error


def teach(teacher: Path | None, paths: list[Path], frames: list[np.ndarray]) -> list[np.ndarray]:
    """Taught landmarks (T, K, 2) in [-1, 1] of every clip; NaN without a teacher."""
    if teacher is None:
        return [np.full((len(f), len(landmarks.TAUGHT), 2), np.nan, np.float32) for f in frames]
    if not Path(teacher).exists():
        raise AnimateError(f"no landmarks at {teacher}: make them with scripts/teach_landmarks.py")
    points = []
    with np.load(teacher) as table:
        for path, clip in zip(paths, frames, strict=True):
            found = table[path.stem][:, list(landmarks.TAUGHT)]
            # MediaPipe's pixels run from edge to edge, ours from centre to centre of the corners
            points.append(((found - 0.5) * 2 / (clip.shape[1] - 1) - 1).astype(np.float32))
    return points


def reframe(
    pixels: Tensor, points: Tensor, size: int, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Turn, scale and shift source and driving of each pair alike, and resize to `size`.

    pixels (2B, 3, H, H), points (2B, K, 2). The camera looks at z -> A z + b of the original.
    """
    count = len(pixels) // 2
    angle = generator.normal(0, 0.12, count)
    zoom = np.exp(generator.normal(-0.02, 0.12, count))
    shift = generator.normal(0, 0.07, (count, 2))
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    matrix = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], 1)
    a = torch.from_numpy(matrix).float().repeat(2, 1, 1)  # (2B, 2, 2)
    b = torch.from_numpy(shift).float().repeat(2, 1)
    if pixels.shape[-1] >= 2 * size:
        pixels = F.avg_pool2d(pixels, pixels.shape[-1] // size)
    flow = F.affine_grid(
        torch.cat([a, b[..., None]], -1), [len(a), 3, size, size], align_corners=True
    )
    pixels = F.grid_sample(pixels, flow, padding_mode="reflection", align_corners=True)
    return pixels, (points - b[:, None]) @ torch.linalg.inv(a).mT


def relight(pixels: Tensor, generator: np.random.Generator) -> Tensor:
    """Change brightness, contrast, saturation and gamma of each pair alike; (2B, 3, S, S)."""
    count = len(pixels) // 2

    def factor(spread: float) -> Tensor:
        drawn = np.exp(generator.normal(0, spread, (count, 1, 1, 1)))
        return torch.from_numpy(drawn).float().repeat(2, 1, 1, 1)

    tint = torch.from_numpy(np.exp(generator.normal(0, 0.04, (count, 3, 1, 1)))).float()
    pixels = pixels.clamp(1e-4, 1) ** factor(0.15) * factor(0.1) * tint.repeat(2, 1, 1, 1)
    grey = pixels.mean(1, keepdim=True)
    pixels = grey + (pixels - grey) * factor(0.2)
    mean = pixels.mean((1, 2, 3), keepdim=True)
    return (mean + (pixels - mean) * factor(0.1)).clamp(0, 1)


def ahead(
    clips: Clips, count: int, size: int, seed: int, start: int, depth: int = 3
) -> Iterator[Pairs]:
    """Pairs for step `start`, `start` + 1, ...: drawn in a thread, the same for the same seed."""
    from concurrent.futures import ThreadPoolExecutor

    def at(step: int) -> Pairs:
        return clips.draw(count, size, np.random.default_rng([seed, step]))

    # one core for the loader: two teams of threads on the same cores wait for each other
    with ThreadPoolExecutor(1, initializer=lambda: torch.set_num_threads(1)) as pool:
        waiting = [pool.submit(at, start + i) for i in range(depth)]
        step = start + depth
        while True:
            yield waiting.pop(0).result()
            waiting.append(pool.submit(at, step))
            step += 1
