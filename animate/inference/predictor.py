"""A motion model at work on frames: on which device, how precisely, how many at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import groupby
from typing import Any

import numpy as np
import torch

from animate.errors import AnimateError
from animate.media.clips import chunks
from animate.models.contract import Insight, Motion, MotionModel
from animate.system.parallel import ALONE, in_order

PRECISIONS = ("auto", "float32", "bfloat16", "int8")
BATCH = 4  # frames that the network sees at once, always: how it rounds depends on their number
THREADS = 4  # at most, unless told otherwise: more wait for what feeds them


@dataclass(frozen=True)
class Pose:
    """One pose of a driver; with a `fresh` one a new scene begins."""

    motion: Motion  # of one
    fresh: bool = False
    crop: np.ndarray | None = None  # (S, S, 3) uint8: the picture it was found in


@dataclass(frozen=True)
class Retarget:
    """How poses are carried over to the photo.

    `amplify` maps regions of the face to factors, 1 where it says nothing; "head" is the movement
    of the whole head. Raises AnimateError when absolute motion is to be amplified.
    """

    relative: bool = True
    adapt_scale: bool = True
    amplify: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.changed and not self.relative:
            raise AnimateError(
                f"retarget.{next(iter(self.changed))} amplifies relative motion: use "
                "retarget.relative=true"
            )

    @property
    def keeps_head(self) -> bool:
        """Whether the head stays as the photo has it."""
        return self.amplify.get("head", 1) == 0

    @property
    def changed(self) -> dict[str, float]:
        return {name: gain for name, gain in self.amplify.items() if gain != 1}


@dataclass(frozen=True)
class Stage:
    """A motion model at work on frames: uint8 (S, S, 3) in and out, `threads` batches at a time.

    Rendering may run in bfloat16, and finding points where the model keeps them fine by itself; in
    int8, as the model is packed. Torch has one thread for each batch, so that a result does not
    depend on how many there are.
    """

    model: MotionModel
    precision: torch.dtype
    threads: int = 1

    @classmethod
    def of(cls, model: MotionModel, precision: str = "auto", threads: int = 1) -> Stage:
        """A stage for a model as it was loaded, which is prepared for inference in place.

        Normalisation is folded, weights are laid out channels last, or packed. Raises AnimateError
        where there is no such precision here.
        """
        kind = find_precision(precision, model.device, model.eight_bits)
        model = model.eval().fuse()
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if kind is torch.int8:
            model.pack()
        return cls(model, kind, threads)

    def encode(self, photo: np.ndarray) -> Any:
        """The model's `Source` of a cropped photo."""
        with ALONE, torch.inference_mode():
            return self.model.encode(self._tensor([photo]))

    def track(self, frames: list[np.ndarray]) -> Motion:
        """The poses of cropped driving frames."""
        with ALONE, torch.inference_mode(), self._autocast(self.model.fine):
            return self.model.track(self._tensor(frames))

    def poses(self, frames: Iterable[np.ndarray]) -> Iterator[Pose]:
        """The pose of each cropped driving frame."""
        for some in in_order(self.seen, chunks(frames, BATCH), self.threads):
            yield from some

    def seen(self, frames: list[np.ndarray]) -> list[Pose]:
        """The poses of at most BATCH cropped driving frames."""
        if not frames:
            return []
        motion = self.track(frames + frames[-1:] * (BATCH - len(frames)))
        return [Pose(motion[i : i + 1], crop=crop) for i, crop in enumerate(frames)]

    def frames(
        self, source: Any, driving: Iterable[np.ndarray], first: Motion | None, **retarget: Any
    ) -> Iterator[np.ndarray]:
        """The photo moved like each driving frame; `first` is the reference pose, else frame 0."""
        return self.animate(source, self.poses(driving), first, Retarget(**retarget))

    def animate(
        self, source: Any, poses: Iterable[Pose], first: Motion | None, how: Retarget
    ) -> Iterator[np.ndarray]:
        """The photo in each pose, relative to `first` or, without one and after a scene cut, to the
        scene's first pose."""

        def anchored(pose: Pose) -> tuple[Motion, Motion]:
            nonlocal first
            if first is None or pose.fresh:
                first = pose.motion
            return first, pose.motion

        def rendered(some: list[tuple[Motion, Motion]]) -> np.ndarray:
            full = some + some[-1:] * (BATCH - len(some))
            scenes = [list(scene) for _, scene in groupby(full, key=lambda pair: id(pair[0]))]
            moved = [
                self.retarget(source, together([pose for _, pose in scene]), scene[0][0], how)
                for scene in scenes
            ]
            return self.render(source, together(moved))[: len(some)]

        for frames in in_order(rendered, chunks(map(anchored, poses), BATCH), self.threads):
            yield from frames

    def retarget(self, source: Any, motion: Motion, first: Motion, how: Retarget) -> Motion:
        """Poses carried over to the photo, relative to the one pose `first`.

        Raises AnimateError where a region is to be amplified that the model doesn't know.
        """
        unknown = [name for name in how.changed if name not in self.model.regions]
        if unknown:
            known = ", ".join(self.model.regions) or "none"
            raise AnimateError(
                f"this motion model can't amplify {unknown[0]} by itself (only: {known}): use "
                f"retarget.{unknown[0]}=1"
            )
        with torch.inference_mode():
            return self.model.retarget(
                source,
                motion,
                first,
                relative=how.relative,
                adapt_scale=how.adapt_scale,
                **({"amplify": how.changed} if how.changed else {}),
            )

    def unlike(self, own: Motion, motion: Motion) -> float:
        """How far one pose is from another, whose place, size and roll don't count."""
        with torch.inference_mode():
            return float(self.model.unlike(own, motion))

    def apart(self, own: Motion, motion: Motion) -> float:
        """How far the head of one pose is from that of another, in half crops."""
        with torch.inference_mode():
            return float(self.model.apart(own, motion))

    def explain(self, source: Any, motion: Motion) -> Insight:
        """What `render` does with the same arguments, without autocast."""
        with torch.inference_mode():
            return self.model.explain(source, motion)

    def render(self, source: Any, motion: Motion) -> np.ndarray:
        """The photo in every pose, (T, S', S', 3) uint8."""
        with ALONE, torch.inference_mode(), self._autocast():
            image = self.model.render(source, motion).float()  # (T, 3, S', S')
        pixels = image.clamp(0, 1).mul_(255).round_().to(torch.uint8)
        return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()

    def _autocast(self, able: bool = True) -> torch.autocast:
        low = able and self.precision.is_floating_point and self.precision is not torch.float32
        return torch.autocast(self.model.device.type, self.precision, enabled=low)

    def _tensor(self, frames: list[np.ndarray]) -> torch.Tensor:
        """(T, 3, S, S) in [0, 1] on the model's device."""
        pixels = torch.from_numpy(np.stack(frames)).to(self.model.device)
        return pixels.permute(0, 3, 1, 2).float().div(255)


