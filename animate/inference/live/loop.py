"""Play a camera through a live session to screens, until it ends or somebody stops it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from threading import Event

import numpy as np

from animate.inference.live.session import LiveSession, Shown
from animate.media.cameras import Camera, Taken
from animate.system.parallel import in_background

TICK = 0.1  # seconds: the longest wait between two looks at the keys

Screen = Callable[[np.ndarray], None]


def play(
    session: LiveSession,
    camera: Camera,
    screens: Sequence[Screen],
    goes_on: Callable[[Shown | None], bool],
) -> None:
    """Give the camera's frames to the session and its pictures to the screens.

    Ends when the camera does, or when `goes_on` says no; it is asked after each picture, and every
    TICK seconds without one (None). Raises what the camera, the session and the screens raise.
    """
    over = Event()
    pumping = in_background(_pump, session, camera.frames(), over)
    try:
        while True:
            shown = session.next(TICK)
            if shown is not None:
                for screen in screens:
                    screen(shown.frame)
            if not goes_on(shown) or (shown is None and _ended(pumping)):
                return
    finally:
        over.set()


def _pump(session: LiveSession, frames: Iterator[Taken], over: Event) -> None:
    with closing(frames):  # type: ignore[type-var]
        for frame, when in frames:
            if over.is_set():
                return
            session.push(frame, when)


def _ended(pumping: Future[None]) -> bool:
    if pumping.done():
        pumping.result()
    return pumping.done()
