"""`animate live`: cameras, virtual cameras, keys, and what it says when it ends."""

from __future__ import annotations

import os
import pty
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from conftest import ROOT, draw_calm, write_clip

from animate.cli import main
from animate.cli.keyboard import Keyboard
from animate.cli.live import Panel
from animate.config import live_options, run_options
from animate.errors import AnimateError
from animate.inference.live import Shown
from animate.media import cameras
from animate.media.cameras import find_camera
from animate.media.clips import sha256
from animate.options import Live
from animate.provenance.credentials import read
from animate.publish.virtual_camera import check_device, open_device

FACES = draw_calm(10, 160)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("camera") / "clip.mp4", FACES, "20")


# ---------------------------------------------------------------- cameras


def test_a_file_plays_at_its_own_pace(clip: Path) -> None:
    frames = list(find_camera(str(clip)).frames())
    whens = np.array([when for _, when in frames])
    assert len(frames) <= 10
    assert whens[-1] - whens[0] == pytest.approx((len(frames) - 1) / 20, abs=0.11)
    assert all(frame.shape == (160, 160, 3) for frame, _ in frames)


def test_frames_that_come_too_late_are_left_out(clip: Path) -> None:
    taken = []
    for frame, when in find_camera(str(clip)).frames():
        taken.append(when)
        assert time.monotonic() - when < 0.05 + 1 / 20
        time.sleep(0.12)
        assert frame.any()
    assert len(taken) < 7


class Device:
    """Stands for OpenCV's camera: three frames in blue, green, red order, then none."""

    def __init__(self, place: int | str) -> None:
        self.place, self.left = place, 3

    def isOpened(self) -> bool:
        return self.place in (1, "/dev/video1")

    def set(self, *_: object) -> None: ...

    def read(self) -> tuple[bool, np.ndarray]:
        self.left -= 1
        return self.left >= 0, np.full((48, 64, 3), (30, 20, 10), np.uint8)

    def release(self) -> None:
        self.left = -99


def test_a_device_gives_frames_until_it_is_unplugged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cv2.VideoCapture", Device)
    for place in ("1", "/dev/video1"):
        taken: list[np.ndarray] = []
        with pytest.raises(AnimateError, match="no more frames"):
            taken.extend(frame for frame, _ in find_camera(place).frames())
    with pytest.raises(AnimateError, match="can't be opened"):
        next(find_camera("7").frames())


def test_frames_of_an_address_are_read_in_rgb(clip: Path) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=clip.parent)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://ada:secret@127.0.0.1:{server.server_port}"
        write_clip(clip.with_suffix(".mkv"), FACES, "20")
        frames = list(find_camera(f"{address}/clip.mkv").frames())
        assert len(frames) == 10
        assert frames[0][0].shape == (160, 160, 3)
        assert np.abs(frames[0][0].astype(int) - FACES[0]).mean() < 6
        with pytest.raises(AnimateError, match="can't be read") as caught:
            next(find_camera(f"{address}/none.mp4").frames())
        assert "secret" not in str(caught.value)
        server.shutdown()


