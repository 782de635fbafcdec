"""The page in a real browser, with a fake camera: from the first click to the file."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import draw_calm, draw_face, tiny
from PIL import Image

from animate.verification.verify import verify

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
NEEDS = "needs playwright (pip install -e '.[dev]') and a browser (apt-get install chromium)"
playwright = pytest.importorskip("playwright.sync_api", reason=NEEDS)
pytest.importorskip("starlette", reason=NEEDS)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NEEDS)

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
LONG = 60_000  # milliseconds; a busy machine is slow, not wrong


class Server:
    """`animate serve` with a small model, at an address of its own."""

    def __init__(self, world: Path) -> None:
        command = [sys.executable, "-m", "animate", "serve", "--port", "0", *tiny(world)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        found = re.search(r"http://\S+/", self.process.stdout.readline())
        assert found
        self.address = found[0]

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)


@pytest.fixture(scope="module")
def server(world: Path) -> Iterator[Server]:
    made = Server(world)
    yield made
    made.end()


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the fake camera sees: a drawn face that talks, as motion JPEG."""
    path = tmp_path_factory.mktemp("camera") / "face.mjpeg"
    with path.open("wb") as file:
        for face in draw_calm(30, 480):
            frame = np.full((480, 640, 3), 90, np.uint8)
            frame[:, 80:560] = face
            Image.fromarray(frame).save(file, "JPEG")
    return path


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    """Playwright's Chromium type; there may be one Playwright at a time."""
    with playwright.sync_playwright() as started:
        yield started.chromium


@pytest.fixture(scope="module")
def browser(driver: Any, camera: Path) -> Any:
    fake = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
    )
    return driver.launch(executable_path=CHROMIUM, args=[*FLAGS, *fake])


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    """A page that must not report an error."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        context.set_default_timeout(LONG)
        opened = context.new_page()
        wrong: list[str] = []
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        opened.goto(server.address)
        yield opened
        assert not wrong


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(draw_face(300)).save(tmp_path / "me.png")
    return tmp_path / "me.png"


def saved(page: Any, path: Path) -> Path:
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download").first.click()
    waiting.value.save_as(path)
    return path


def test_a_grid_is_made_across_a_reload(
    page: Any, photo: Path, world: Path, tmp_path: Path
) -> None:
    page.get_by_text("Several, in step").click()
    page.locator("[aria-label=Photo] input[type=file]").set_input_files([photo, photo])
    page.locator("[aria-label=Clip] input[type=file]").set_input_files(world / "clip.mp4")
    page.get_by_text("2 photos in one grid").wait_for()
    page.get_by_role("button", name="Animate", exact=True).click()
    page.get_by_role("article", name="2 photos, in step").wait_for()
    page.reload()
    result = verify(saved(page, tmp_path / "grid.mp4"))
    assert result.verdict == "marked"
    assert page.get_by_text("animate run me.png clip.mp4 -o result.mp4 --tile me.png").count() == 1
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("Your animations appear here").wait_for()


def test_the_camera_moves_the_photo_and_what_is_seen_is_marked(
    page: Any, photo: Path, tmp_path: Path
) -> None:
    page.get_by_role("link", name="Live").click()
    page.locator("[aria-label='Photo and camera'] input[type=file]").set_input_files(photo)
    page.get_by_role("button", name="Start", exact=True).click()
    screen = page.get_by_label("The animated photo")
    screen.wait_for()
    page.keyboard.press("x")
    page.get_by_role("button", name="Record").click()
    page.get_by_role("button", name="Stop recording, 1 s").click()
    page.get_by_role("article", name="Live recording").wait_for()
    recorded = verify(saved(page, tmp_path / "live.mp4"))
    assert recorded.verdict == "marked"
    screen.screenshot(path=tmp_path / "screen.png")
    assert verify(tmp_path / "screen.png").detection.marked
    page.get_by_role("button", name="Stop", exact=True).click()


def test_verify_says_where_a_file_comes_from(page: Any, photo: Path) -> None:
    page.get_by_role("link", name="Verify").click()
    result = Path(__file__).parent.parent / "docs" / "result.jpg"
    page.locator("[aria-label=Files] input[type=file]").set_input_files([result, photo])
    for name, verdict in (("result.jpg", "Marked"), ("me.png", "No mark found")):
        report = page.get_by_role("article", name=f"Report on {name}")
        report.get_by_text(verdict, exact=True).wait_for()
    assert page.get_by_alt_text("The evidence, drawn").count() == 2


def test_a_refused_camera_and_a_server_that_ends_are_said(
    driver: Any, world: Path, photo: Path
) -> None:
    own = Server(world)
    page = driver.launch(executable_path=CHROMIUM, args=list(FLAGS)).new_page()
    page.set_default_timeout(LONG)
    page.goto(own.address + "#live")
    page.locator("[aria-label='Photo and camera'] input[type=file]").set_input_files(photo)
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_text(re.compile("camera was refused|No camera was found")).wait_for()
    os.kill(own.process.pid, signal.SIGKILL)
    page.get_by_text("the server does not answer").wait_for()
    own.process.wait()
