"""Draw random pairs of frames of one person, augmented alike, with taught landmarks if any."""

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
from animate.options import Augment


@dataclass(frozen=True)
class Pairs:
    """B pairs of source and driving image, each pair of one person and augmented alike."""

    source: Tensor  # (B, 3, S, S) in [0, 1]
    driving: Tensor  # (B, 3, S, S)
    source_points: Tensor  # (B, K, 2) taught landmarks, NaN where unknown
    driving_points: Tensor  # (B, K, 2)
    rows: slice | None = None  # which pairs of the step, over all processes; None: all
    total: int = 0  # pairs of the step, over all processes; 0: these are all
    source_person: Tensor | None = None  # (B, 1, S, S): 1 on the person, NaN where unknown
    driving_person: Tensor | None = None  # (B, 1, S, S)

    def to(self, device: torch.device | str) -> Pairs:
        """Move to a device, with images channels last."""
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
    """All random choices for B pairs; every field is an array whose first axis is B.

    They are drawn for the whole step at once, so the pairs don't depend on how the step is split
    over processes or micro-batches.
    """

    clip: np.ndarray  # (B,) index
    frame: np.ndarray  # (B, 2) indices of source and driving frame
    flip: np.ndarray  # (B,) bool
    angle: np.ndarray  # (B,) radians
    zoom: np.ndarray  # (B,) factor
    shift: np.ndarray  # (B, 2) half sides
    gamma: np.ndarray  # (B,) exponent around 1
    gain: np.ndarray  # (B,) factor around 1, like those below
    tint: np.ndarray  # (B, 3)
    saturation: np.ndarray  # (B,)
    contrast: np.ndarray  # (B,)

    def __getitem__(self, rows: slice) -> Choice:
        return Choice(*(getattr(self, f.name)[rows] for f in fields(self)))


def choose(
    lengths: np.ndarray,
    groups: Sequence[np.ndarray],
    count: int,
    generator: np.random.Generator,
    by: Augment,
    chance: np.ndarray | None = None,
) -> Choice:
    """Draw `count` random pairs: a group, one of its clips, two frames of that clip.

    The frames differ unless the clip has only one. `chance` are the probabilities of the groups;
    None: all are equally likely.
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
    """Clips of one person each, with the landmarks that a teacher found in them.

    names, frames, points, people and masks have an item for each clip. frames[i][t] is uint8
    (S, S, 3); points[i] is (T, K, 2) in [-1, 1], NaN where unknown; masks[i], the person's mask, is
    uint8 (T, S, S) or None. With people, every person is equally likely to be drawn, else every
    clip. by_length: the chance grows with the root of the number of frames instead, so that a pair
    of photos is drawn less often than a clip of hundreds. `store` fetches frames from the files or
    from a copy in a device's memory.
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
        identities = np.array(people or names)
        self.groups = [np.flatnonzero(identities == person) for person in sorted(set(identities))]
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
        """Draw `count` random pairs; return those of `rows`, at `size` pixels, on a device."""
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
        """The masks of the person in n frames, as a list of one (n, 1, S, S); empty without masks.

        `like` are the frames (n, 3, S, S). NaN where a clip has no mask.
        """
        if not self.masks:
            return []
        masks = like.new_full((len(like), 1, *like.shape[2:]), torch.nan)
        for i, (c, t) in enumerate(zip(clip, frame, strict=True)):
            mask = self.masks[c]
            if mask is not None:
                masks[i, 0] = torch.from_numpy(np.array(mask[t])).to(like) / 255
        return [masks]


def flip(pixels: Tensor, points: Tensor, choice: Choice) -> tuple[Tensor, Tensor]:
    """Mirror both images of the chosen pairs; left and right landmarks change places."""
    chosen = torch.from_numpy(np.tile(choice.flip, 2)).to(pixels.device)
    mirrored = points[:, list(mesh.MIRROR)] * points.new_tensor([-1.0, 1.0])
    return (
        torch.where(chosen[:, None, None, None], pixels.flip(-1), pixels),
        torch.where(chosen[:, None, None], mirrored, points),
    )


def reframe(pixels: Tensor, points: Tensor, size: int, choice: Choice) -> tuple[Tensor, Tensor]:
    """Rotate, scale and shift both images of each pair alike, and resize them to `size`.

    pixels (2B, C, H, H), points (2B, K, 2). The new image at z shows the original at A z + b.
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
    """Change gamma, brightness, tint, saturation and contrast of each pair alike; (2B, 3, S, S)."""

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
    """Yield the `micro`-batches of step `start`, `start` + 1, ..., drawn in background threads.

    The `count` pairs of a step depend only on seed and step; `micro` are slices of them.
    """
    from concurrent.futures import ThreadPoolExecutor

    def at(step: int) -> list[Pairs]:
        return [
            clips.draw(count, size, np.random.default_rng([seed, step]), rows, device)
            for rows in micro
        ]

    # single-threaded torch in each worker: several thread pools on the same cores would block
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
