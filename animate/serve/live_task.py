"""What the process of a live session does: frames and commands in, marked JPEGs out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

from animate.errors import AnimateError
from animate.serve import tasks
from animate.serve.messages import packed, unpacked

if TYPE_CHECKING:
    from animate.inference.live import LiveSession

LARGEST = 1920  # pixels of a camera frame's longer side
REMEMBERED = 64  # frames whose time at the client is remembered
QUALITY = 85  # of the JPEGs
STATUS_EVERY = 0.5  # seconds between two reports of the state


def work(connection: Any, settings: Sequence[str]) -> None:
    """Run the session that the first message asks for, until the other end closes."""
    tasks.begin()
    from animate.config import run_options
    from animate.inference.live import LiveSession
    from animate.options import Live
    from animate.serve.form import changed

    options = run_options(settings)
    tasks.limit_without_gpu(options.compute.device)
    request, _ = unpacked(connection.recv_bytes())
    talk = _Talk(connection)
    try:
        for path in request["photos"]:
            tasks.read_within(Path(path), request["pixels"])
        live = Live(mirror=request["mirror"])
        session = LiveSession(request["photos"], changed(options, request["settings"]), live)
    except AnimateError as error:
        talk.say({"event": "error", "error": tasks.named(str(error), request["names"])})
        return
    with session:
        _Room(session, talk, request).run()


class _Talk:
    """The connection to the server, for several threads."""

    def __init__(self, connection: Any) -> None:
        self.connection, self.lock = connection, Lock()
        self.over = Event()

    def say(self, head: dict[str, Any], body: bytes = b"") -> None:
        try:
            with self.lock:
                self.connection.send_bytes(packed(head, body))
        except OSError:
            self.over.set()


class _Clock:
    """Maps the client's milliseconds to this machine's clock, by the fastest message so far."""

    def __init__(self) -> None:
        self.offset = math.inf
        self.stamps: dict[float, float] = {}  # ours -> the client's

    def ours(self, stamp: Any) -> float:
        """Seconds of `time.monotonic` of a stamp. Raises AnimateError for what is no number."""
        if not isinstance(stamp, (int, float)) or not math.isfinite(stamp):
            raise AnimateError("`at` is no number: send milliseconds of one clock")
        now = time.monotonic()
        self.offset = min(self.offset, now - stamp / 1000)
        return min(now, stamp / 1000 + self.offset)

    def frame(self, stamp: Any) -> float:
        when = self.ours(stamp)
        self.stamps[when] = stamp
        while len(self.stamps) > REMEMBERED:
            self.stamps.pop(next(iter(self.stamps)), None)
        return when


class _Room:
    """A session and its client: one thread takes commands, one sends pictures, one ends a
    recording."""

    def __init__(self, session: LiveSession, talk: _Talk, request: dict[str, Any]) -> None:
        self.session, self.talk, self.request = session, talk, request
        self.clock = _Clock()
        self.recording: str | None = None  # the name that the server gave it

    def run(self) -> None:
        session = self.session
        notes = [tasks.named(note, self.request["names"]) for note in session.notes]
        key = session.signer.public.name
        self.talk.say({"event": "ready", "notes": notes, "key": key, "photos": len(session.photos)})
        Thread(target=self._obey_all, daemon=True).start()
        reported = 0.0
        while not self.talk.over.is_set():
            shown = session.next(0.2)
            if shown is not None:
                self._show(shown)
            if time.monotonic() - reported > STATUS_EVERY:
                reported = time.monotonic()
                self._tell()

    def _show(self, shown: Any) -> None:
        from animate.publish.still import as_jpeg

        box = None if shown.box is None else asdict(shown.box)
        at = self.clock.stamps.get(shown.when)
        head = {"event": "frame", "at": at, "state": shown.state, "box": box}
        self.talk.say(head, as_jpeg(shown.frame, QUALITY))

    def _tell(self) -> None:
        status = self.session.status()
        self.talk.say({"event": "status", **asdict(status)})
        if status.recording is not None and status.recording > self.request["seconds"]:
            self._stop()

    # ------------------------------------------------------------ commands

    def _obey_all(self) -> None:
        while True:
            try:
                head, body = unpacked(self.talk.connection.recv_bytes())
            except (EOFError, OSError):
                self.talk.over.set()
                return
            try:
                self._obey(head, body)
            except AnimateError as error:
                self.talk.say({"event": "refused", "error": str(error)})
            except (KeyError, TypeError, ValueError):
                self.talk.say({"event": "refused", "error": "a message lacks something: see docs"})

    def _obey(self, head: dict[str, Any], body: bytes) -> None:
        session = self.session
        if head["do"] == "frame":
            from animate.media.photos import from_memory

            session.push(from_memory(body, LARGEST), self.clock.frame(head["at"]))
            return
        if head["do"] == "sound":
            import numpy as np

            session.hear(np.frombuffer(body, "<i2"), self.clock.ours(head["at"]))
            return
        commands: dict[str, Callable[[], None]] = {
            "calibrate": session.calibrate,
            "better": session.better_reference,
            "mirror": lambda: session.mirror(head.get("on")),
            "reset": session.reset,
            "choose": lambda: session.choose(int(head["photo"])),
            "change": lambda: session.change(**_plain(head["settings"])),
            "record": lambda: self._record(head),
            "stop": self._stop,
        }
        if head["do"] not in commands:
            raise AnimateError(f"there is no command {str(head['do'])[:40]!r}: see docs/page.md")
        commands[head["do"]]()
        self._tell()

    def _record(self, head: dict[str, Any]) -> None:
        rate = head.get("sound_rate")
        self.session.record(head["out"], None if rate is None else int(rate))
        self.recording = head["id"]

    def _stop(self) -> None:
        if self.recording is not None:
            name, self.recording = self.recording, None
            Thread(target=self._finish, args=(name,), daemon=True).start()

    def _finish(self, name: str) -> None:
        """End the recording; pictures are shown meanwhile."""
        from animate.verification.describe import describe, plain

        try:
            done = self.session.stop()
        except AnimateError as error:
            self.talk.say({"event": "lost", "id": name, "error": str(error)})
            return
        shown = replace(done.report, path=Path(done.path.name))
        result = {
            "name": done.path.name,
            "frames": done.frames,
            "notes": [],
            "words": describe(shown),
            "report": {**plain(shown), "path": done.path.name},
        }
        self.talk.say({"event": "recorded", "id": name, "result": result})


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """The names of retarget settings, with or without their prefix."""
    return {key.removeprefix("retarget."): value for key, value in settings.items()}
