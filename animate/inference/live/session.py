"""A live session: frames of a camera in, marked pictures of the photo out, the newest alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch

from animate.errors import AnimateError
from animate.faces import Box
from animate.inference.advice import foreseen, of_label
from animate.inference.live.head import Head, Sight
from animate.inference.live.portrait import Portrait, size_of
from animate.inference.live.recording import Recording
from animate.inference.live.slot import Slot
from animate.inference.live.statement import Statement
from animate.inference.live.status import Meter, Status
from animate.inference.session import Session
from animate.options import Live, Options, Retarget
from animate.publish import Published
from animate.system.memory import trim
from animate.system.parallel import SINGLE_THREADED

DEFAULTS, USUAL = Options(), Live()
TRIM = 10.0  # seconds from one return of free memory to the next (`system.memory`)
PHOTOS = 9  # most photos of a session: each has a key


@dataclass(frozen=True)
class Shown:
    """A picture of the photo, labelled and marked."""

    frame: np.ndarray  # uint8 (H, W, 3) RGB
    when: float  # as `LiveSession.push` got it
    age: float  # seconds from then until it was handed out
    state: str  # "live"; "held", the pose can't be trusted, or "lost", no face: the last one stays
    box: Box | None  # the square of the face in the camera's frame, pixels


@dataclass(frozen=True)
class _Camera:
    frame: np.ndarray
    when: float


@dataclass(frozen=True)
class _Drawn:
    """The last picture, plain and marked, and what it was made of."""

    made_of: tuple[object, ...]
    picture: np.ndarray  # unmarked; a recording marks it itself
    marked: np.ndarray


class LiveSession:
    """Moves one of several photos like the face before a camera.

    `push` frames from any thread; `next` hands out the newest picture. There is one place for each,
    so a frame that comes while all workers are busy takes the place of the one that waits, and
    nothing queues up. A worker follows the face while another renders: `compute.threads` of them.
    Pictures are made public by `next` and by `record` alone, and both mark them.

    All times are seconds of `time.monotonic`. Use it as a context manager, or `close` it.
    """

    def __init__(
        self,
        photos: Sequence[str | Path],
        options: Options = DEFAULTS,
        live: Live = USUAL,
        clip: Path | None = None,
    ) -> None:
        """Read and encode one to nine photos; `clip` is the file that acts as the camera, if any.

        Raises AnimateError for a photo without a face, a setting that has no effect here, and all
        that `Session.open` refuses.
        """
        self.photos = [Path(photo) for photo in photos]
        _check(self.photos, options)
        self.options, self.session = options, Session.open(options)
        self.rate = Fraction(live.rate).limit_denominator(1001)
        self.signer, predictor = self.session.signer, self.session.predictor
        predictor.check(options.retarget)
        subject = self.session.subject(self.photos)
        if subject.video is not None:
            raise AnimateError(f"{self.photos[0]} is a video: a live session moves photos")
        self.statement = Statement(self.session, self.photos, clip)
        self.claim, mark = self.statement.claim, self.statement.mark
        size = size_of(subject.photos[0], live.size)
        self._portraits = [Portrait.of(predictor, p, options, mark, size) for p in subject.photos]
        label = self._portraits[0].marker.label
        announced = self.statement.announced(subject.photos[0].pixels, label)
        faces = [face for portrait in self._portraits for face in portrait.faces]
        self.notes = foreseen(predictor, subject.photos, faces, [], options.retarget)
        self.notes += of_label(options.visible_label, label)
        height, width = self._portraits[0].still.shape[:2]
        self.size = height, width  # of all pictures
        self.number = 0  # of the photo that is shown, from 0
        self.head = Head(predictor, options, self.rate)
        self.head.mirrored = live.mirror
        self.camera, self.screen = Slot[_Camera](), Slot[Shown]()
        self.meter, self.state = Meter(), "lost"
        self.trimmed = time.monotonic()
        self.following, self.showing = Lock(), Lock()  # frames in order; pictures in order
        self.seen = self.latest = 0  # numbers of the frame seen last, and of the one shown last
        self._drawn: _Drawn | None = None
        self.recording: Recording | None = None
        self.pool = ThreadPoolExecutor(
            predictor.threads, "live", initializer=torch.set_num_threads, initargs=(1,)
        )
        self._warm_up()
        announced.result()  # before a picture is shown
        self.workers: list[Future[None]] = []
        for _ in range(predictor.threads):
            self.workers.append(self.pool.submit(self._work))
            self.workers[-1].add_done_callback(lambda _: self._end())

    def __enter__(self) -> LiveSession:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # ------------------------------------------------------------ frames

    def push(self, frame: np.ndarray, when: float | None = None) -> None:
        """Give the camera's newest frame, uint8 (H, W, 3) RGB, taken at `when` (None: now).

        Returns at once, and keeps the frame: don't write into it. Raises AnimateError for another
        shape or type.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise AnimateError(
                f"a camera's frame is {frame.dtype} {frame.shape}: push takes uint8 (H, W, 3)"
            )
        self.camera.put(_Camera(frame, time.monotonic() if when is None else when))

    def next(self, timeout: float | None = None) -> Shown | None:
        """The newest picture that was not handed out yet; None after `timeout` seconds, or at the
        end. Raises what a worker raised, which ends the session, or a recording, which does not."""
        shown = self.screen.take(timeout)
        for worker in self.workers:
            if worker.done():
                worker.result()
        if self.recording is not None and self.recording.result.done():
            self.stop()
        if shown is None:
            return None
        now = time.monotonic()
        self.meter.count(now - shown.when)
        if now > self.trimmed + TRIM:
            self.trimmed = now
            trim()
        return replace(shown, age=now - shown.when)

    def _work(self) -> None:
        with SINGLE_THREADED:
            while True:
                with self.following:
                    given = self.camera.take()
                    if given is None:
                        return
                    self.seen += 1
                    number, portrait = self.seen, self._portraits[self.number]
                    how = self.options.retarget
                    own = portrait.faces[0].own
                    sight = self.head.see(given.frame, given.when, own, how.smoothing)
                self._show(number, given, portrait, sight, how)

    def _show(
        self, number: int, given: _Camera, portrait: Portrait, sight: Sight, how: Retarget
    ) -> None:
        """Render, mark and hand over the picture of a frame, unless a later one was faster."""
        made_of = (portrait, sight.pose, sight.reference, how)
        drawn = self._drawn
        same = drawn is not None and all(
            a is b for a, b in zip(drawn.made_of, made_of, strict=True)
        )
        picture = drawn.picture if drawn and same else _moved(portrait, sight, how)
        with self.showing:
            if number < self.latest:
                return
            self.latest = number
            marked = drawn.marked if drawn and same else portrait.marker(picture)
            self._drawn = _Drawn(made_of, picture, marked)
            recording = self.recording
            if recording is not None:
                recording.add(picture, given.when)
            self.state = sight.state
            self.screen.put(Shown(marked, given.when, 0.0, sight.state, sight.box))

    def _warm_up(self) -> None:
        """Render and mark each photo once: a first time takes a tenth of a second longer."""
        for portrait in self._portraits:
            own, how = portrait.faces[0].own, self.options.retarget
            portrait.marker(portrait.moved(own, own, how))

    def close(self) -> None:
        """End the workers, and a recording that runs without its file."""
        self._end()
        self.pool.shutdown()
        if self.recording is not None:
            self.recording.abandon()
            self.recording = None

    def _end(self) -> None:
        self.camera.close()
        self.screen.close()

    # ------------------------------------------------------------ controls

    def calibrate(self) -> None:
        """Make the face's pose of now the reference: the neutral one, which shows the photo as it
        is. Raises AnimateError if no face was seen yet."""
        self.head.calibrate()

    def better_reference(self) -> None:
        """Search for some seconds for a pose that is nearer to the photo's, and take it."""
        self.head.search(time.monotonic())

    def mirror(self, on: bool | None = None) -> None:
        """Move like a mirror image, or not; None: the other of the two."""
        self.head.mirrored = (not self.head.mirrored) if on is None else on

    def reset(self) -> None:
        """Forget face, smoothing and reference, as if the session had just begun."""
        self.head.forget()

    def choose(self, number: int) -> None:
        """Show photo `number`, from 1. Raises AnimateError if there is no such photo."""
        if not 1 <= number <= len(self._portraits):
            raise AnimateError(
                f"there is no photo {number}: choose one from 1 to {len(self.photos)}"
            )
        self.number = number - 1

    def change(self, **settings: Any) -> None:
        """Change settings of `options.Retarget` while it runs: mouth=1.3, head=0.5, smoothing=2.

        Raises AnimateError for a value that is not allowed, and for other settings.
        """
        changed = self.options.changed(**settings)
        if replace(changed, retarget=self.options.retarget) != self.options:
            raise AnimateError(f"{', '.join(settings)}: a live session changes retarget.* alone")
        self.session.predictor.check(changed.retarget)
        self.options = changed

    def status(self) -> Status:
        recording = self.recording
        return Status(
            shown=self.meter.shown,
            fps=self.meter.fps(),
            age=self.meter.age(0.5),
            late=self.meter.age(0.95),
            state=self.state,
            photo=self.number + 1,
            mirrored=self.head.mirrored,
            searching=self.head.searching,
            recording=None if recording is None else recording.seconds,
        )

    # ------------------------------------------------------------ recording

    def record(
        self, out: str | Path, sound_rate: int | None = None, *, force: bool = False
    ) -> None:
        """Record to the video `out` from now on, with the sound that `hear` gets at `sound_rate`.

        Raises AnimateError where `out` can't be written, or something is recorded already.
        """
        if self.recording is not None:
            raise AnimateError("a recording runs already: stop it first")
        write = self.statement.writer(Path(out), self.rate, force)
        self.recording = Recording(write, self.rate, sound_rate)

    def hear(self, samples: np.ndarray, when: float | None = None) -> None:
        """Give the microphone's newest samples, float32 or int16, (n,) or (n, channels); the first
        was taken at `when` (None: so long ago that the last is of now)."""
        recording = self.recording
        if recording is None or recording.microphone is None:
            return
        if when is None:
            when = time.monotonic() - len(samples) / recording.microphone.rate
        recording.hear(samples, when)

    def stop(self) -> Published:
        """End the recording, and wait until its file is verified and has its name.

        Raises AnimateError if nothing is recorded, and what `publish` raises.
        """
        recording, self.recording = self.recording, None
        if recording is None:
            raise AnimateError("nothing is being recorded: begin with `record`")
        return recording.stop()


def _moved(portrait: Portrait, sight: Sight, how: Retarget) -> np.ndarray:
    """The photo in the pose of the camera's frame; the still photo before the first face."""
    if sight.pose is None or sight.reference is None:
        return portrait.still
    return portrait.moved(sight.pose.motion, sight.reference.motion, how)


def _check(photos: Sequence[Path], options: Options) -> None:
    """Raise AnimateError for a number of photos or settings that a live session can't have."""
    if not 1 <= len(photos) <= PHOTOS:
        raise AnimateError(f"{len(photos)} photos: a live session has 1 to {PHOTOS}")
    for name in options.differing():
        if name.startswith(Live.without):
            raise AnimateError(f"{name} does nothing in a live session: leave it out")
    if options.retarget.reference not in ("auto", 0):
        raise AnimateError(
            "a live session has no frames to choose retarget.reference from: use auto, or 0 for "
            "the first one"
        )
    if options.faces.which == "all" and options.paste.name == "crop":
        raise AnimateError("paste=crop shows one face: choose it with faces.which")