def together(motions: list[Motion]) -> Motion:
    """Motions of the same model, one after the other."""
    one = motions[0]
    return replace(
        one, **{f.name: torch.cat([getattr(m, f.name) for m in motions]) for f in fields(one)}
    )


def values(motion: Motion) -> np.ndarray:
    """The numbers of one pose as a row (n,), float32; whole numbers are pictures, not pose."""
    row = torch.cat([part.flatten() for part in _numbers(motion).values()])
    return row.float().cpu().numpy()


def with_values(like: Motion, row: torch.Tensor) -> Motion:
    """The inverse of `values`, for a pose of the same kind as `like`."""
    parts = _numbers(like)
    pieces = row.float().split([part.numel() for part in parts.values()])
    filled = {
        name: piece.view(part.shape).to(part)
        for (name, part), piece in zip(parts.items(), pieces, strict=True)
    }
    return replace(like, **filled)


def between(one: Motion, other: Motion, share: float) -> Motion:
    """One pose and a `share` in [0, 1] of the way to another; its pictures are those of the one."""
    parts, ends = _numbers(one), _numbers(other)
    return replace(one, **{name: torch.lerp(parts[name], ends[name], share) for name in ends})


def _numbers(motion: Motion) -> dict[str, torch.Tensor]:
    parts = {f.name: getattr(motion, f.name) for f in fields(motion)}
    return {name: part for name, part in parts.items() if part.is_floating_point()}


def find_head(head: float | str, keeps: bool) -> float:
    """The factor of the head's movement; "auto" is 0 where a person `keeps` her own, else 1."""
    if head == "auto":
        return 0.0 if keeps else 1.0
    if isinstance(head, (bool, str)):
        raise AnimateError(f"retarget.head is {head}: use auto, or a factor such as 0 or 1")
    return head


def find_device(name: str) -> torch.device:
    """The device called `name`; "auto" is CUDA where there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError) as error:
        raise AnimateError(f"device {name} can't be used here: use device=auto or cpu") from error
    return device


def find_threads(count: int | str, device: torch.device) -> int:
    """How many batches are worked on at once; "auto" is as many as torch has threads on the CPU."""
    if count == "auto":
        return min(THREADS, torch.get_num_threads()) if device.type == "cpu" else 1
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise AnimateError(f"threads is {count}: use auto, or a number from 1 on")
    return count


def find_precision(name: str, device: torch.device, eight_bits: bool = False) -> torch.dtype:
    """The type to render in, by a model that may have eight bits.

    "auto" is int8, or else bfloat16, where the machine has instructions for it. Raises AnimateError
    for int8 where model or machine can't.
    """
    if name not in PRECISIONS:
        raise AnimateError(f"precision is {name}: use one of {', '.join(PRECISIONS)}")
    cpu = device.type == "cpu"
    able: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)() if cpu else {}
    packs = eight_bits and quick_at_int8(able)
    if name == "int8" and not packs:
        needs = "a processor with VNNI" if eight_bits else "another motion model"
        raise AnimateError(f"precision=int8 needs {needs}: use precision=auto")
    if name != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "int8": torch.int8}[name]
    if packs:
        return torch.int8
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = quick_at_bfloat16(able)
    return torch.bfloat16 if fast else torch.float32


def quick_at_int8(able: Mapping[str, Any]) -> bool:
    """Has a processor of these capabilities, and this torch, exact products of bytes (VNNI)?

    Without them sums of two products are cut at 16 bits.
    """
    there = hasattr(torch.ops.onednn, "qconv2d_pointwise")
    return there and bool(able.get("avx512_vnni") or able.get("avx_vnni"))


def quick_at_bfloat16(able: Mapping[str, Any]) -> bool:
    """Is a processor of these capabilities quicker in bfloat16 than in float32?

    An Intel processor with float16 has AMX as well. Where a virtual machine hides that from it,
    what is left of bfloat16 takes twice as long as float32 (`docs/benchmarks.md`).
    """
    hidden = bool(able.get("avx512_fp16")) and "Intel" in str(able.get("cpu_name"))
    return bool(able.get("amx_bf16") or (able.get("avx512_bf16") and not hidden))
