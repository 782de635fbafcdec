"""The WebSocket of a live session: one slot each way, the newest frame alone, nothing queues up.

A message is text, a JSON object, or bytes: the length of such an object (4 bytes, little-endian),
the object, then a picture or sound. docs/page.md has them all.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import shutil
from collections import deque
from contextlib import suppress
from threading import Thread
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from animate.errors import AnimateError
from animate.serve import form, live_task, uploads
from animate.serve.messages import packed, unpacked
from animate.serve.uploads import BusyError, Upload
from animate.serve.workers import LARGEST, end

ENDED = "the live session ended: start it again"
BUSY, REFUSED, QUIET = 1013, 1008, 1001  # codes of RFC 6455 that end a connection
PHOTOS = 9
PATIENCE = 30.0  # seconds without a message after which a session ends
LOADING = 120.0  # the same until the session is ready: the client has nothing to say
WAITING = 128  # pieces of sound and commands that wait for the process


class Line:
    """Messages in one direction: the newest frame, and everything else in order."""

    def __init__(self) -> None:
        self.frame: bytes | None = None
        self.others: deque[Any] = deque(maxlen=WAITING)
        self.ready = asyncio.Event()

    def put(self, message: Any) -> None:
        self.others.append(message)
        self.ready.set()

    def put_frame(self, message: bytes) -> None:
        """Replace the waiting frame by a newer one."""
        self.frame = message
        self.ready.set()

    async def take(self) -> Any:
        """The next message: a frame comes after all others."""
        await self.ready.wait()
        if self.others:
            message = self.others.popleft()
        else:
            message, self.frame = self.frame, None
        if not self.others and self.frame is None:
            self.ready.clear()
        return message


async def live(socket: WebSocket) -> None:
    """A live session: photos, then `start`, then frames; ends when either side closes."""
    house = socket.app.state.house
    await socket.accept()
    if house.sessions >= house.serve.sessions:
        await _end(socket, BUSY, "enough live sessions run already: come again soon")
        return
    house.sessions += 1
    try:
        with house.queue.scratch() as place:
            photos, start = await asyncio.wait_for(_photos(socket, place, house), 2 * PATIENCE)
            await Session(socket, house, photos, start).run()
    except (asyncio.TimeoutError, WebSocketDisconnect):
        pass
    except OSError:  # of the connection to the process
        await _end(socket, QUIET, ENDED)
    except (AnimateError, BusyError, ValueError) as error:
        await _end(socket, REFUSED, str(error))
    finally:
        house.sessions -= 1
        with suppress(RuntimeError, WebSocketDisconnect):
            await socket.close(QUIET)


async def _end(socket: WebSocket, code: int, words: str) -> None:
    with suppress(RuntimeError, WebSocketDisconnect):
        await socket.send_json({"event": "error", "error": words, "busy": code == BUSY})
        await socket.close(code)


async def _message(socket: WebSocket) -> tuple[dict[str, Any], bytes]:
    """The next message. Raises WebSocketDisconnect, and ValueError for what is none."""
    found = await socket.receive()
    if found["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(found.get("code", QUIET))
    if found.get("bytes") is not None:
        return unpacked(found["bytes"])
    head = json.loads(found["text"])
    if not isinstance(head, dict):
        raise ValueError("a message without an object")
    return head, b""


async def _photos(socket: WebSocket, place: Any, house: Any) -> tuple[list[Upload], dict[str, Any]]:
    """The photos that come before `start`, and that message."""
    photos: list[Upload] = []
    size = 0
    while True:
        head, body = await _message(socket)
        if head.get("do") == "start" and photos:
            chosen = head.get("settings", {})
            if not isinstance(chosen, dict):
                raise AnimateError("`settings` is no JSON object: send one, such as {}")
            form.changed(house.options, chosen)
            return photos, {"settings": chosen, "mirror": head.get("mirror") is True}
        size += len(body)
        if head.get("do") != "photo" or not body or len(photos) == PHOTOS or size > house.most:
            raise AnimateError(f"send 1 to {PHOTOS} messages `photo`, then `start`")
        path = place / f"photo-{len(photos) + 1}"
        await asyncio.to_thread(path.write_bytes, body)
        photos.append(Upload(path, uploads.shown_name(str(head.get("name", "")))))


class Session:
    """A client, and the process that works for it."""

    def __init__(
        self, socket: WebSocket, house: Any, photos: list[Upload], start: dict[str, Any]
    ) -> None:
        self.socket, self.house, self.photos, self.start = socket, house, photos, start
        self.up, self.down = Line(), Line()
        self.patience = LOADING
        self.recordings: dict[str, Any] = {}  # folders by the name of the recording
        context = multiprocessing.get_context("spawn")
        self.connection, self.other = context.Pipe()
        self.process = context.Process(
            target=live_task.work, args=(self.other, house.overrides), daemon=True
        )

    async def run(self) -> None:
        await asyncio.to_thread(self.process.start)
        self.other.close()
        self.up.put(packed(self._request()))
        loop = asyncio.get_running_loop()
        Thread(target=self._read, args=(loop,), daemon=True).start()
        jobs = [asyncio.create_task(job) for job in (self._listen(), self._send_up(), self._send())]
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            for job in done:
                job.result()
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.to_thread(self._close)

    def _request(self) -> dict[str, Any]:
        serve = self.house.serve
        return {
            "photos": [str(photo.path) for photo in self.photos],
            "names": {str(photo.path): photo.name for photo in self.photos},
            "pixels": serve.pixels,
            "seconds": serve.seconds,
            **self.start,
        }

    # ------------------------------------------------------------ from the client

    async def _listen(self) -> None:
        while True:
            head, body = await asyncio.wait_for(_message(self.socket), self.patience)
            if head.get("do") == "frame":
                self.up.put_frame(packed(head, body))
                continue
            if head.get("do") == "record":
                self.house.queue.check_kept()
                head = {**head, **self._new_recording()}
            self.up.put(packed(head, body))

    async def _send_up(self) -> None:
        while True:
            message = await self.up.take()
            await asyncio.to_thread(self.connection.send_bytes, message)

    def _new_recording(self) -> dict[str, str]:
        """A name and a path for a recording, which the client can't choose."""
        folder = self.house.queue.new_folder()
        self.recordings[folder.name] = folder
        return {"id": folder.name, "out": str(folder / "result.mp4")}

    # ------------------------------------------------------------ to the client

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        """Pass the process's messages on until it ends."""
        with suppress(RuntimeError):  # the loop has ended
            try:
                while True:
                    data = self.connection.recv_bytes(LARGEST)
                    head, _ = unpacked(data)
                    if head["event"] == "frame":
                        loop.call_soon_threadsafe(self.down.put_frame, data)
                    else:
                        loop.call_soon_threadsafe(self.down.put, head)
            except (EOFError, OSError, ValueError, KeyError):
                loop.call_soon_threadsafe(self.down.put, None)

    async def _send(self) -> None:
        while True:
            message = await self.down.take()
            if message is None:
                raise AnimateError(ENDED)
            if isinstance(message, bytes):
                await self.socket.send_bytes(message)
                continue
            if message["event"] == "ready":
                self.patience = PATIENCE
            if message["event"] in ("recorded", "lost"):
                message = self._recorded(message)
            await self.socket.send_json(message)
            if message["event"] == "error":
                return

    def _recorded(self, message: dict[str, Any]) -> dict[str, Any]:
        """The message about a finished recording, whose file is kept like an animation's."""
        folder = self.recordings.pop(message.pop("id"), None)
        result = message.pop("result", None)
        if folder is None or result is None:
            return message
        queue = self.house.queue
        job = queue.add_done(folder, self.photos[:0], {**result, "name": "result.mp4"})
        return {**message, "job": queue.described(job)}

    def _close(self) -> None:
        end(self.process)
        self.connection.close()
        for folder in self.recordings.values():
            shutil.rmtree(folder, ignore_errors=True)
