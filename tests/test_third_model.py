"""A motion model that the package does not know: added from outside, it runs everywhere."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from conftest import ROOT, draw_face, write_clip
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from animate import checkpoints, models
from animate.cli import main
from animate.errors import AnimateError
from animate.faces.crop import Framing
from animate.inference.inspect import inspect
from animate.inference.portrait import portrait
from animate.inference.save_motion import save_motion
from animate.models import Model
from animate.models.contract import Insight, Motion, MotionModel


@dataclass(frozen=True)
class Turn(Motion):
    """T poses of a head as three angles, and how far the mouth is open; no point anywhere."""

    angles: Tensor  # (T, 3) radians
    mouth: Tensor  # (T,)


@dataclass(frozen=True)
class Photo:
    picture: Tensor  # (1, 3, S, S)
    pose: Turn


class Globe(MotionModel[Photo, Turn]):
    """Turns a photo as if it were painted on a globe. Three-dimensional, and twice as large."""

    framing = Framing(scale=2.0, raised=0.1)
    regions = ("head", "lower_lip")
    smoothing_speed = 2.0
    near = 0.001
    far = 0.5

    def __init__(self, size: int = 64, detail: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.weight = nn.Parameter(torch.tensor(detail))

    def encode(self, photo: Tensor) -> Photo:
        return Photo(photo, self.track(photo))

    def track(self, frames: Tensor) -> Turn:
        light = frames.mean(1)  # (T, S, S)
        place = torch.linspace(-1, 1, self.size, device=frames.device)
        whole = light.sum((1, 2)).clamp(min=1e-6)
        across = (light.sum(1) * place).sum(1) / whole
        down = (light.sum(2) * place).sum(1) / whole
        y, x = torch.meshgrid(place, place, indexing="ij")
        roll = (light * x * y).sum((1, 2)) / whole
        return Turn(torch.stack([across, down, roll], 1), light.std((1, 2)))

    def retarget(
        self,
        source: Photo,
        motion: Turn,
        reference: Turn,
        *,
        relative: bool = True,
        adapt_scale: bool = True,
        amplify: Mapping[str, float] = {},
    ) -> Turn:
        if not relative:
            return motion
        head, lip = amplify.get("head", 1), amplify.get("lower_lip", 1)
        return Turn(
            source.pose.angles + head * (motion.angles - reference.angles),
            source.pose.mouth + lip * (motion.mouth - reference.mouth),
        )

    def render(self, source: Photo, motion: Turn) -> Tensor:
        picture = source.picture.expand(len(motion), -1, -1, -1)
        moved = F.grid_sample(
            picture, self._flow(source, motion), padding_mode="border", align_corners=True
        )
        return F.interpolate(moved, scale_factor=2, mode="bilinear")

    def explain(self, source: Photo, motion: Turn) -> Insight:
        flow = self._flow(source, motion)
        return Insight(flow, torch.ones_like(flow[..., :1]).permute(0, 3, 1, 2))

    def distance(self, own: Turn, motion: Turn) -> Tensor:
        return (motion.angles - own.angles).norm(dim=1)

    def _flow(self, source: Photo, motion: Turn) -> Tensor:
        """(T, S, S, 2): where each pixel of the turned globe's front comes from."""
        turn = (motion.angles - source.pose.angles) * self.weight
        z = torch.linspace(-1, 1, self.size, device=turn.device)
        y, x = torch.meshgrid(z, z, indexing="ij")
        cos, sin = turn[:, 2, None, None].cos(), turn[:, 2, None, None].sin()
        x, y = x * cos - y * sin, x * sin + y * cos
        longitude = torch.asin(x.clamp(-0.999, 0.999)) - turn[:, 0, None, None]
        latitude = torch.asin(y.clamp(-0.999, 0.999)) - turn[:, 1, None, None]
        return torch.stack([torch.sin(longitude), torch.sin(latitude)], -1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The model in the registry, its YAML, a checkpoint of it, a photo and a clip."""
    folder = tmp_path_factory.mktemp("globe")
    shutil.copytree(ROOT / "configs", folder / "configs")
    (folder / "configs/motion/globe.yaml").write_text(
        "name: globe\ncheckpoint: null\narguments: {}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(models.REGISTRY, "globe", Model(f"{__name__}:Globe"))
        patch.setattr("animate.config.folder", lambda name: folder / name)
        checkpoints.save(folder / "globe.safetensors", Globe(), arguments={"size": 64})
        checkpoints.save(folder / "large.safetensors", Globe(256), arguments={"size": 256})
        Image.fromarray(draw_face(160)).save(folder / "photo.png")
        frames = [draw_face(160, 0.05 * math.sin(i / 2)) for i in range(8)]
        write_clip(folder / "clip.mp4", frames, "25")
        yield folder


def settings(home: Path) -> dict[str, object]:
    return {"motion": "globe", "checkpoint": home / "globe.safetensors", "label": None}


def shapes(path: Path) -> set[tuple[int, ...]]:
    with av.open(str(path)) as container:
        return {frame.to_ndarray(format="rgb24").shape for frame in container.decode(video=0)}


def test_a_run_shows_what_it_makes(home: Path, tmp_path: Path) -> None:
    done = portrait(home / "photo.png", home / "clip.mp4", tmp_path / "o.mp4", **settings(home),
                    smoothing=2.0, pingpong=True, paste="crop")  # fmt: skip
    assert done.frames == 14
    assert shapes(done.path) == {(128, 128, 3)}
    pasted = portrait(home / "photo.png", home / "clip.mp4", tmp_path / "p.mp4", **settings(home))
    assert shapes(pasted.path) == {(160, 160, 3)}


def test_its_result_has_512_pixels(home: Path, tmp_path: Path) -> None:
    chosen = settings(home) | {"checkpoint": home / "large.safetensors", "paste": "crop"}
    done = portrait(home / "photo.png", home / "photo.png", tmp_path / "large.png", **chosen)
    assert Image.open(done.path).size == (512, 512)


def test_it_is_not_trained(home: Path) -> None:
    with pytest.raises(AnimateError, match="Globe has no training pass"):
        Globe()(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))


def test_its_framing_is_what_it_sees(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wide = portrait(home / "photo.png", home / "photo.png", tmp_path / "wide.png", **settings(home),
                    paste="crop")  # fmt: skip
    monkeypatch.setattr(Globe, "framing", Framing(scale=1.2))
    narrow = portrait(home / "photo.png", home / "photo.png", tmp_path / "narrow.png",
                      **settings(home), paste="crop")  # fmt: skip
    one, other = (np.asarray(Image.open(done.path), float) for done in (wide, narrow))
    assert np.abs(one - other).mean() > 5


def test_a_video_s_person_and_templates_move_by_it(home: Path, tmp_path: Path) -> None:
    video = portrait(
        home / "clip.mp4", home / "clip.mp4", tmp_path / "v.mp4", **settings(home), head=0
    )
    assert video.frames == 8
    chosen = settings(home)
    del chosen["label"]
    template = save_motion(home / "clip.mp4", tmp_path / "m.npz", **chosen)
    assert (len(template), template.numbers) == (8, 4)
    played = portrait(home / "photo.png", tmp_path / "m.npz", tmp_path / "t.mp4", **settings(home))
    assert played.frames == 8


def test_it_is_inspected_and_compared_without_points(home: Path, tmp_path: Path) -> None:
    chosen = settings(home)
    del chosen["label"]
    assert (
        inspect(
            home / "photo.png", home / "clip.mp4", tmp_path / "i.png", frames=2, **chosen
        ).frames
        == 1
    )
    done = portrait(
        home / "photo.png",
        home / "clip.mp4",
        tmp_path / "k.mp4",
        **settings(home),
        compare="keypoints",
    )
    assert done.frames == 8


def test_the_command_and_batches_take_it(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["motion=globe", f"motion.checkpoint={home / 'globe.safetensors'}"]
    run = ["run", str(home / "photo.png"), str(home / "clip.mp4"), "-o", str(tmp_path / "o.mp4")]
    assert main([*run, *given]) == 0
    jobs = tmp_path / "jobs.csv"
    jobs.write_text(f"photo,clip,out\n{home / 'photo.png'},{home / 'clip.mp4'},b.mp4\n")
    assert main(["batch", str(jobs), "-o", str(tmp_path / "batch"), *given]) == 0
    assert "1 published, 0 failed" in capsys.readouterr().out


def test_it_is_evaluated(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("torchmetrics")
    from animate.evaluation.evaluate import evaluate

    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(home / "clip.mp4", data)
    report = evaluate(
        data,
        tmp_path / "out",
        checkpoint=home / "globe.safetensors",
        landmarks="none",
        identity="none",
    )
    assert report.mean("model", "l1") is not None


def test_a_region_that_it_does_not_know_is_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(AnimateError, match=r"mouth.*head, lower_lip"):
        portrait(
            home / "photo.png", home / "clip.mp4", tmp_path / "o.mp4", **settings(home), mouth=2
        )
    assert not list(tmp_path.glob("o*"))


def test_no_file_of_the_package_knows_it() -> None:
    found = [
        path for path in (ROOT / "animate").rglob("*.py") if "globe" in path.read_text().lower()
    ]
    assert not found
