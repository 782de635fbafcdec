"""Run the whole pipeline: a photo and a driver become one published, marked and verified file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from animate.inference.advice import foreseen, of_label
from animate.inference.compose import compose
from animate.inference.driver import Driver
from animate.inference.honoured import check_honoured
from animate.inference.session import Session
from animate.inference.stats import DriverStats
from animate.media import clips
from animate.media.clips import Clip, Sound
from animate.media.pipes import through_pipes
from animate.media.sound import undecodable_codec
from animate.options import Options
from animate.provenance.manifest import Ingredient
from animate.provenance.xmp import COMPOSITE, SYNTHETIC
from animate.publish import Published, check, publish
from animate.publish.containers import holds_sound
from animate.system.memory import trim_heap
from animate.system.observer import QUIET, Observer
from animate.system.parallel import in_background
from animate.verification.verify import history

DEFAULTS = Options()


@dataclass
class Animated(Published):
    """The published file, with the run's counts and notes."""

    stats: DriverStats = field(default_factory=DriverStats)  # of the first driver
    met: list[str] = field(default_factory=list)  # notes on every driver and the source video
    advice: list[str] = field(default_factory=list)  # warnings about what will look bad


@through_pipes("photos", "drivers")
def portrait(
    photos: str | Path | Sequence[str | Path],
    drivers: str | Path | Sequence[str | Path],
    out: str | Path,
    options: Options = DEFAULTS,
    *,
    force: bool = False,
    observer: Observer = QUIET,
    **settings: Any,
) -> Animated:
    """Animate the face in a photo like the one in a driver, and publish the marked file `out`.

    `photos` is a photo, a video whose person is animated, or several photos that move in step as
    tiles. `drivers` is a video, a folder of frames, a picture (for a still) or a motion template;
    several drive the faces of `which="all"`, from left to right.

    `animate.options` explains every setting. `settings` change some of the `options` by keyword
    (`Options.changed`): `retarget=Retarget(mouth=1.3)`, `mouth=1.3`, `consent="..."`. `observer`
    receives warnings before the work, and its progress. `force` replaces an existing `out`. Raises
    AnimateError for a user error and VerificationError for a draft that does not carry its mark;
    neither leaves a file behind.
    """
    options = options.changed(**settings)
    photos, paths, out = _paths(photos), _paths(drivers), Path(out)
    session = Session.open(options)
    subject = session.subject(photos, paths)
    playing = [session.driver(path) for path in paths]
    subject.check(len(paths), options)
    check_honoured(options, subject, playing)
    rate = subject.video.rate if subject.video else playing[0].rate
    output_rate = None if playing[0].still and not subject.video else rate
    check(out, rate=output_rate, force=force, inputs=[*photos, *paths])  # before the work
    faces = subject.encode_faces(session.predictor)
    lines = foreseen(session.predictor, subject.photos, faces, playing, options.retarget)
    sound, lost = voice(playing[0], subject.video, out)
    for line in [*lines, *lost]:
        observer.note(line)
    made_of = in_background(ingredients, photos, paths)
    video_stats = DriverStats.of(subject.video) if subject.video else DriverStats()
    frames, late = compose(session.predictor, subject, faces, playing, options, video_stats)
    for line in late:
        observer.note(line)
    claim = session.claim(
        [clips.sha256(path) for path in photos], [driver.sha256 for driver in playing]
    )
    all_synthetic = options.paste.name == "crop" or options.layout.compare  # no photo around it
    length = playing[0].length if subject.video is None else subject.video.length
    with closing(observer.watch(trim_heap(frames), length)) as counted:
        done = publish(
            out,
            counted,
            mark=session.mark(claim),
            claim=claim,
            rate=output_rate,
            signer=session.signer,
            label=options.visible_label,
            ingredients=made_of.result(),
            source=SYNTHETIC if all_synthetic else COMPOSITE,
            consent=options.statement.words,
            sound=sound,
            force=force,
        )
    met = video_stats.words("source video", turned_back=True)
    for number, driver in enumerate(playing, 1):
        met += driver.stats.words("clip" if len(playing) == 1 else f"clip {number}")
    met += of_label(options.visible_label, done.label)
    made = done.attempt
    if made.louder > 1:
        met.append(f"watermark made {made.louder:g} times as strong: a weaker one was not readable")
    if made.contrast < 1:
        met.append(f"contrast reduced to {made.contrast:.0%} for the same reason")
    notes = [*lines, *lost, *late]
    return Animated(**vars(done), stats=playing[0].stats, met=met, advice=notes)


def voice(driver: Driver, video: Clip | None, out: Path) -> tuple[Sound | None, list[str]]:
    """The result's sound (the driver's, else the source video's), and notes on sound left out."""
    sound, silent = driver.sound, driver.silent
    lines = [f"the driver's sound is left out: {silent}"] if silent else []
    if sound is None and video is not None:
        sound, codec = video.span_sound, undecodable_codec(video.span_sound)
        if codec:
            sound = None
            lines.append(f"the video's sound is left out: it is {codec}, which can't be decoded")
    if sound is not None and not holds_sound(out):
        return None, [*lines, f"the result has no sound: {out.suffix[1:].upper()} can't hold any"]
    return sound, lines


def ingredients(photos: Sequence[Path], drivers: Sequence[Path]) -> list[Ingredient]:
    """The inputs as ingredients of the signed manifest, each with its own provenance history."""
    found = []
    for role, paths in (("photo", photos), ("driving video", drivers)):
        for number, path in enumerate(paths, 1):
            name = role if len(paths) == 1 else f"{role} {number}"
            found.append(Ingredient(name, path, clips.sha256(path), history(path)))
    return found


def _paths(given: str | Path | Sequence[str | Path]) -> list[Path]:
    return [Path(given)] if isinstance(given, (str, Path)) else [Path(path) for path in given]
