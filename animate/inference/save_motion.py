"""Track a driver once, so that any number of photos can be moved by what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from animate import checkpoints
from animate.errors import AnimateError
from animate.faces import locator
from animate.inference.driver import Playing, open_driver
from animate.inference.predictor import Stage
from animate.inference.templates import Template, check_template, save_template
from animate.system.device import find_device, find_threads


def save_motion(
    clip: str | Path,
    out: str | Path,
    *,
    model: str | None = None,
    checkpoint: str | Path | None = "first_order_gated",
    faces: str = "auto",
    clip_which: int | str = "largest",
    clip_box: Sequence[float] | None = None,
    missing: str = "hold",
    weights: str | Path | None = None,
    start: float = 0,
    end: float | None = None,
    truncated: str = "error",
    threads: int | str = "auto",
    device: str = "auto",
    force: bool = False,
    progress: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Template:
    """Write the poses of a clip as the motion template `out`, an .npz file without its sound.

    The arguments are those of `animate.portrait`; what else it takes belongs to the run, not to the
    template. `say` is told of frames without a face and of scene cuts. Raises AnimateError for
    whatever the caller can mend.
    """
    clip, out = Path(clip), Path(out)
    check_template(out, force)
    playing = Playing(missing=missing, truncated=truncated, start=start, end=end)
    driver = open_driver(clip, locator(faces, clip_box, clip_which, weights), playing)
    if isinstance(driver.media, Template):
        raise AnimateError(f"{clip} is a motion template already: use it as it is")
    place = find_device(device)
    network, info = checkpoints.load(checkpoint, device=str(place))
    if model is not None and info.model != model:
        raise AnimateError(
            f"{info.path} holds a {info.model}, not a {model}: use motion={info.model}"
        )
    stage = Stage.of(network, "float32", find_threads(threads, place))
    poses = driver.poses(stage)
    hidden = None if progress else True  # None: shown on a terminal only
    with tqdm(poses, total=driver.length, unit="frame", disable=hidden) as shown:
        saved = save_template(
            out,
            shown,
            model=info.model,
            model_sha256=info.sha256,
            clip_sha256=driver.sha256,
            rate=driver.rate,
            force=force,
        )
    for words in driver.tally.words():
        say(words)
    return saved
