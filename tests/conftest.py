"""The world that the tests draw for themselves: a photo, a clip and a small untrained model."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Generator, Iterable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter

from animate.provenance import keys
from animate.provenance.identity import Public
from animate.system.device import quick_at_int8
from animate.system.observer import Notes

ROOT = Path(__file__).resolve().parent.parent
RATE = "30000/1001"
Item = TypeVar("Item")
HAIR, SKIN = (60, 40, 30), (220, 180, 150)

needs_vnni = pytest.mark.skipif(
    not quick_at_int8(getattr(torch.cpu, "get_capabilities", dict)()),
    reason="products of bytes need a processor with VNNI",
)


class Recorder(Notes):
    """An observer that remembers notes, and of all it watched the unit, the total and the count."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: list[tuple[str, int | None, int]] = []

    def watch(
        self, items: Iterable[Item], total: int | None = None, unit: str = "frame"
    ) -> Generator[Item, None, None]:
        count = 0
        for item in items:
            count += 1
            yield item
        self.watched.append((unit, total, count))


def draw_face(side: int = 128, turn: float = 0.0, open_mouth: float = 0.3) -> np.ndarray:
    """A face on a textured ground, uint8 (side, side, 3), moved by `turn` sides.

    Drawn well enough for a face detector to see it.
    """
    noise = np.random.default_rng(0).integers(40, 120, (side // 4, side // 4), np.uint8)
    picture = Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC).convert("RGB")
    draw = ImageDraw.Draw(picture)

    def ellipse(x: float, y: float, rx: float, ry: float, colour: tuple[int, int, int]) -> None:
        x += turn
        draw.ellipse([side * v for v in (x - rx, y - ry, x + rx, y + ry)], fill=colour)

    ellipse(0.5, 0.44, 0.3, 0.36, HAIR)  # hair, shoulders, neck
    ellipse(0.5, 0.95, 0.4, 0.2, (60, 70, 120))
    ellipse(0.5, 0.8, 0.12, 0.2, (200, 155, 125))
    ellipse(0.5, 0.5, 0.25, 0.34, SKIN)
    for eye in (0.39, 0.61):
        ellipse(eye, 0.37, 0.075, 0.018, (70, 50, 40))
        ellipse(eye, 0.44, 0.06, 0.035, (190, 145, 120))
        ellipse(eye, 0.44, 0.045, 0.022, (250, 250, 250))
        ellipse(eye, 0.44, 0.02, 0.022, (40, 30, 20))
    ellipse(0.5, 0.52, 0.02, 0.08, (232, 195, 168))
    ellipse(0.5, 0.595, 0.05, 0.018, (175, 125, 105))
    ellipse(0.5, 0.7, 0.1, 0.02 + 0.1 * open_mouth, (170, 70, 75))
    ellipse(0.5, 0.7, 0.07, 0.1 * open_mouth, (90, 20, 30))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(side / 160)))


def draw_frames(count: int, side: int = 128) -> list[np.ndarray]:
    """A face that sways and talks."""
    return [draw_face(side, 0.06 * np.sin(i / 3), 0.3 + 0.3 * np.sin(i / 2)) for i in range(count)]


def draw_calm(count: int, side: int = 128) -> list[np.ndarray]:
    """A face that talks and sways as little as people do."""
    return [draw_face(side, 0.015 * np.sin(i / 8), 0.3 + 0.1 * np.sin(i / 4)) for i in range(count)]


