"""One run: a photo and a driving video become one published, marked and verified file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from animate import __version__, checkpoints
from animate.errors import AnimateError
from animate.faces import locator, quarter_turns
from animate.faces.paste import Window
from animate.inference import advice
from animate.inference.advice import foreseen
from animate.inference.compose import (
    Actor,
    as_tiles,
    compared,
    in_photo,
    look,
    on_video,
    perform,
)
from animate.inference.driver import Driver, Playing, Tally, open_driver
from animate.inference.predictor import Retarget, Stage, find_head
from animate.inference.templates import Template
from animate.media import clips
from animate.media.clips import Clip, Sound
from animate.media.sound import unheard
from animate.provenance import keys
from animate.provenance.credentials import Ingredient
from animate.provenance.xmp import COMPOSITE, SYNTHETIC
from animate.publish import LABEL, Published, check, publish
from animate.system.device import find_device, find_threads
from animate.system.memory import swept
from animate.system.parallel import meanwhile
from animate.verification.verify import history
from animate.watermark import DEFAULT as STRENGTH
from animate.watermark import Claim, Mark, Payload
from animate.watermark.label import Label

VIDEOS = (
    ".mp4", ".mov", ".webm", ".mkv", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".ogv",
)  # fmt: skip


@dataclass
class Animated(Published):
    """What was published, and what the run met on the way."""

    tally: Tally = field(default_factory=Tally)  # of the first driver
    met: list[str] = field(default_factory=list)  # in words, of every driver and a source video
    advice: list[str] = field(default_factory=list)


def portrait(
    photo: str | Path | Sequence[str | Path],
    clip: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    model: str | None = None,
    checkpoint: str | Path | None = "first_order_gated",
    relative: bool = True,
    adapt_scale: bool = True,
    reference: int | str = "auto",
    smoothing: float | None = None,
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
    paste: str = "photo",
    mask: str = "square",
    margin: float = 0.12,
    size: int | None = 3840,
    start: float = 0,
    end: float | None = None,
    times: int = 1,
    pingpong: bool = False,
    truncated: str = "error",
    compare: str | None = None,
    columns: int | None = None,
    threads: int | str = "auto",
    device: str = "auto",
    precision: str = "auto",
    seed: int = 0,
    strength: float = STRENGTH,
    consent: str = "not stated",
    key: str = "auto",
    producer: str = "animate",
    label: Label | Mapping[str, Any] | None = LABEL,
    force: bool = False,
    progress: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Animated:
    """Animate the face in `photo` like the one in `clip` and publish the marked video as `out`.

    `photo` may be a video, whose person then moves, or several photos, which move in sync as tiles;
    `clip` a video, a folder of frames, a picture (for a still) or a motion template; several are
    for the faces of `which="all"`, from left to right. `checkpoint` is a name in the index or a
    file, and must hold a `model` where one is named.

    Motion: `relative`, `adapt_scale` and `reference` (a frame of the clip, from 0, or "auto": the
    one most like the photo) say how it is carried over, `smoothing` is a cut-off in Hz, `head`,
    `mouth` and `eyes` multiply it (`head` "auto" is 1 for photos and 0 for a video's person, who
    keeps her own movement: another's would part the head from her neck); `start` to `end` seconds
    of the clip are played `times` over, with `pingpong` there and back. Faces: `box` and `clip_box`
    are (x, y, width, height) in pixels where the locator `faces` is not to look for them; `which`
    is "largest" or a number from the left. A frame `missing` its face is held, skipped or fails.
    Result: `paste` puts the face back into the "photo", at most `size` pixels a side, or gives the
    plain "crop"; `compare` ("plain" or "keypoints") shows photo, driver and result side by side.

    `threads` batches of frames are worked on at once. `consent` is kept in the file as it stands.
    `key` is whose signature and mark the result gets: your newest key's ("auto"; the toolkit's
    public one where there is none), "toolkit", or that of an id. `producer` goes into the label of
    GB 45438-2025; `label` is drawn, beside tiles and comparisons in a strip. `say` is told what
    will look bad, before the work. Raises AnimateError for whatever the caller can mend,
    VerificationError when the finished draft does not carry its mark; neither leaves a file behind.
    """
    photos, paths, out = _paths(photo), _paths(clip), Path(out)
    if compare not in (None, "plain", "keypoints"):
        raise AnimateError(f"compare is {compare}: use plain or keypoints")
    torch.manual_seed(seed)
    signer = keys.signer(None if key == "auto" else key)
    words = Label.of(**label) if isinstance(label, Mapping) else label
    everyone, place, window = which == "all", find_device(device), Window.of(paste, mask, margin)
    lanes = find_threads(threads, place)
    how = Retarget(
        relative, adapt_scale, {"head": find_head(head, False), "mouth": mouth, "eyes": eyes}
    )
    playing = Playing(missing, truncated, start, end, times, pingpong, smoothing, reference)
    photo_face = locator(faces, box, "largest" if everyone else which, weights)
    clip_face = locator(faces, clip_box, clip_which, weights)
    video = clips.open_clip(photos[0], truncated=truncated) if is_video(photos) else None
    if video:
        video = video.turned(quarter_turns(photo_face, video.frames()))
    if video and (compare or everyone or len(paths) > 1):
        raise AnimateError(
            f"{photos[0]} is a video, where one driver moves one face: leave out --compare, --also "
            "and faces.which=all"
        )
    views = [] if video else [look(path, photo_face, everyone) for path in photos]
    drivers = [open_driver(path, clip_face, playing) for path in paths]
    rate = video.rate if video else drivers[0].rate
    shown = None if drivers[0].still and not video else rate
    check(out, rate=shown, force=force, inputs=[*photos, *paths])  # before the work
    network, info = checkpoints.load(checkpoint, device=str(place))
    if model is not None and info.model != model:
        raise AnimateError(
            f"{info.path} holds a {info.model}, not a {model}: use motion={info.model}"
        )
    for driver in drivers:
        if isinstance(driver.media, Template):
            driver.media.check(info.model, info.sha256)
    stage = Stage.of(network, precision, lanes)
    if video and relative and "head" in network.regions:
        how = replace(how, amplify={**how.amplify, "head": find_head(head, True)})
    cast = [Actor.of(stage, view.photo, face) for view in views for face in view.boxes]
    if compare and len(cast) > 1:
        raise AnimateError(
            f"a comparison shows one face, not {len(cast)}: leave out --tile, or faces.which=all"
        )
    lines = foreseen(stage, views, cast, drivers, how)
    sound, lost = voice(drivers[0], video, out)
    for line in (lines := lines + lost):
        say(line)
    made_of = meanwhile(ingredients, photos, paths)
    source = Tally(turns=video.turns if video else 0)
    if video:
        frames = on_video(stage, video, photo_face, drivers[0], how, window, source)
    else:
        crops = perform(stage, cast, drivers, rate, how)
        for line in advice.of_reference(drivers[0].tally.unlike):
            lines.append(line)
            say(line)
        if compare:
            frames = compared(cast, crops[0], compare == "keypoints")
        elif window is None or len(views) > 1:
            frames = as_tiles(crops, columns)
        else:
            frames = in_photo(stage, views[0], cast, crops, window, size)
        full = compare or len(views) > 1 or (window is None and len(cast) > 1)
        if full and words is not None:
            frames = words.apart(frames)  # there are faces up to the corners
    claim = Claim.now(
        generator=f"animate {__version__}",
        model=info.model,
        model_sha256=info.sha256,
        photo_sha256=together([clips.sha256(path) for path in photos]),
        clip_sha256=together([driver.sha256 for driver in drivers]),
        consent=consent,
    )
    hidden = None if progress else True  # None: shown on a terminal only
    length = drivers[0].length if video is None else video.length
    with tqdm(swept(frames), total=length, unit="frame", disable=hidden) as counted:
        done = publish(
            out,
            counted,
            mark=Mark(Payload.of(claim, signer.mark_key), signer.mark_key, strength),
            claim=claim,
            rate=shown,
            signer=signer,
            label=words,
            ingredients=made_of.result(),
            producer=producer,
            source=SYNTHETIC if window is None or compare else COMPOSITE,
            sound=sound,
            force=force,
        )
    met = source.words("source video")
    for number, driver in enumerate(drivers, 1):
        met += driver.tally.words("clip" if len(drivers) == 1 else f"clip {number}")
    return Animated(done.path, done.frames, done.report, drivers[0].tally, met, lines)


def voice(driver: Driver, video: Clip | None, out: Path) -> tuple[Sound | None, list[str]]:
    """The result's sound, the driver's or else a source video's; and what is said of any lost."""
    sound, silent = driver.sound, driver.silent
    lines = [f"the driver's sound is left out: {silent}"] if silent else []
    if sound is None and video is not None:
        sound, codec = video.heard, unheard(video.heard)
        if codec:
            sound = None
            lines.append(f"the video's sound is left out: it is {codec}, which can't be decoded")
    if sound is not None and out.suffix.lower() == ".gif":
        return None, [*lines, "the result has no sound: a GIF holds none"]
    return sound, lines


def ingredients(photos: Sequence[Path], drivers: Sequence[Path]) -> list[Ingredient]:
    """The inputs, as the signed manifest names them, with what they say of their own making."""
    found = []
    for role, paths in (("photo", photos), ("driving video", drivers)):
        for number, path in enumerate(paths, 1):
            name = role if len(paths) == 1 else f"{role} {number}"
            found.append(Ingredient(name, path, clips.sha256(path), history(path)))
    return found


def is_video(photos: Sequence[Path]) -> bool:
    """Whether the one thing to animate is a video."""
    return len(photos) == 1 and (photos[0].is_dir() or photos[0].suffix.lower() in VIDEOS)


def together(digests: Sequence[str]) -> str:
    """One SHA-256 for several files: of their own, a line each; of one file its own."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _paths(given: str | Path | Sequence[str | Path]) -> list[Path]:
    return [Path(given)] if isinstance(given, (str, Path)) else [Path(path) for path in given]
