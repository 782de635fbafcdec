"""The server refuses strangers, and takes uploads within limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect
from test_serve import HERE, LIVE, TOKEN, files, idle

from animate.errors import AnimateError
from animate.options import Serve
from animate.serve.server import address, chosen_token, listening, private_folder
from animate.serve.uploads import shown_name

pytest.importorskip("starlette", reason="needs the extra page: pip install -e '.[dev]'")


# ---------------------------------------------------------------- who may talk


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example"])
def test_a_name_that_was_rebound_to_this_machine_is_refused(tmp_path: Path, host: str) -> None:
    assert idle(tmp_path).get("/api/health", headers={"host": host}).status_code == 421
    assert idle(tmp_path).get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "[::1]:8765"])
def test_the_names_of_this_machine_are_known(tmp_path: Path, host: str) -> None:
    assert idle(tmp_path).get("/api/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999"])
def test_requests_of_other_sites_are_refused(tmp_path: Path, origin: str) -> None:
    client = idle(tmp_path)
    for path in ("/api/verify", "/api/animate", "/api/faces"):
        assert client.post(path, headers={"origin": origin}).status_code == 403
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect(LIVE, headers={"origin": origin}),
    ):
        pass


def test_the_page_itself_may_call(tmp_path: Path) -> None:
    assert idle(tmp_path).get("/api/health", headers={"origin": HERE}).status_code == 200


def test_without_the_token_nothing_is_answered(tmp_path: Path) -> None:
    client = idle(tmp_path, TOKEN, host="0.0.0.0")
    for path in ("/", "/main.js", "/api/health", "/?token=wrong", f"/api/health?token={TOKEN}"):
        assert client.get(path).status_code == 401
    bad = {"authorization": "Bearer wrong"}
    assert client.post("/api/verify", headers=bad).status_code == 401
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(LIVE):
        pass


def test_the_token_opens_the_page_and_leaves_the_address(tmp_path: Path) -> None:
    client = idle(tmp_path, TOKEN, host="0.0.0.0")
    first = client.get(f"/?token={TOKEN}", follow_redirects=False)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=strict"} <= set(first.headers["set-cookie"].split("; "))
    assert client.get("/").status_code == 200  # by the cookie
    other = idle(tmp_path, TOKEN, host="0.0.0.0")
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert other.get("/api/health", headers=bearer).status_code == 200


def test_a_token_comes_with_any_address_that_others_reach() -> None:
    assert chosen_token(Serve()) is None
    assert len(chosen_token(Serve(host="0.0.0.0")) or "") >= 32
    assert chosen_token(Serve(name="animate.example")) is not None
    assert chosen_token(Serve(host="0.0.0.0", only="verify", token="none")) is None
    for wrong in ({"token": "none", "host": "0.0.0.0"}, {"token": "short"}):
        with pytest.raises(AnimateError, match="token"):
            Serve(**wrong)
    assert address(Serve(host="192.0.2.1"), 80, TOKEN) == f"http://192.0.2.1:80/?token={TOKEN}"


def test_a_port_that_is_taken_is_one_clear_line() -> None:
    with listening(Serve(port=0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(AnimateError, match="use another, or --port 0"):
            listening(Serve(port=port))


def test_what_a_killed_server_left_is_deleted_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / "animate-serve-left"
    left.mkdir()
    (left / "lock").touch()
    with private_folder() as first, private_folder() as second:
        assert sorted(tmp_path.iterdir()) == sorted([first, second])
        assert first.stat().st_mode & 0o777 == 0o700
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["/", "/main.js", "/api/health", "/api/animate/none", "/none"])
def test_browsers_are_told_what_they_must_not_do(tmp_path: Path, path: str) -> None:
    found = idle(tmp_path).get(path).headers
    policy = found["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert found["x-content-type-options"] == "nosniff"
    assert found["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in found


# ---------------------------------------------------------------- uploads


def test_an_upload_that_says_it_is_too_large_is_refused(tmp_path: Path) -> None:
    client = idle(tmp_path, upload=1)
    found = client.post("/api/verify", files={"file": ("a.png", bytes(2 << 20))})
    assert found.status_code == 413
    assert "1 MiB" in found.json()["error"]


def test_an_upload_that_hides_its_size_is_cut_off(tmp_path: Path) -> None:
    def silent() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        yield from [bytes(1 << 16)] * 40

    kind = {"content-type": "multipart/form-data; boundary=x"}
    found = idle(tmp_path, upload=1).post("/api/verify", content=silent(), headers=kind)
    assert found.status_code == 413


def test_too_many_files_and_odd_forms_are_refused(tmp_path: Path) -> None:
    client = idle(tmp_path)
    assert client.post("/api/verify", files=[("file", b"x")] * 30).status_code == 400
    assert client.post("/api/verify", files=[("file", b"x")] * 11).status_code == 422
    assert client.post("/api/verify", json={}).status_code == 422
    assert client.post("/api/animate", files={"photo": ("a.png", b"")}).status_code == 422
    assert not list((tmp_path / "files").iterdir())


@pytest.mark.parametrize(
    ("given", "shown"),
    [("../../etc/passwd", "passwd"), ("C:\\a\\b.png", "b.png"), ("", "file"), ("..", "..")],
)
def test_a_client_never_names_a_path(given: str, shown: str) -> None:
    assert shown_name(given) == shown


def test_uploads_lie_in_private_folders_under_names_of_the_server(tmp_path: Path) -> None:
    client = idle(tmp_path)
    found = client.post("/api/animate", files=files(b"one", b"two", "../../escaped.png"))
    assert found.status_code == 202
    assert found.json()["photos"] == ["escaped.png"]
    (place,) = (tmp_path / "files").iterdir()
    assert sorted(path.name for path in place.iterdir()) == ["clip", "photo-1"]
    assert {path.stat().st_mode & 0o777 for path in (place, place.parent)} == {0o700}
    assert not list(tmp_path.glob("**/escaped*"))


def test_a_full_queue_says_when_to_come_again(tmp_path: Path) -> None:
    client = idle(tmp_path, jobs=1)
    assert client.post("/api/animate", files=files(b"one", b"two")).status_code == 202
    found = client.post("/api/animate", files=files(b"one", b"two"))
    assert found.status_code == 503
    assert int(found.headers["retry-after"]) > 0
    assert len(list((tmp_path / "files").iterdir())) == 1


def test_files_are_deleted_after_their_time_and_on_demand(tmp_path: Path) -> None:
    client = idle(tmp_path, keep=1)
    queue = client.app.state.house.queue  # type: ignore[attr-defined]
    jobs = [client.post("/api/animate", files=files(b"1", b"2")).json() for _ in range(3)]
    queue.jobs[jobs[0]["id"]].made -= 61
    asyncio.run(queue.tidy_once())
    assert client.get(f"/api/animate/{jobs[0]['id']}").status_code == 404
    assert client.delete(f"/api/animate/{jobs[1]['id']}").status_code == 204
    assert len(list((tmp_path / "files").iterdir())) == 1
    assert client.get(f"/api/animate/{jobs[2]['id']}").json()["before"] == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"motion.checkpoint": "/etc/passwd"}, "no setting"),
        ({"label.font": "/etc/passwd"}, "no setting"),
        ({"key": "toolkit"}, "no setting"),
        ({"device": "cuda"}, "no setting"),
        ({"retarget.mouth": "wide"}, "use a number"),
        ({"paste.size": 1}, "use a whole number from 128"),
        ([], "no JSON object"),
    ],
)
def test_settings_of_the_server_are_not_the_clients(
    tmp_path: Path, settings: Any, words: str
) -> None:
    data = {"settings": json.dumps(settings)}
    found = idle(tmp_path).post("/api/animate", files=files(b"1", b"2"), data=data)
    assert found.status_code == 422
    assert words in found.json()["error"]