def test_a_list_at_an_address_leads_nowhere(clip: Path) -> None:
    (clip.parent / "list.m3u8").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip.as_uri()}\n#EXT-X-ENDLIST\n"
    )
    handler = partial(SimpleHTTPRequestHandler, directory=clip.parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(AnimateError, match="can't be read"):
            next(find_camera(f"http://127.0.0.1:{server.server_port}/list.m3u8").frames())
        server.shutdown()


# ---------------------------------------------------------------- virtual cameras


def test_a_missing_device_names_the_command_that_makes_it() -> None:
    with pytest.raises(AnimateError, match=r"modprobe v4l2loopback exclusive_caps=1 video_nr=42 "):
        check_device("/dev/video42")
    with pytest.raises(AnimateError, match="no device"):
        check_device(str(ROOT / "README.md"))
    with pytest.raises(AnimateError, match="v4l2loopback device"):
        open_device("/dev/null", 64, 96, Fraction(25))


def test_pictures_reach_a_device_as_it_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyAV writes a raw file in the place of the device."""
    opened, out = av.open, tmp_path / "raw"
    asked: list[tuple[Any, ...]] = []

    def to_file(place: str, mode: str, format: str) -> Any:
        asked.append((place, mode, format))
        return opened(str(out), mode, format="rawvideo")

    monkeypatch.setattr("av.open", to_file)
    monkeypatch.setattr("animate.publish.virtual_camera.check_device", lambda place: None)
    with open_device("/dev/video9", 64, 96, Fraction(25)) as device:
        for level in (0, 128, 255):
            device.send(np.full((64, 96, 3), level, np.uint8))
    assert asked == [("/dev/video9", "w", "v4l2")]
    planes = np.fromfile(out, np.uint8).reshape(3, 64 * 96 * 3 // 2)  # YUV 4:2:0
    assert [round(plane[: 64 * 96].mean()) for plane in planes] == [16, 126, 235]


def test_pyvirtualcam_is_used_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[np.ndarray] = []
    camera = SimpleNamespace(send=sent.append, close=lambda: sent.append(np.zeros(0)))
    module = SimpleNamespace(Camera=lambda width, height, fps: camera)
    monkeypatch.setitem(__import__("sys").modules, "pyvirtualcam", module)
    with open_device("camera", 64, 96, Fraction(25)) as device:
        device.send(np.zeros((64, 96, 3), np.uint8))
    assert [each.shape for each in sent] == [(64, 96, 3), (0,)]
    monkeypatch.setitem(__import__("sys").modules, "pyvirtualcam", None)
    with pytest.raises(AnimateError, match="pip install pyvirtualcam"):
        check_device("camera")


# ---------------------------------------------------------------- the command


def test_settings_of_a_run_and_its_own_are_read() -> None:
    options, live = live_options(["retarget.mouth=1.3", "paste=crop", "live.mirror=true"])
    assert options == run_options(["retarget.mouth=1.3", "paste=crop"])
    assert live == Live(mirror=True)
    assert live_options() == (run_options(), Live())
    for wrong in ("live.size=5", "live.mirror=3", "live.sise=300", "live=off"):
        with pytest.raises(AnimateError):
            live_options([wrong])


def test_a_file_as_camera_is_recorded(
    photos: list[Path],
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out.mp4"
    checkpoint = f"motion.checkpoint={photos[0].with_name('globe.safetensors')}"
    settings = [checkpoint, "motion.name=null", "live.rate=20"]
    given = ["live", str(photos[0]), str(photos[1]), *settings, "--camera", str(clip)]
    assert main([*given, "--to", str(out)]) == 0
    said = capsys.readouterr()
    first, second = said.out.splitlines()
    assert "pictures shown" in first
    assert "each marked" in first
    assert second.startswith(f"{out}: ")
    assert "verified: marked" in second
    assert "the face is seen" in said.err
    found = read(out)
    assert found.record is not None
    assert found.record.claim.clip_sha256 == sha256(clip)
    assert found.ingredients == ("photo 1", "photo 2", "driving video")
    assert main([*given, "--to", str(out)]) == 2
    assert "use --force" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["photo.png", "--to", "/dev/video42"], "modprobe"),
        (["photo.png", "--to", "a.mp4", "--camera", "nothing.mp4"], "there is no camera"),
        (["photo.png", "--to", "a.mp4", "--to", "b.mp4"], "one file"),
        (["photo.png", "--to", "a.png", "--camera", "CLIP"], "suffix"),
        (["photo.png", "--to", "a.mp4", "--camera", "CLIP", "clip.start=1"], "does nothing"),
        (["photo.png", "--to", "a.mp4", "--camera", "CLIP", "live.rate=1000"], "live.rate"),
        (["CLIP", "--to", "a.mp4", "--camera", "CLIP"], "moves photos"),
        (["photo.png"], "--to"),
        (["photo.png", "--to", "a.mp4", "--camera", "photo.png"], "not a clip"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    words: str,
    photos: list[Path],
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(photos[0].parent)
    files = sorted(photos[0].parent.iterdir())
    checkpoint = "motion.checkpoint=globe.safetensors"
    given = [str(clip) if word == "CLIP" else word for word in arguments]
    assert main(["live", *given, checkpoint, "motion.name=null"]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert sorted(photos[0].parent.iterdir()) == files


def test_what_was_recorded_stays_when_the_camera_is_unplugged(
    photos: list[Path],
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def unplugged(path: Path) -> Iterator[tuple[np.ndarray, float]]:
        for frame in FACES[:3]:
            yield frame, time.monotonic()
            time.sleep(0.2)
        raise AnimateError("camera 0 gives no more frames")

    monkeypatch.setattr("animate.media.cameras._played", unplugged)
    checkpoint = f"motion.checkpoint={photos[0].with_name('globe.safetensors')}"
    given = [str(photos[0]), checkpoint, "motion.name=null", "--camera", str(clip)]
    assert main(["live", *given, "--to", str(tmp_path / "out.mp4")]) == 2
    said = capsys.readouterr()
    assert "verified: marked" in said.out
    assert "no more frames" in said.err
    assert (tmp_path / "out.mp4").exists()


class Session:
    """Stands for a session: notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.photos = ["a", "b", "c"]

    def __getattr__(self, name: str) -> Any:
        return lambda *given: self.asked.append((name, *given))

    def choose(self, number: int) -> None:
        if number > 3:
            raise AnimateError("there is no photo 9: choose one from 1 to 3")
        self.asked.append(("choose", number))

    def status(self) -> Any:
        return SimpleNamespace(photo=1, mirrored=True, fps=18.0, age=0.09, late=0.2, state="live")


def test_keys_do_what_avatarifys_users_know() -> None:
    keys, said = iter("XftRz2a9i?"), list[str]()
    session = Session()
    panel = Panel(session, lambda: next(keys, None), said.append)  # type: ignore[arg-type]
    assert panel(Shown(FACES[0], 0, 0, "live", None))
    assert session.asked == [
        ("calibrate",), ("better_reference",), ("mirror",), ("mirror",), ("reset",),
        ("choose", 2), ("choose", 3),
    ]  # fmt: skip
    assert "the face is seen" in said
    assert "there is no photo 9: choose one from 1 to 3" in said
    assert any("18.0 pictures a second, 90 ms" in line for line in said)
    keys = iter("q")
    assert not panel(None)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Standard input is a terminal; what is written to this descriptor is typed."""
    typing, input_ = pty.openpty()
    with os.fdopen(input_, encoding="utf-8") as opened:
        monkeypatch.setattr("sys.stdin", opened)
        yield typing
    os.close(typing)


def test_keys_are_read_without_enter_or_waiting(terminal: int) -> None:
    import termios

    before = termios.tcgetattr(terminal)
    with Keyboard() as keyboard:
        assert keyboard.pressed() is None
        os.write(terminal, b"x2")
        time.sleep(0.05)
        assert [keyboard.pressed() for _ in range(3)] == ["x", "2", None]
    assert termios.tcgetattr(terminal) == before


def test_cameras_are_not_opened_over_the_network_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr("av.open", refuse)
    for place in ("0", "/dev/video0", "rtsp://ada:secret@camera/1"):
        assert find_camera(place).file is None
    assert cameras._without_password("rtsp://ada:secret@camera/1") == "rtsp://camera/1"
