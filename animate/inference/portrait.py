"""One run: a photo and a driving video become one published, marked and verified file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from animate.inference.advice import foreseen
from animate.inference.compose import compose
from animate.inference.driver import Driver, DriverStats
from animate.inference.session import Session
from animate.media import clips
from animate.media.clips import Clip, Sound
from animate.media.pipes import through_pipes
from animate.media.sound import unheard
from animate.options import Options
from animate.provenance.credentials import Ingredient
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
    """What was published, and what the run met on the way."""

    stats: DriverStats = field(default_factory=DriverStats)  # of the first driver
    met: list[str] = field(default_factory=list)  # in words, of every driver and a source video
    advice: list[str] = field(default_factory=list)


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
    """Animate the face in a photo like the one in a driver, and publish the marked video `out`.

    `photos` is a photo, a video whose person then moves, or several photos that move in step as
    tiles; `drivers` a video, a folder of frames, a picture (for a still) or a motion template;
    several are for the faces of `which="all"`, from left to right.

    Every setting is explained in `animate.options`; `settings` change some of the `options` by
    keyword, as `Options.changed` says: `retarget=Retarget(mouth=1.3)`, `mouth=1.3`,
    `consent="..."`. `observer` is told before the work what will look bad, and how far the work is.
    With `force` an existing `out` is replaced. Raises AnimateError for a user error, and
    VerificationError when the finished draft does not carry its mark; neither leaves a file behind.
    """
    options = options.changed(**settings)
    photos, paths, out = _paths(photos), _paths(drivers), Path(out)
    session = Session.open(options)
    subject = session.subject(photos, paths)
    playing = [session.driver(path) for path in paths]
    subject.check(len(paths), options)
    rate = subject.video.rate if subject.video else playing[0].rate
    output_rate = None if playing[0].still and not subject.video else rate
    check(out, rate=output_rate, force=force, inputs=[*photos, *paths])  # before the work
    faces = subject.encode_faces(session.predictor)
    lines = foreseen(session.predictor, subject.photos, faces, playing, options.retarget)
    sound, lost = voice(playing[0], subject.video, out)
    for line in [*lines, *lost]:
        observer.note(line)
    made_of = in_background(ingredients, photos, paths)
    video_stats = DriverStats(turns=subject.video.turns if subject.video else 0)
    frames, late = compose(session.predictor, subject, faces, playing, options, video_stats)
    for line in late:
        observer.note(line)
    claim = session.claim(
        [clips.sha256(path) for path in photos], [driver.sha256 for driver in playing]
    )
    pictured = options.paste.name == "crop" or options.layout.compare  # nothing of the photo around
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
            producer=options.statement.producer,
            source=SYNTHETIC if pictured else COMPOSITE,
            sound=sound,
            force=force,
        )
    met = video_stats.words("source video", turned_back=True)
    for number, driver in enumerate(playing, 1):
        met += driver.stats.words("clip" if len(playing) == 1 else f"clip {number}")
    if done.louder > 1:
        met.append(f"marked {done.louder:g} times as strongly, for less was not read back")
    notes = [*lines, *lost, *late]
    return Animated(done.path, done.frames, done.report, done.louder, playing[0].stats, met, notes)


def voice(driver: Driver, video: Clip | None, out: Path) -> tuple[Sound | None, list[str]]:
    """The result's sound, the driver's or else a source video's; and what is said of any lost."""
    sound, silent = driver.sound, driver.silent
    lines = [f"the driver's sound is left out: {silent}"] if silent else []
    if sound is None and video is not None:
        sound, codec = video.heard, unheard(video.heard)
        if codec:
            sound = None
            lines.append(f"the video's sound is left out: it is {codec}, which can't be decoded")
    if sound is not None and not holds_sound(out):
        return None, [*lines, f"the result has no sound: a {out.suffix[1:].upper()} holds none"]
    return sound, lines


def ingredients(photos: Sequence[Path], drivers: Sequence[Path]) -> list[Ingredient]:
    """The inputs, as the signed manifest names them, with what they say of their own making."""
    found = []
    for role, paths in (("photo", photos), ("driving video", drivers)):
        for number, path in enumerate(paths, 1):
            name = role if len(paths) == 1 else f"{role} {number}"
            found.append(Ingredient(name, path, clips.sha256(path), history(path)))
    return found


def _paths(given: str | Path | Sequence[str | Path]) -> list[Path]:
    return [Path(given)] if isinstance(given, (str, Path)) else [Path(path) for path in given]
