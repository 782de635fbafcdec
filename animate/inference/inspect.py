"""Draw the inside of a run as one picture: keypoints, deformation, and moved or painted parts."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from animate.errors import AnimateError
from animate.inference.advice import foreseen, of_reference
from animate.inference.honoured import check_honoured
from animate.inference.pictures import fitted
from animate.inference.predictor import Pose, Predictor
from animate.inference.session import Session
from animate.inference.source_face import SourceFace
from animate.media import clips
from animate.media.pipes import through_pipes
from animate.models.contract import Motion
from animate.models.geometry import resize_flow
from animate.options import Options, Retarget
from animate.publish import Published, check, publish
from animate.publish.sheets import dotted, grid
from animate.system.observer import QUIET, Observer

DEFAULTS = Options()
SIDE = 256  # pixels of each picture's side
HEADS = ("driver", "photo", "photo, moved", "deformation", "photo's share", "result")
LINES = 16  # cells across the deformation grid
HONOURED = {  # settings that have an effect here
    "motion.name", "motion.checkpoint", "faces.name", "faces.which", "faces.clip_which",
    "faces.missing", "faces.box", "faces.clip_box", "faces.weights", "retarget.relative",
    "retarget.adapt_scale", "retarget.reference", "retarget.head", "retarget.mouth",
    "retarget.eyes", "watermark.strength", "clip.start", "clip.end", "clip.truncated", "device",
    "precision", "threads", "consent", "key", "producer", "detector",
}  # fmt: skip


@through_pipes("photo", "driver")
def inspect(
    photo: str | Path,
    driver: str | Path,
    out: str | Path,
    options: Options = DEFAULTS,
    *,
    frames: int = 4,
    force: bool = False,
    observer: Observer = QUIET,
    **settings: Any,
) -> Published:
    """Publish a picture with a row for each of `frames` frames, spread evenly over the driver.

    Columns: the driver and the photo with their keypoints; the result with its target keypoints;
    a square grid deformed by the motion; the photo's share in each pixel (dark where the model
    paints: occlusion or gate); the result. The other arguments are those of `animate.portrait`;
    a changed setting without effect here is refused. `observer` receives the warnings and notes of
    a run, and the progress over the driver. Raises AnimateError for a user error.
    """
    options = options.changed(**settings)
    options.refuse_others(HONOURED, "an inspection of single frames")
    if not 1 <= frames <= 32:
        raise AnimateError(f"frames is {frames}: inspect 1 to 32")
    photo, out = Path(photo), Path(out)
    session = Session.open(options)
    subject = session.subject([photo], [Path(driver)])
    if subject.video:
        raise AnimateError(
            f"{photo} is a video: save one of its frames and inspect that as a photo"
        )
    if options.faces.which == "all":
        raise AnimateError("an inspection shows one face: use faces.which=largest, or a number")
    opened = session.driver(Path(driver))
    check_honoured(options, subject, [opened])
    check(out, rate=None, force=force, inputs=[photo, Path(driver)])
    predictor, how = session.predictor, options.retarget
    face = subject.encode_faces(predictor)[0]
    for words in foreseen(predictor, subject.photos, [face], [opened], how):
        observer.note(words)
    reference = opened.reference_pose(predictor, face.own) if how.relative else None
    rows, labels = [], []
    with closing(observer.watch(opened.poses(predictor), opened.length)) as poses:
        chosen = spread(poses, opened.length, frames)
    for words in [*of_reference(opened.stats.distance, predictor.model.far), *opened.stats.words()]:
        observer.note(words)
    for index, pose in chosen:
        reference = pose.motion if reference is None else reference
        rows.append(_row(predictor, face, pose, reference, how))
        number = opened.first + index
        labels.append(f"frame {number}, {float(number / opened.rate):.2f} s")
    claim = session.claim([clips.sha256(photo)], [opened.sha256])
    return publish(
        out,
        [grid(rows, HEADS, labels)],
        mark=session.mark(claim),
        claim=claim,
        rate=None,
        signer=session.signer,
        label=None,  # the column heads already say what is shown
        consent=options.statement.words,
        force=force,
    )


def spread(poses: Iterable[Pose], length: int | None, count: int) -> list[tuple[int, Pose]]:
    """`count` of the poses, spread evenly, with their numbers, in one pass.

    Poses of unknown `length` are thinned while they are read: whenever more than 2 `count` are
    kept, every other one is dropped and the step doubles.
    """
    kept: list[tuple[int, Pose]] = []
    step = max(1, (length or count) // count)
    for index, pose in enumerate(poses):
        if index % step == 0:
            kept.append((index, pose))
        if len(kept) > 2 * count:
            kept, step = kept[::2], step * 2
    return kept[:: max(1, len(kept) // count)][:count]


def _row(
    predictor: Predictor, face: SourceFace, pose: Pose, reference: Motion, how: Retarget
) -> list[np.ndarray]:
    moved = predictor.retarget(face.source, pose.motion, reference, how)
    insight = predictor.explain(face.source, moved)
    blank = np.full((SIDE, SIDE, 3), 255, np.uint8)
    photo = fitted(face.crop, SIDE)
    driver = blank if pose.crop is None else fitted(pose.crop, SIDE)
    result = fitted(predictor.render(face.source, moved)[0], SIDE)
    return [
        dotted(driver, predictor.points(pose.motion)),
        dotted(photo, predictor.points(face.own)),
        dotted(result, predictor.points(moved)),
        deformed(result, resize_flow(insight.flow.float(), SIDE, SIDE)[0].cpu().numpy()),
        shares(insight.share[0, 0].float().cpu().numpy()),
        result,
    ]


def deformed(picture: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Draw a square grid, deformed by a flow (S, S, 2), over a faded picture (S, S, 3)."""
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
    """A map (h, w) in [0, 1] as a grey picture of SIDE pixels: black 0, white 1."""
    import cv2

    wide = cv2.resize(share, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR).clip(0, 1)
    return np.repeat((255 * wide).astype(np.uint8)[..., None], 3, -1)
