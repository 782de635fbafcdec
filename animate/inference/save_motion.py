"""Track a driver once and save its poses, so that they can drive any number of photos."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from animate.errors import AnimateError
from animate.inference.honoured import check_honoured
from animate.inference.session import Session
from animate.inference.templates import Template, check_template, save_template
from animate.media.pipes import through_pipes
from animate.options import Options
from animate.system.observer import QUIET, Observer

DEFAULTS = Options()
HONOURED = {  # settings that have an effect here
    "motion.name", "motion.checkpoint", "faces.name", "faces.clip_which", "faces.clip_box",
    "faces.missing", "faces.weights", "clip.start", "clip.end", "clip.truncated", "device",
    "threads",
}  # fmt: skip


@through_pipes("driver")
def save_motion(
    driver: str | Path,
    out: str | Path,
    options: Options = DEFAULTS,
    *,
    force: bool = False,
    observer: Observer = QUIET,
    **settings: Any,
) -> Template:
    """Save the poses of a driver as the motion template `out`, an .npz file without sound.

    Arguments are those of `animate.portrait`; a changed setting without effect on a template is
    refused. `observer` receives notes on frames without a face and on scene cuts. Raises
    AnimateError for a user error.
    """
    options = options.changed(**settings)
    options.refuse_others(HONOURED, "a motion template")
    out = Path(out)
    check_template(out, force)
    session = Session.open(options, precision="float32")
    opened = session.driver(Path(driver))
    if isinstance(opened.media, Template):
        raise AnimateError(f"{driver} is already a motion template: use it as the driver of a run")
    check_honoured(options, None, [opened])
    with closing(observer.watch(opened.poses(session.predictor), opened.length)) as poses:
        saved = save_template(
            out,
            poses,
            model=session.info.model,
            model_sha256=session.info.sha256,
            clip_sha256=opened.sha256,
            rate=opened.rate,
            force=force,
        )
    for words in opened.stats.words():
        observer.note(words)
    return saved
