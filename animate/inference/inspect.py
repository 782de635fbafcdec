"""Look inside a run: keypoints, deformation, what is moved and what is painted, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from animate import __version__, checkpoints
from animate.errors import AnimateError
from animate.faces import locator
from animate.inference.compose import Actor, dotted, fitted, look
from animate.inference.driver import Driver, Playing, open_driver
from animate.inference.predictor import Pose, Retarget, Stage, find_head
from animate.media import clips
from animate.models.contract import Motion
from animate.models.geometry import resize_flow
from animate.publish import Published, check, publish
from animate.publish.sheets import grid
from animate.system.device import find_device
from animate.watermark import DEFAULT as STRENGTH
from animate.watermark import Claim, Mark, Payload

SIDE = 256  # pixels of each picture's side
HEADS = ("driver", "photo", "photo, moved", "deformation", "photo's share", "result")
LINES = 16  # of the deformation grid, across


def inspect(
    photo: str | Path,
    clip: str | Path,
    out: str | Path,
    *,
    frames: int = 4,
    model: str | None = None,
    checkpoint: str | Path | None = "first_order_gated",
    relative: bool = True,
    adapt_scale: bool = True,
    reference: int | str = "auto",
    head: float | str = "auto",
    mouth: float = 1.0,
    eyes: float = 1.0,
    faces: str = "auto",
    which: int | str = "largest",
    clip_which: int | str = "largest",
    box: Sequence[float] | None = None,
    clip_box: Sequence[float] | None = None,
    missing: str = "hold",
    weights: str | Path | None = None,
    start: float = 0,
    end: float | None = None,
    truncated: str = "error",
    device: str = "auto",
    precision: str = "auto",
    strength: float = STRENGTH,
    consent: str = "not stated",
    force: bool = False,
) -> Published:
    """Publish a picture with a row for each of `frames` frames, spread over the clip's span.

    Columns: the driver and the photo with their keypoints, the photo with the points it is moved
    to, the grid that the motion makes of a square one, the share of the photo in each pixel (dark
    where the model paints: occlusion or gate), the result. The other arguments are those of
    `animate.portrait`. Raises AnimateError for whatever the caller can mend.
    """
    photo, clip, out = Path(photo), Path(clip), Path(out)
    if not 1 <= frames <= 32:
        raise AnimateError(f"{frames} frames to inspect: use 1 to 32")
    how = Retarget(
        relative, adapt_scale, {"head": find_head(head, False), "mouth": mouth, "eyes": eyes}
    )
    playing = Playing(missing, truncated, start, end, reference=reference)
    view = look(photo, locator(faces, box, which, weights), everyone=False)
    driver = open_driver(clip, locator(faces, clip_box, clip_which, weights), playing)
    check(out, rate=None, force=force, inputs=[photo, clip])
    place = find_device(device)
    network, info = checkpoints.load(checkpoint, device=str(place))
    if model is not None and info.model != model:
        raise AnimateError(
            f"{info.path} holds a {info.model}, not a {model}: use motion={info.model}"
        )
    stage = Stage.of(network, precision)
    actor = Actor.of(stage, view.photo, view.boxes[0])
    anchor = driver.anchor(stage, actor.own) if relative else None
    rows, labels = [], []
    for index, pose in spread(driver, stage, frames):
        anchor = pose.motion if anchor is None else anchor
        rows.append(_row(stage, actor, pose, anchor, how))
        number = driver.first + index
        labels.append(f"frame {number}, {float(number / driver.rate):.2f} s")
    claim = Claim.now(
        generator=f"animate {__version__}",
        model=info.model,
        model_sha256=info.sha256,
        photo_sha256=clips.sha256(photo),
        clip_sha256=driver.sha256,
        consent=consent,
    )
    sheet = grid(rows, HEADS, labels)
    mark = Mark(Payload.of(claim), strength=strength)
    # a drawing that says itself what it shows
    return publish(out, [sheet], mark=mark, claim=claim, rate=None, label=None, force=force)


def spread(driver: Driver, stage: Stage, count: int) -> list[tuple[int, Pose]]:
    """`count` poses spread over a driver, with their numbers; each is seen once, few are kept.

    Where the length isn't known, a pose is kept whenever twice as many have gone by, so that those
    kept stay evenly spread.
    """
    kept: list[tuple[int, Pose]] = []
    step = max(1, (driver.length or count) // count)
    for index, pose in enumerate(driver.poses(stage)):
        if index % step == 0:
            kept.append((index, pose))
        if len(kept) > 2 * count:
            kept, step = kept[::2], step * 2
    return kept[:: max(1, len(kept) // count)][:count]


def _row(stage: Stage, actor: Actor, pose: Pose, anchor: Motion, how: Retarget) -> list[np.ndarray]:
    moved = stage.retarget(actor.source, pose.motion, anchor, how)
    seen = stage.explain(actor.source, moved)
    blank = np.full((SIDE, SIDE, 3), 255, np.uint8)
    photo = fitted(actor.crop, SIDE)
    driver = blank if pose.crop is None else fitted(pose.crop, SIDE)
    result = fitted(stage.render(actor.source, moved)[0], SIDE)
    return [
        dotted(driver, pose.motion),
        dotted(photo, actor.own),
        dotted(result, moved),
        deformed(result, resize_flow(seen.flow.float(), SIDE, SIDE)[0].cpu().numpy()),
        shares(seen.share[0, 0].float().cpu().numpy()),
        result,
    ]


def deformed(picture: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """A square grid as a flow (S, S, 2) deforms it, over a faded picture (S, S, 3)."""
    import cv2

    side = picture.shape[0]
    lines = np.zeros((side, side), np.uint8)
    for at in np.linspace(0, side - 1, LINES + 1).round().astype(int):
        cv2.line(lines, (at, 0), (at, side), 255, 1)
        cv2.line(lines, (0, at), (side, at), 255, 1)
    place = ((flow + 1) / 2 * (side - 1)).astype(np.float32)
    drawn = cv2.remap(lines, place, None, cv2.INTER_LINEAR)[..., None] / 255
    faded = picture * 0.4 + 255 * 0.6
    return (faded * (1 - drawn) + np.array([200, 30, 30]) * drawn).astype(np.uint8)


def shares(share: np.ndarray) -> np.ndarray:
    """A map in [0, 1] as a picture: white 1, black 0."""
    import cv2

    wide = cv2.resize(share, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR).clip(0, 1)
    return np.repeat((255 * wide).astype(np.uint8)[..., None], 3, -1)
