"""`animate live`: a photo moves like the face before a camera, now."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animate.cli.arguments import command, overrides
from animate.errors import AnimateError

if TYPE_CHECKING:
    from animate.inference.live import LiveSession, Shown

KEYS = (
    "keys: X this is my neutral face (calibrate); F search for a better reference; T or R mirror; "
    "Z begin anew; 1 to 9 photo; A, D photo before, after; I pictures a second and delay; Q end"
)
STATES = {
    "live": "the face is seen",
    "held": "the face is covered or unclear: the last picture stays",
    "lost": "no face is seen: the last picture stays",
}


def register(commands: Any) -> None:
    live = command(commands, "live", call, "move a photo like the face before a camera", "live")
    live.epilog = KEYS
    live.set_defaults(stays="a recording that was not finished left nothing behind")
    live.add_argument(
        "photos",
        nargs="+",
        metavar="PHOTO",
        help="one to nine photos, and settings as KEY=VALUE; all are listed below",
    )
    live.add_argument(
        "--camera",
        default="0",
        metavar="CAMERA",
        help="a camera's number or device (/dev/video0), a video file, which plays at its own "
        "pace, or an address (rtsp://, http://) (default: 0)",
    )
    live.add_argument(
        "--to",
        action="append",
        required=True,
        metavar="PLACE",
        help="a virtual camera for calls (/dev/video9; `camera`: that of pyvirtualcam, if it is "
        "installed), or a video file that records (repeat for both)",
    )
    live.add_argument("--force", action="store_true", help="replace a file if it exists")


def call(arguments: argparse.Namespace, others: list[str]) -> int:
    from animate.config import live_options

    arguments.overrides = [text for text in arguments.photos if _is_setting(text)]
    photos = [Path(text) for text in arguments.photos if not _is_setting(text)]
    options, live = live_options(overrides(arguments, others))
    from animate.media.cameras import find_camera
    from animate.publish.virtual_camera import check_device, is_device

    devices = [place for place in arguments.to if is_device(place)]
    files = [Path(place) for place in arguments.to if not is_device(place)]
    if len(files) > 1:
        raise AnimateError("one file records at a time: give one --to FILE")
    for place in devices:
        check_device(place)
    camera = find_camera(arguments.camera)
    from animate.cli.keyboard import Keyboard
    from animate.cli.run import explain_toolkit_key, summary
    from animate.cli.terminal import Terminal
    from animate.inference.live import LiveSession
    from animate.inference.live.loop import play
    from animate.publish.virtual_camera import open_device

    terminal = Terminal()
    with LiveSession(photos, options, live, camera.file) as session, ExitStack() as stack:
        for line in session.notes:
            terminal.note(line)
        screens = [
            stack.enter_context(open_device(place, *session.size, session.rate)).send
            for place in devices
        ]
        for file in files:
            session.record(file, force=arguments.force)
        keyboard = stack.enter_context(Keyboard())
        failed: AnimateError | None = None
        try:
            play(session, camera, screens, Panel(session, keyboard.pressed, terminal.note))
        except KeyboardInterrupt:
            pass
        except AnimateError as error:  # a camera that was unplugged, say: what was recorded stays
            failed = error
        if failed is not None and not (session.recording and session.recording.count):
            raise failed
        done = [session.stop() for _ in files]
        print(_summary(session))
    for published in done:
        print(summary(published))
    if failed is not None:
        raise failed
    if session.signer.public.id == _toolkit_id():
        explain_toolkit_key()
    return 0


def _is_setting(text: str) -> bool:
    return "=" in text and not os.path.exists(text)


def _toolkit_id() -> str:
    from animate.provenance.identity import toolkit

    return toolkit().public.id


def _summary(session: LiveSession) -> str:
    found, meter = session.status(), session.meter
    pace = f"{meter.overall():.1f} a second" if found.shown > 1 else "none to time"
    return (
        f"{found.shown} pictures shown, {pace}, {1e3 * found.age:.0f} ms after the camera "
        f"(median; 95th percentile {1e3 * found.late:.0f} ms), each marked"
    )


class Panel:
    """Acts on keys, and shows on a terminal how the session goes; called after each picture."""

    def __init__(
        self,
        session: LiveSession,
        pressed: Callable[[], str | None],
        note: Callable[[str], None],
    ) -> None:
        self.session, self.pressed, self.note = session, pressed, note
        self.state = "lost"
        self.actions: dict[str, Callable[[], None]] = {
            "x": self._calibrate,
            "f": self._search,
            "t": self._mirror,
            "r": self._mirror,
            "z": self._reset,
            "a": lambda: self._step(-1),
            "d": lambda: self._step(1),
            "i": self._inform,
            **{str(n): self._choose(n) for n in range(1, 10)},
        }

    def __call__(self, shown: Shown | None) -> bool:
        """Whether the session goes on."""
        if shown is not None and shown.state != self.state:
            self.state = shown.state
            self.note(STATES[self.state])
        while (key := self.pressed()) is not None:
            if key.lower() in ("q", "\x1b"):
                return False
            try:
                self.actions.get(key.lower(), lambda: None)()
            except AnimateError as error:  # the session goes on
                self.note(str(error))
        return True

    def _calibrate(self) -> None:
        self.session.calibrate()
        self.note("this pose is now the neutral one")

    def _search(self) -> None:
        self.session.better_reference()
        self.note("searching for a better reference: look like the photo")

    def _mirror(self) -> None:
        self.session.mirror()
        self.note("mirrored" if self.session.status().mirrored else "not mirrored")

    def _reset(self) -> None:
        self.session.reset()
        self.note("begun anew")

    def _choose(self, number: int) -> Callable[[], None]:
        return lambda: self.session.choose(number)

    def _step(self, by: int) -> None:
        count = len(self.session.photos)
        self.session.choose((self.session.status().photo - 1 + by) % count + 1)

    def _inform(self) -> None:
        found = self.session.status()
        self.note(
            f"{found.fps:.1f} pictures a second, {1e3 * found.age:.0f} ms after the camera "
            f"(95th percentile {1e3 * found.late:.0f} ms), {found.state}"
        )
