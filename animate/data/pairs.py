"""Random pairs of frames of one person, augmented alike; landmarks where a teacher gave them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from animate.data.folders import Frames
from animate.data.stores import Resident, Store
from animate.faces import mesh


@dataclass(frozen=True)
class Pairs:
    """B source and driving images of one person each, seen at the same moment's settings."""

    source: Tensor  # (B, 3, S, S) in [0, 1]
    driving: Tensor  # (B, 3, S, S)
    source_points: Tensor  # (B, K, 2) taught landmarks, NaN where unknown
    driving_points: Tensor  # (B, K, 2)
    rows: slice | None = None  # which of the step's pairs these are, over all processes; all
    total: int = 0  # how many the step has; 0: these are all
    source_person: Tensor | None = None  # (B, 1, S, S) 1 where a person is, NaN where unknown
    driving_person: Tensor | None = None  # (B, 1, S, S)

    def to(self, device: torch.device | str) -> Pairs:
        """On a device, images channels last."""
        moved = {
            f.name: getattr(self, f.name).to(device, non_blocking=True)
            for f in fields(self)
            if isinstance(getattr(self, f.name), Tensor)
        }
        for name in ("source", "driving"):
            moved[name] = moved[name].contiguous(memory_format=torch.channels_last)
        return replace(self, **moved)


@dataclass(frozen=True)
class Choice:
    """All that chance decides of B pairs; every field is an array whose first axis is B.

    Drawn for the whole step at once, so that any split of it over processes or micro-batches sees
    the same pairs.
    """

    clip: np.ndarray  # (B,) which
    frame: np.ndarray  # (B, 2) of the source, of the driver
    flip: np.ndarray  # (B,) bool
    angle: np.ndarray  # (B,) radians
    zoom: np.ndarray
    shift: np.ndarray  # (B, 2)
    gamma: np.ndarray  # (B,) and so on: factors around 1
    gain: np.ndarray
    tint: np.ndarray  # (B, 3)
    saturation: np.ndarray
    contrast: np.ndarray

    def __getitem__(self, rows: slice) -> Choice:
        return Choice(*(getattr(self, f.name)[rows] for f in fields(self)))


@dataclass(frozen=True)
class Augment:
    """How far pairs are changed at random: standard deviations, of turn in radians, of shift in
    half sides, of the others in logarithms."""

    turn: float = 0.12
    zoom: float = 0.12
    shift: float = 0.07
    gamma: float = 0.15
    gain: float = 0.1
    tint: float = 0.04
    saturation: float = 0.2
    contrast: float = 0.1


def choose(
    lengths: np.ndarray,
    groups: Sequence[np.ndarray],
    count: int,
    generator: np.random.Generator,
    by: Augment,
    chance: np.ndarray | None = None,
) -> Choice:
    """`count` random pairs: a group, a clip of it, two different frames where it has them.

    Groups are equally likely, or as `chance` says.
    """

    def around_one(spread: float, *shape: int) -> np.ndarray:
        return np.exp(generator.normal(0, spread, (count, *shape)))

    group = generator.choice(len(groups), size=count, p=chance)
    within = generator.random(count)
    within *= [len(groups[g]) for g in group]
    clip = np.array([groups[g][int(w)] for g, w in zip(group, within, strict=True)])
    first = generator.integers(lengths[clip])
    further = 1 + (generator.random(count) * (lengths[clip] - 1)).astype(int)
    return Choice(
        clip=clip,
        frame=np.stack([first, (first + further) % lengths[clip]], 1),
        flip=generator.random(count) < 0.5,
        angle=generator.normal(0, by.turn, count),
        zoom=np.exp(generator.normal(-by.zoom / 6, by.zoom, count)),
        shift=generator.normal(0, by.shift, (count, 2)),
        gamma=around_one(by.gamma),
        gain=around_one(by.gain),
        tint=around_one(by.tint, 3),
        saturation=around_one(by.saturation),
        contrast=around_one(by.contrast),
    )


