"""The API behind the page: what it does, and each of its safety lines attacked."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import signal
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import draw_face, tiny
from PIL import Image

pytest.importorskip("starlette", reason="needs the extra page: pip install -e '.[dev]'")
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient

from animate.options import Options, Serve, groups
from animate.serve import form
from animate.serve.app import application
from animate.serve.live import Line
from animate.serve.messages import packed, unpacked
from animate.verification.names import SCHEMA
from animate.verification.verify import verify

HERE = "http://127.0.0.1:8765"
LIVE = "ws://127.0.0.1:8765/api/live"
TOKEN = "a-token-of-letters"
PATIENCE = 60.0  # seconds


def idle(tmp_path: Path, token: str | None = None, **settings: Any) -> TestClient:
    """A server whose workers and queue don't run."""
    app = application(Serve(**settings), tmp_path / "files", token)
    return TestClient(app, base_url=HERE, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serve") / "files"


@pytest.fixture(scope="module")
def server(world: Path, folder: Path) -> Iterator[TestClient]:
    """A server with a small model, whose limits are small, too."""
    serve = Serve(pixels=0.1, seconds=5, upload=1)
    app = application(serve, folder, None, tiny(world))
    with TestClient(app, base_url=HERE) as client:
        yield client
    assert not folder.exists()


def png(side: int = 160) -> bytes:
    memory = io.BytesIO()
    Image.fromarray(draw_face(side)).save(memory, "PNG")
    return memory.getvalue()


def files(photo: bytes, clip: bytes, name: str = "me.png") -> list[tuple[str, Any]]:
    return [("photo", (name, photo)), ("clip", ("song.mp4", clip))]


def until(client: TestClient, job: dict[str, Any], *states: str) -> dict[str, Any]:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found: dict[str, Any] = client.get(f"/api/animate/{job['id']}").json()
        if found["state"] in states:
            return found
        time.sleep(0.1)
    raise AssertionError(found)


# ---------------------------------------------------------------- form, description


def test_the_form_is_made_of_the_options() -> None:
    found = form.form(Options())
    shown = {field["key"]: field for group in found for field in group["fields"]}
    mouth = groups()["retarget"].__dataclass_fields__["mouth"]
    assert shown["retarget.mouth"]["about"] == mouth.metadata["about"]
    assert shown["retarget.mouth"]["default"] == mouth.default
    assert form.changed(Options(), {"retarget.mouth": 1.3}).retarget.mouth == 1.3


def test_the_command_line_does_the_same() -> None:
    words = form.command(["a b.png", "-c.png"], "song.mp4", "result.mp4", {"consent": "Ada's"})
    assert words == (
        "animate run 'a b.png' song.mp4 -o result.mp4 --tile ./-c.png 'consent=Ada'\"'\"'s'"
    )


@pytest.mark.parametrize("only", ["all", "verify"])
def test_the_description_has_every_route_and_no_other(tmp_path: Path, only: str) -> None:
    client = idle(tmp_path, only=only)
    routes = {
        (route.path.replace(":int", ""), method.lower())
        for route in client.app.routes  # type: ignore[attr-defined]
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    paths = client.get("/api/openapi.json").json()["paths"]
    described = {(path, m) for path, item in paths.items() for m in item if m != "parameters"}
    assert routes == described


def test_the_detector_alone_offers_nothing_else(tmp_path: Path) -> None:
    client = idle(tmp_path, only="verify")
    assert client.get("/api/health").json()["offers"] == ["verify"]
    assert client.post("/api/animate", files=files(b"1", b"2")).status_code in (404, 405)
    assert not [r for r in client.app.routes if isinstance(r, WebSocketRoute)]  # type: ignore[attr-defined]


# ---------------------------------------------------------------- with workers


def test_verify_answers_the_documented_json(server: TestClient, tmp_path: Path) -> None:
    from conftest import ROOT

    data = (ROOT / "docs" / "result.jpg").read_bytes()
    found = server.post(
        "/api/verify",
        files=[("file", ("../r.jpg", data)), ("file", ("no.txt", b"text"))],
        data={"evidence": "true"},
    ).json()
    marked, other = found["files"]
    assert (found["schema"], found["unreadable"]) == (SCHEMA, 1)
    assert (marked["path"], marked["verdict"]) == ("r.jpg", "marked")
    assert {"mark", "signature", "claim", "labels", "ledger", "reasons"} <= set(marked)
    assert other["verdict"] == "unreadable"
    assert other["error"].startswith("no.txt ")
    drawn = tmp_path / "evidence.jpg"
    drawn.write_bytes(base64.b64decode(marked["evidence"].partition(",")[2]))
    assert verify(drawn).detection.marked
    assert not list(server.app.state.house.folder.iterdir())  # type: ignore[attr-defined]


def test_faces_are_found_and_large_photos_refused(server: TestClient) -> None:
    found = server.post("/api/faces", files={"photo": ("me.png", png())}).json()
    assert (found["width"], found["chosen"], len(found["faces"])) == (160, 1, 1)
    found = server.post("/api/faces", files={"photo": ("me.png", png(400))})
    assert found.status_code == 422
    assert found.json()["error"] == "me.png is 400x400: use at most 0.1 megapixels"


def bomb() -> bytes:
    """A small PNG that says it has ten thousand million pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000)))


@pytest.mark.parametrize("photo", [b"<svg onload=alert(1)>", bomb(), png()[:3000]])
def test_hostile_photos_are_refused_in_the_owners_words(server: TestClient, photo: bytes) -> None:
    found = server.post("/api/faces", files={"photo": ("x.png", photo)})
    assert found.status_code == 422
    assert found.json()["error"].startswith("x.png ")


def test_a_worker_that_dies_is_replaced(server: TestClient) -> None:
    for worker in server.app.state.house.lookers.workers:  # type: ignore[attr-defined]
        worker.start()
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.join()
    assert server.post("/api/faces", files={"photo": ("me.png", png())}).status_code == 200


def test_an_animation_is_made_shown_and_deleted(
    server: TestClient, world: Path, folder: Path, tmp_path: Path
) -> None:
    clip = (world / "clip.mp4").read_bytes()
    chosen = {"settings": json.dumps({"retarget.smoothing": 2, "clip.end": 0.2})}
    made = server.post("/api/animate", files=files(png(), clip), data=chosen)
    job = until(server, made.json(), "done", "failed")
    assert job["state"] == "done", job["error"]
    assert job["command"].startswith("animate run me.png song.mp4 -o result.mp4 ")
    assert job["result"]["report"]["verdict"] == "marked"
    place = f"/api/animate/{job['id']}"
    for part, name in (("result", "result.mp4"), ("preview", "preview.jpg")):
        (tmp_path / name).write_bytes(server.get(f"{place}/{part}").content)
        assert verify(tmp_path / name).detection.marked, name
    sent = server.get(f"{place}/photos/1")
    assert (sent.content, sent.headers["content-type"]) == (png(), "image/png")
    assert sent.headers["content-security-policy"] == "sandbox"
    assert server.delete(place).status_code == 204
    assert not list(folder.iterdir())


def test_what_is_sent_back_is_nothing_that_a_browser_runs(server: TestClient) -> None:
    page = b"<html><script>alert(1)</script>"
    job = server.post("/api/animate", files=files(page, page)).json()
    assert server.get(f"/api/animate/{job['id']}/photos/1").status_code == 415
    assert server.get(f"/api/animate/{job['id']}/clip").status_code == 415
    assert "me.png" in until(server, job, "failed")["error"]
    server.delete(f"/api/animate/{job['id']}")


def test_a_clip_that_is_too_long_is_refused(server: TestClient, world: Path) -> None:
    house = server.app.state.house  # type: ignore[attr-defined]
    long = house.serve
    house.queue.serve = Serve(pixels=0.1, seconds=0.1)
    try:
        clip = (world / "clip.mp4").read_bytes()
        job = server.post("/api/animate", files=files(png(), clip)).json()
        assert "song.mp4 lasts" in until(server, job, "failed")["error"]
    finally:
        house.queue.serve = long
    server.delete(f"/api/animate/{job['id']}")


def test_a_cancelled_animation_leaves_nothing_and_the_next_one_runs(
    server: TestClient, world: Path, folder: Path
) -> None:
    clip = (world / "clip.mp4").read_bytes()
    endless = {"settings": json.dumps({"clip.times": 20})}
    one, two = (
        server.post("/api/animate", files=files(png(), clip), data=data).json()
        for data in (endless, {"settings": json.dumps({"clip.end": 0.1})})
    )
    until(server, one, "working")
    assert server.delete(f"/api/animate/{one['id']}").status_code == 204
    assert until(server, two, "done", "failed")["state"] == "done"
    assert len(list(folder.iterdir())) == 1
    server.delete(f"/api/animate/{two['id']}")
    assert not list(folder.iterdir())


# ---------------------------------------------------------------- live


def test_a_line_keeps_the_newest_frame_alone() -> None:
    async def lined() -> list[Any]:
        line = Line()
        line.put_frame(b"old")
        line.put({"do": "calibrate"})
        line.put_frame(b"new")
        return [await line.take(), await line.take(), line.ready.is_set()]

    assert asyncio.run(lined()) == [{"do": "calibrate"}, b"new", False]


def test_messages_of_strangers_are_read_or_refused() -> None:
    assert unpacked(packed({"do": "frame"}, b"x")) == ({"do": "frame"}, b"x")
    for wrong in (b"", b"\xff\xff\xff\xff{}", packed({})[:5], struct.pack("<I", 2) + b"[]"):
        with pytest.raises((ValueError, UnicodeDecodeError)):
            unpacked(wrong)


def test_no_more_live_sessions_than_allowed(tmp_path: Path) -> None:
    with idle(tmp_path, sessions=0).websocket_connect(LIVE) as socket:
        assert socket.receive_json()["busy"] is True


@pytest.mark.parametrize(
    "messages",
    [
        [b"junk"],
        [json.dumps({"do": "start"})],
        [packed({"do": "frame", "at": 1}, b"x")],
        [packed({"do": "photo", "name": "a"}, b"x"), json.dumps({"do": "start", "settings": [1]})],
        [packed({"do": "photo", "name": "a"}, b"x")] * 10,
    ],
)
def test_a_session_that_begins_wrongly_ends(tmp_path: Path, messages: list[Any]) -> None:
    client = idle(tmp_path)
    with client.websocket_connect(LIVE) as socket:
        for message in messages:
            (socket.send_bytes if isinstance(message, bytes) else socket.send_text)(message)
        assert socket.receive_json()["event"] == "error"
    house = client.app.state.house  # type: ignore[attr-defined]
    assert house.sessions == 0
    deadline = time.monotonic() + 30
    while list(house.folder.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not list(house.folder.iterdir())


def test_live_pictures_are_marked_before_they_leave(
    server: TestClient, tmp_path: Path, folder: Path
) -> None:
    frame = io.BytesIO()
    Image.fromarray(draw_face(320)).save(frame, "JPEG")

    def answer(socket: Any, event: str) -> dict[str, Any]:
        while True:
            got = socket.receive()
            if "bytes" in got:
                head, body = unpacked(got["bytes"])
                head["body"] = body
            else:
                head = json.loads(got["text"])
            assert head["event"] not in ("error", "lost"), head
            if head["event"] == event:
                return head

    with server.websocket_connect(LIVE) as socket:
        socket.send_bytes(packed({"do": "photo", "name": "me.png"}, png(300)))
        socket.send_text(json.dumps({"do": "start"}))
        answer(socket, "ready")
        at = 1000 * time.monotonic()
        socket.send_bytes(packed({"do": "frame", "at": at}, frame.getvalue()))
        shown = answer(socket, "frame")
        assert shown["at"] == at
        assert shown["state"] != "lost"
        (tmp_path / "shown.jpg").write_bytes(shown["body"])
        assert verify(tmp_path / "shown.jpg").detection.marked
        for wrong in (
            packed({"do": "frame", "at": at}, b"junk"),
            packed({"do": "frame", "at": "now"}, frame.getvalue()),
            packed({"do": "nonsense"}),
            packed({"do": "choose", "photo": 2}),
            packed({"do": "change", "settings": {"checkpoint": "/etc/passwd"}}),
        ):
            socket.send_bytes(wrong)
            assert answer(socket, "refused")["error"]
        socket.send_text(json.dumps({"do": "record", "out": "/tmp/mine.mp4"}))
        for _ in range(6):
            time.sleep(0.05)
            now = 1000 * time.monotonic()
            socket.send_bytes(packed({"do": "frame", "at": now}, frame.getvalue()))
            answer(socket, "frame")
        socket.send_text(json.dumps({"do": "stop"}))
        job = answer(socket, "recorded")["job"]
    assert job["result"]["report"]["verdict"] == "marked"
    assert server.get(f"/api/animate/{job['id']}/result").status_code == 200
    server.delete(f"/api/animate/{job['id']}")