def in_other_scene(head: np.ndarray) -> np.ndarray:
    """A drawn face as a fair-haired, dark person's: smaller, at the right, before a bright wall."""
    side = len(head)
    fair, dark = [np.abs(head.astype(int) - c).max(-1, keepdims=True) < 45 for c in (HAIR, SKIN)]
    other = np.where(fair, head // 4 + (190, 165, 90), np.where(dark, head // 2 + (10, 0, 0), head))
    small = round(side * 0.7)
    frame = np.full((side, side, 3), (225, 220, 200), np.uint8)
    frame[side // 10 : side // 2, : side // 4] = (90, 130, 200)  # a window
    smaller = Image.fromarray(other.astype(np.uint8)).resize((small, small))
    frame[-small:, -small:] = np.asarray(smaller)
    return frame


def write_clip(path: Path, frames: list[np.ndarray], rate: str = RATE, sound: bool = False) -> Path:
    """Encode frames with the ffmpeg that the package brings."""
    import imageio_ffmpeg

    height, width = frames[0].shape[:2]
    beep = ["-f", "lavfi", "-i", "sine=frequency=440", "-shortest", "-c:a", "aac"] if sound else []
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "rawvideo"]
    command += ["-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", rate, "-i", "-", *beep]
    command += ["-pix_fmt", "yuv420p", str(path)]
    data = b"".join(frame.tobytes() for frame in frames)
    subprocess.run(command, input=data, check=True)
    return path


class FakeAlignment(ModuleType):
    """The part of face-alignment that is used, of either age."""

    def __init__(self, kind: str):
        super().__init__("face_alignment")
        self.__spec__ = ModuleSpec("face_alignment", None)
        self.LandmarksType = type("LandmarksType", (), {kind: "flat"})
        self.asked: dict[str, Any] = {}
        fake = self

        class FaceAlignment:
            face_detector = SimpleNamespace(detect_from_image=lambda p: [[20, 20, 80, 90, 0.9]])

            def __init__(
                self,
                landmarks_type: str,
                device: str,
                flip_input: bool,
                face_detector_kwargs: dict[str, str],
                compile: bool = True,
            ):
                import torch

                fake.asked = {"compile": compile, "type": landmarks_type}
                fake.asked["detector"] = Path(face_detector_kwargs["path_to_detector"]).is_file()
                cache = Path(torch.hub.get_dir()) / "checkpoints"
                fake.asked["landmarks"] = (cache / "2DFAN4-11f355bf06.pth.tar").is_file()

            def get_landmarks_from_image(self, picture: Any, detected_faces: Any) -> list[Any]:
                points = np.stack([np.linspace(20, 80, 68), np.linspace(30, 90, 68)], -1)
                return [points] * len(detected_faces)

        self.FaceAlignment = FaceAlignment


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keys and ledger of the tests lie in a folder of their own, which starts empty."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANIMATE_HOME", str(folder))
        yield folder


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for one test."""
    monkeypatch.setenv("ANIMATE_HOME", str(tmp_path / "own home"))
    return tmp_path / "own home"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photo.png, clip.mp4 (12 frames, with sound) and two untrained models.

    tiny.safetensors is the quickest one, for whatever every model does; gated.safetensors is of the
    default kind, which knows landmarks.
    """
    import torch

    from animate import checkpoints, models

    folder = tmp_path_factory.mktemp("world")
    Image.fromarray(draw_face(160)).save(folder / "photo.png")
    write_clip(folder / "clip.mp4", draw_frames(12), sound=True)
    small = {
        "size": 128, "detector_width": 4, "detector_levels": 2, "motion_width": 4,
        "motion_levels": 2, "width": 4, "residuals": 1,
    }  # fmt: skip
    kinds = {"tiny": ("first_order", small), "gated": ("first_order_gated", {"size": 128})}
    for name, (kind, arguments) in kinds.items():
        torch.manual_seed(0)
        model = models.build(kind, **arguments)
        path = folder / f"{name}.safetensors"
        checkpoints.save(path, model, arguments=arguments, card={"note": "untrained"})
    return folder


def tiny(world: Path) -> list[str]:
    """The settings of a command that runs tiny.safetensors."""
    return ["motion=first_order", f"motion.checkpoint={world / 'tiny.safetensors'}"]


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """No mark is looked for: for tests whose files have none."""
    from animate.watermark.detection import NOTHING, Detection

    def detect(frames: Iterable[np.ndarray], *_: Any, **__: Any) -> Detection:
        for _frame in frames:
            pass
        return NOTHING

    monkeypatch.setattr("animate.verification.verify.detect", detect)


@pytest.fixture(scope="module")
def scene() -> list[np.ndarray]:
    """A second of a face that moves before a soft ground, 256 x 256."""
    y, x = np.mgrid[:256, :256] / 256
    ground = 90 + 60 * np.stack([x, y, 0.5 * np.sin(9 * x + 4 * y)], -1)
    faces = draw_frames(25, 256)
    skin = [np.abs(f.astype(int) - (220, 180, 150)).sum(-1, keepdims=True) < 60 for f in faces]
    noise = np.random.default_rng(1).normal(0, 2, (256, 256, 3))
    return [
        np.clip(np.where(s, f, ground) + noise, 0, 255).astype(np.uint8)
        for s, f in zip(skin, faces, strict=True)
    ]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """Two photos of different shapes, and the globe, which moves as far as faces do, beside them.

    The photos are known to have no mark.
    """
    from test_third_model import Globe

    from animate import checkpoints, models
    from animate.models.registry import Model

    folder = tmp_path_factory.mktemp("live")
    Image.fromarray(draw_face(160)).save(folder / "photo.png")
    wide = np.pad(draw_face(240, 0.05), ((0, 0), (60, 0), (0, 0)), "edge")[:, :, ::-1]
    Image.fromarray(wide).save(folder / "wide.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(models.REGISTRY, "globe", Model("test_third_model:Globe"))
        checkpoints.save(folder / "globe.safetensors", Globe(), arguments={"size": 64})
        patch.setattr("animate.inference.portrait.history", lambda path: "")
        yield [folder / "photo.png", folder / "wide.png"]


@pytest.fixture
def begin(photos: list[Path]) -> Iterator[Callable[..., Any]]:
    """Opens sessions, and closes them."""
    from animate.inference.live import LiveSession
    from animate.options import Live, Options

    opened: list[LiveSession] = []

    def make(count: int = 1, live: Live | None = None, **settings: Any) -> LiveSession:
        given = {"checkpoint": str(photos[0].with_name("globe.safetensors")), "threads": 1}
        chosen = Options().changed(**{**given, **settings})
        opened.append(LiveSession(photos[:count], chosen, live or Live()))
        return opened[-1]

    yield make
    for session in opened:
        session.close()


@pytest.fixture
def ada(own_home: Path) -> Public:
    """The only key here."""
    return keys.init("Ada Example")