class Clips:
    """Clips of one person each, and the landmarks that a teacher found in them.

    names, frames and points run alike: frames[i][t] is uint8 (S, S, 3), points[i] (T, K, 2) in
    [-1, 1] with NaN where nothing is known (or None for all). people, where given, says who is in
    each clip: then every person is equally likely to be drawn, else every clip; by_length: the
    chance grows with the root of the frames instead, so that a pair of photos is not seen as often
    as a clip of hundreds. masks, where given, are uint8 (T, S, S) or None for each clip: where the
    person is. `store` is where frames are fetched from: the files, or a copy in a device's memory.
    """

    def __init__(
        self,
        names: Sequence[str],
        frames: Sequence[Frames],
        points: Sequence[np.ndarray] | None = None,
        people: Sequence[str] | None = None,
        augment: Augment | None = None,
        masks: Sequence[np.ndarray | None] | None = None,
        by_length: bool = False,
    ) -> None:
        unknown = np.full((1, len(mesh.TAUGHT), 2), np.nan, np.float32)
        self.names, self.frames = names, frames
        self.points = points or [unknown.repeat(len(f), 0) for f in frames]
        self.store: Store | Resident = Store(names, frames)
        self.lengths = np.array([len(f) for f in frames])
        self.augment = augment or Augment()
        who = np.array(people or names)
        self.groups = [np.flatnonzero(who == one) for one in sorted(set(who))]
        root = np.sqrt([self.lengths[group].sum() for group in self.groups])
        self.chance = root / root.sum() if by_length else None
        self.masks = masks

    def __len__(self) -> int:
        return len(self.frames)

    def draw(
        self,
        count: int,
        size: int,
        generator: np.random.Generator,
        rows: slice = slice(None),
        device: torch.device | str = "cpu",
    ) -> Pairs:
        """The pairs `rows` of `count` random ones, at `size` pixels, on a device."""
        choice = choose(self.lengths, self.groups, count, generator, self.augment, self.chance)[
            rows
        ]
        clip, frame = np.tile(choice.clip, 2), choice.frame.T.ravel()
        pixels = self.store.fetch(clip, frame, device).permute(0, 3, 1, 2).float() / 255
        points = np.stack([self.points[c][t] for c, t in zip(clip, frame, strict=True)])
        at = torch.from_numpy(points).to(pixels.device)
        pixels = torch.cat([pixels, *self.people(clip, frame, pixels)], 1)
        pixels, at = flip(pixels, at, choice)
        pixels, at = reframe(pixels, at, size, choice)
        source, driving = relight(pixels[:, :3], choice).chunk(2)
        ours, theirs = at.chunk(2)
        people = pixels[:, 3:].chunk(2) if self.masks else ()
        return Pairs(source, driving, ours, theirs, rows, count, *people)

    def people(self, clip: np.ndarray, frame: np.ndarray, like: Tensor) -> list[Tensor]:
        """Where the person is in frames (n, 3, S, S): one (n, 1, S, S), or nothing at all."""
        if not self.masks:
            return []
        found = like.new_full((len(like), 1, *like.shape[2:]), torch.nan)
        for i, (c, t) in enumerate(zip(clip, frame, strict=True)):
            mask = self.masks[c]
            if mask is not None:
                found[i, 0] = torch.from_numpy(np.array(mask[t])).to(like) / 255
        return [found]


def flip(pixels: Tensor, points: Tensor, choice: Choice) -> tuple[Tensor, Tensor]:
    """Mirror both images of the chosen pairs; a landmark becomes its twin."""
    twice = torch.from_numpy(np.tile(choice.flip, 2)).to(pixels.device)
    mirrored = points[:, list(mesh.MIRROR)] * points.new_tensor([-1.0, 1.0])
    return (
        torch.where(twice[:, None, None, None], pixels.flip(-1), pixels),
        torch.where(twice[:, None, None], mirrored, points),
    )


def reframe(pixels: Tensor, points: Tensor, size: int, choice: Choice) -> tuple[Tensor, Tensor]:
    """Turn, scale and shift source and driving of each pair alike, and resize to `size`.

    pixels (2B, C, H, H), points (2B, K, 2). The camera looks at z -> A z + b of the original.
    """
    cos, sin = choice.zoom * np.cos(choice.angle), choice.zoom * np.sin(choice.angle)
    matrix = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], 1)
    a = torch.from_numpy(matrix).float().repeat(2, 1, 1).to(pixels.device)  # (2B, 2, 2)
    b = torch.from_numpy(choice.shift).float().repeat(2, 1).to(pixels.device)
    if pixels.shape[-1] >= 2 * size:
        pixels = F.avg_pool2d(pixels, pixels.shape[-1] // size)
    flow = F.affine_grid(
        torch.cat([a, b[..., None]], -1), [len(a), 1, size, size], align_corners=True
    )
    pixels = F.grid_sample(pixels, flow, padding_mode="reflection", align_corners=True)
    return pixels, (points - b[:, None]) @ torch.linalg.inv(a).mT


def relight(pixels: Tensor, choice: Choice) -> Tensor:
    """Change brightness, contrast, saturation and gamma of each pair alike; (2B, 3, S, S)."""

    def factor(drawn: np.ndarray) -> Tensor:
        return (
            torch.from_numpy(np.tile(drawn.reshape(len(drawn), -1), (2, 1)))
            .float()[:, :, None, None]
            .to(pixels.device)
        )

    pixels = pixels.clamp(1e-4, 1) ** factor(choice.gamma) * factor(choice.gain)
    pixels = pixels * factor(choice.tint)
    grey = pixels.mean(1, keepdim=True)
    pixels = grey + (pixels - grey) * factor(choice.saturation)
    mean = pixels.mean((1, 2, 3), keepdim=True)
    return (mean + (pixels - mean) * factor(choice.contrast)).clamp(0, 1)


def ahead(
    clips: Clips,
    count: int,
    size: int,
    seed: int,
    start: int,
    *,
    micro: Sequence[slice] = (slice(None),),
    device: torch.device | str = "cpu",
    workers: int = 1,
) -> Generator[list[Pairs], None, None]:
    """For step `start`, `start` + 1, ...: its `micro`-batches, drawn in threads that work ahead.

    The same for the same seed and step, whoever asks for which rows of the `count` pairs.
    """
    from concurrent.futures import ThreadPoolExecutor

    def at(step: int) -> list[Pairs]:
        return [
            clips.draw(count, size, np.random.default_rng([seed, step]), rows, device)
            for rows in micro
        ]

    # one core for each: two teams of threads on the same cores wait for each other
    with ThreadPoolExecutor(workers, initializer=lambda: torch.set_num_threads(1)) as pool:
        step = start + workers + 2
        waiting = [pool.submit(at, i) for i in range(start, step)]
        try:
            while True:
                yield waiting.pop(0).result()
                waiting.append(pool.submit(at, step))
                step += 1
        finally:
            for job in waiting:
                job.cancel()
