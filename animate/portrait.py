"""One run: a photo and a driving video become one published, marked and verified file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from animate import __version__, checkpoints, clips
from animate.errors import AnimateError
from animate.faces import Locator, cut, locator
from animate.models.contract import Motion, MotionModel
from animate.publish import Published, check, publish
from animate.watermark import Claim, Mark, Payload
from animate.watermark.pixels import DEFAULT as STRENGTH

PRECISIONS = ("auto", "float32", "bfloat16")
BATCH = 4  # frames that the network sees at once, always: how it rounds depends on their number


def portrait(
    photo: str | Path,
    clip: str | Path,
    out: str | Path,
    *,
    model: str | None = None,
    checkpoint: str | Path | None = "first_order_gated",
    relative: bool = True,
    adapt_scale: bool = True,
    reference: int = 0,
    faces: str = "centre",
    box: Sequence[float] | None = None,
    clip_box: Sequence[float] | None = None,
    truncated: str = "error",
    chunk: int = 8,
    device: str = "auto",
    precision: str = "auto",
    seed: int = 0,
    strength: float = STRENGTH,
    consent: str = "not stated",
    force: bool = False,
    progress: bool = False,
) -> Published:
    """Animate the face in `photo` like the one in `clip` and publish the marked video as `out`.

    `checkpoint` is a name in the index or a file, and must hold a `model` where one is named.
    `relative`, `adapt_scale` and `reference` (a frame of the clip, from 0) say how the motion is
    carried over. `box` and `clip_box` are the faces as (x, y, width, height) in pixels where the
    locator `faces` is not to look for them. `chunk` frames travel together. `consent` is kept in
    the file as it stands. Raises AnimateError for whatever the caller can mend, VerificationError
    when the finished draft does not carry its mark; neither leaves a file behind.
    """
    photo, clip, out = Path(photo), Path(clip), Path(out)
    if chunk < 1 or reference < 0:
        raise AnimateError(f"chunk is {chunk}, reference {reference}: use 1 or more, 0 or more")
    torch.manual_seed(seed)
    place = find_device(device)
    driver_face, photo_face = locator(faces, clip_box), locator(faces, box)
    picture = clips.read_photo(photo)
    driver = clips.open_clip(clip, truncated=truncated)
    check(out, rate=driver.rate, force=force, inputs=[photo, clip])  # before the work
    network, info = checkpoints.load(checkpoint, device=str(place))
    if model is not None and info.model != model:
        raise AnimateError(
            f"{info.path} holds a {info.model}, not a {model}: use motion={info.model}"
        )
    stage = Stage(ready(network), chunk, find_precision(precision, place))
    source = stage.encode(_cut_photo(picture, photo, photo_face, network.size))

    def crops() -> Iterator[np.ndarray]:
        for frame, face in driver_face.track(driver.frames()):
            yield cut(frame, face, network.size)

    first = stage.track([_nth(crops(), reference, clip)] * BATCH)[:1] if reference else None
    frames = stage.frames(source, crops(), first, relative=relative, adapt_scale=adapt_scale)
    claim = Claim.now(
        generator=f"animate {__version__}",
        model=info.model,
        model_sha256=info.sha256,
        photo_sha256=clips.sha256(photo),
        clip_sha256=clips.sha256(clip),
        consent=consent,
    )
    hidden = None if progress else True  # None: shown on a terminal only
    with tqdm(frames, total=driver.length, unit="frame", disable=hidden) as shown:
        return publish(
            out,
            shown,
            mark=Mark(Payload.of(claim), strength=strength),
            claim=claim,
            rate=driver.rate,
            sound=clip if driver.sound else None,
            force=force,
        )


@dataclass(frozen=True)
class Stage:
    """A motion model at work on frames: uint8 (S, S, 3) in and out, `chunk` of them held at a time.

    Points are always found in float32; rendering may run in bfloat16.
    """

    model: MotionModel
    chunk: int
    precision: torch.dtype

    def encode(self, photo: np.ndarray) -> Any:
        """The model's `Source` of a cropped photo."""
        with torch.inference_mode():
            return self.model.encode(self._tensor([photo]))

    def track(self, frames: list[np.ndarray]) -> Motion:
        """The poses of cropped driving frames."""
        with torch.inference_mode():
            return self.model.track(self._tensor(frames))

    def frames(
        self, source: Any, driving: Iterable[np.ndarray], first: Motion | None, **retarget: bool
    ) -> Iterator[np.ndarray]:
        """The photo moved like each driving frame; `first` is the reference pose, else frame 0."""
        for chunk in clips.chunks(driving, self.chunk):
            for some in clips.chunks(chunk, BATCH):
                motion = self.track(some + some[-1:] * (BATCH - len(some)))
                first = motion[:1] if first is None else first
                moved = self.retarget(source, motion, first, **retarget)
                yield from self.render(source, moved)[: len(some)]

    def retarget(self, source: Any, motion: Motion, first: Motion, **retarget: bool) -> Motion:
        """Poses carried over to the photo, relative to the one pose `first`."""
        with torch.inference_mode():
            return self.model.retarget(source, motion, first, **retarget)

    def render(self, source: Any, motion: Motion) -> np.ndarray:
        """The photo in every pose, (T, S', S', 3) uint8."""
        low = self.precision is not torch.float32
        with (
            torch.inference_mode(),
            torch.autocast(self.model.device.type, self.precision, enabled=low),
        ):
            image = self.model.render(source, motion).float()  # (T, 3, S', S')
        pixels = image.clamp(0, 1).mul(255).round().to(torch.uint8)
        return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()

    def _tensor(self, frames: list[np.ndarray]) -> torch.Tensor:
        """(T, 3, S, S) in [0, 1] on the model's device."""
        pixels = torch.from_numpy(np.stack(frames)).to(self.model.device)
        return pixels.permute(0, 3, 1, 2).float().div(255)


def ready(model: MotionModel) -> MotionModel:
    """The model prepared for inference: normalisation folded, weights laid out channels last."""
    model = model.eval().fuse()
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


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


def find_precision(name: str, device: torch.device) -> torch.dtype:
    """The type to render in; "auto" is bfloat16 where the machine has instructions for it."""
    if name not in PRECISIONS:
        raise AnimateError(f"precision is {name}: use one of {', '.join(PRECISIONS)}")
    if name != "auto":
        return torch.bfloat16 if name == "bfloat16" else torch.float32
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        able: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
        fast = bool(able.get("amx_bf16") or able.get("avx512_bf16"))
    else:
        fast = False
    return torch.bfloat16 if fast else torch.float32


def _cut_photo(picture: np.ndarray, path: Path, face: Locator, size: int) -> np.ndarray:
    try:
        return cut(picture, face.locate(picture), size)
    except AnimateError as error:
        raise AnimateError(f"{path}: {error}") from error


def _nth(frames: Iterable[np.ndarray], index: int, clip: Path) -> np.ndarray:
    frame = next(islice(frames, index, None), None)
    if frame is None:
        raise AnimateError(f"{clip} has no frame {index}: use a smaller retarget.reference")
    return frame
