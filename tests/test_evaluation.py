"""Evaluation: metrics against cases worked out by hand; a report never says 0 for missing."""

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from conftest import FakeAlignment, draw_frames, write_clip

pytest.importorskip("torchmetrics")
pytest.importorskip("matplotlib")

from animate.cli import main
from animate.errors import AnimateError
from animate.evaluation import pixels, protocol
from animate.evaluation.faces import (
    MESH,
    SIXTY_EIGHT,
    Face,
    Landmarker,
    Missing,
    Scheme,
    landmarker,
)
from animate.evaluation.measure import Meter, Record
from animate.evaluation.metrics import METRICS, Metric, Needs
from animate.evaluation.statistics import by_identity, estimate
from animate.verification.verify import verify

LINE = Scheme(  # a face of eight points: mouth 0 over 1, eyes' lids 2 over 3, corners 4 to 7
    points=8,
    lips=((0, 1),),
    lids=(((2, 3),), ((2, 3),)),
    corners=((4, 5), (7, 6)),
    nose=0,
)


def faces(frames: int, mouth: np.ndarray | None = None) -> np.ndarray:
    """(T, 8, 2): eyes' outer corners 10 apart, inner ones 2 wide, mouth open by `mouth`."""
    at = np.array([[5, 8], [5, 8], [2, 1], [2, 2], [0, 1], [2, 1], [8, 1], [10, 1]], np.float32)
    track = at[None].repeat(frames, 0)
    if mouth is not None:
        track[:, 1, 1] += mouth
    return track


def test_the_interval_is_over_people_and_leaves_out_what_is_missing() -> None:
    values, who = [1.0, 3.0, None, 5.0], ["a", "a", "b", "b"]
    found = estimate(values, who)
    assert found is not None
    assert (found.value, found.clips) == (3.0, 3)
    assert (found.low, found.high) == (2.0, 5.0)  # all draws a, all draws b
    assert estimate([None], ["a"]) is None
    assert by_identity(values, who) == {"a": 2.0, "b": 5.0}
    alone = estimate([1.0, 2.0], ["a", "a"])
    assert alone is not None
    assert alone.low is None


def test_the_schemes_point_at_points() -> None:
    for scheme in (MESH, SIXTY_EIGHT, LINE):
        numbers = np.array([*scheme.lips, *scheme.corners, *sum(scheme.lids, ())])
        assert numbers.max() < scheme.points


def test_a_model_that_is_not_there_is_missing_with_what_to_do() -> None:
    with pytest.raises(Missing, match="landmarks_file="):
        landmarker("mediapipe")
    with pytest.raises(AnimateError, match="use auto"):
        landmarker("guess")


def test_face_alignment_finds_a_face_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Missing, match=r"face-alignment needs .* s3fd"):
        landmarker("face_alignment", tmp_path)
    fake = FakeAlignment("TWO_D")
    box = [20, 20, 80, 90, 0.9]
    fake.FaceAlignment.face_detector.detect_from_image = lambda p: [box] if p.any() else []
    monkeypatch.setitem(sys.modules, "face_alignment", fake)
    for name in ("s3fd-619a316812.pth", "2DFAN4-11f355bf06.pth.tar"):
        (tmp_path / name).touch()
    found = landmarker("face_alignment", tmp_path)
    assert fake.asked == {"compile": False, "type": "flat", "detector": True, "landmarks": True}
    track, _ = found.track([np.zeros((64, 64, 3), np.uint8), np.ones((64, 64, 3), np.uint8)])
    assert track.shape == (2, 68, 2)
    assert np.isnan(track[0]).all()
    np.testing.assert_allclose(track[1][[0, -1]], [[20, 30], [80, 90]])


def test_fid_is_missing_without_its_package_and_for_a_single_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"weight": torch.ones(1)}, tmp_path / "inception.pth")
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(Missing, match="torch-fidelity"):
        pixels.inception(tmp_path / "inception.pth")

    class Extractor(torch.nn.Module):
        def __init__(self, name: str, wanted: list[str], feature_extractor_weights_path: str):
            super().__init__()
            self.weight = torch.load(feature_extractor_weights_path)["weight"]

        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor]:
            assert image.dtype == torch.uint8
            coarse = torch.nn.functional.adaptive_avg_pool2d(image.float() * self.weight, 26)
            return (coarse.flatten(1).repeat(1, 2)[:, :2048],)

    module = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = Extractor  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    meter = Meter(
        same=True, size=64, landmarks="none", landmarks_file=None, identity="none",
        identity_every=1, lpips=None, inception=tmp_path / "inception.pth",
    )  # fmt: skip
    drawn = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    pictures = list((drawn.permute(0, 2, 3, 1) * 255).byte().numpy())
    meter.pool(pictures[:1], pictures[:1])
    assert meter.pooled() == {}
    assert "two pictures" in meter.missing.pop("fid")
    meter.pool(pictures[1:], pictures[1:])  # the distance itself is worked out by hand elsewhere


def test_a_lost_face_has_no_identity_and_counts_as_lost() -> None:
    meter = Meter(
        same=True, size=64, landmarks="none", landmarks_file=None, identity="none",
        identity_every=1, lpips=None, inception=None,
    )  # fmt: skip
    meter.missing = {}
    meter.landmarker = Landmarker("drawn", LINE, lambda f: Face(faces(1)[0]) if f.any() else None)
    meter.identity = type("I", (), {"embed": staticmethod(lambda f, p: np.ones(4))})
    seen, lost = [np.ones((64, 64, 3), np.uint8)] * 3, [np.zeros((64, 64, 3), np.uint8)] * 3
    target, result = Record(), Record()
    meter.follow(target, seen)
    meter.follow(result, [*seen[:1], *lost[1:]])
    found = meter.numbers(result, target, np.ones(4), 64)
    assert found["lost"] == pytest.approx(2 / 3)
    assert list(result.vectors) == [0]
    assert found["csim"] == pytest.approx(1)
    assert meter.numbers(result, target, None, 64)["csim"] is None  # the photo shows no face
    assert meter.numbers(Record(tracks=target.tracks), target, np.ones(4), 64)["aed"] is None


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for name in ("id1_a", "id2_b"):
        write_clip(folder / f"{name}.mp4", draw_frames(4))
    return folder


def test_identities_come_from_the_list_or_the_name(clips: Path, tmp_path: Path) -> None:
    assert [case.identity for case in protocol.reconstruction(clips)] == ["id1", "id2"]
    (tmp_path / "x.mp4").touch()
    (tmp_path / "manifest.csv").write_text("file,identity\nx.mp4,ada\n")
    assert [case.identity for case in protocol.reconstruction(tmp_path)] == ["ada"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("source,driver\n", "source and driving"),
        ("source,driving\n", "no pairs"),
        ("source,driving\nid1_a.mp4,none.mp4\n", "line 2"),
    ],
)
def test_a_list_of_pairs_is_checked(clips: Path, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(AnimateError, match=says):
        protocol.cross(clips, tmp_path / "pairs.csv")


def test_an_empty_folder_and_a_wide_frame_are_named(tmp_path: Path) -> None:
    with pytest.raises(AnimateError, match="no clips in"):
        protocol.reconstruction(tmp_path)
    with pytest.raises(AnimateError, match="not square"):
        protocol.square(np.zeros((4, 6, 3), np.uint8), 4, tmp_path)


def test_one_command_writes_a_report_without_a_zero_for_what_is_missing(
    clips: Path, world: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    settings = [f"data={clips}", f"out={out}", f"checkpoint={world / 'tiny.safetensors'}"]
    settings += ["landmarks=none", "baselines=[photo,driver]", "precision=float32", "every=2"]
    assert main(["evaluate", *settings]) == 0
    report = json.loads((out / "report.json").read_text())
    driver = report["methods"]["driver"]["mean"]
    assert driver["l1"]["value"] == 0
    assert driver["psnr"]["value"] == pytest.approx(100)
    for metric in ("ms_ssim", "lpips", "fid", "akd", "csim", "lost"):
        assert report["missing"][metric]
        assert report["methods"]["model"]["mean"][metric] is None
    assert report["clips"]["id1_a"]["frames"] == 1  # frame 2 of 0 to 3, moved from frame 0
    table = (out / "report.md").read_text()
    assert "lpips: missing" in table
    assert "| akd |" not in table
    for name in ("curves.png", "worst.png"):
        assert verify(out / name).verdict in ("authentic", "marked")


class Count:
    """A toy metric over all clips: how many pictures there were."""

    count = 0

    def add(self, result: torch.Tensor, target: torch.Tensor) -> None:
        assert result.shape == target.shape
        self.count += len(result)

    def value(self) -> float:
        return self.count


def test_metrics_added_in_one_place_are_measured_told_and_explained(
    clips: Path,
    world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def brighter(result: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (result - target).mean((1, 2, 3)) + 100

    def unbuilt(setup: pixels.Setup) -> Count:
        raise Missing(f"a toy for {setup.size} pixels is not built")

    added = {
        "brighter": Metric(
            Needs.FRAMES, "a toy in sides", brighter, "lower", printed=True, digits=1
        ),
        "course": Metric(Needs.TRACKS, "a toy of faces", lambda tracks: len(tracks.result)),
        "count": Metric(Needs.POOL, "a toy of all frames", load=lambda setup: Count()),
        "absent": Metric(Needs.POOL, "a toy without weights", load=unbuilt),
        "large": Metric(Needs.FRAMES, "a toy of large pictures", brighter, smallest=999),
    }
    for name, metric in added.items():
        monkeypatch.setitem(METRICS, name, metric)
    out = tmp_path / "report"
    settings = [f"data={clips}", f"out={out}", f"checkpoint={world / 'tiny.safetensors'}"]
    assert main(["evaluate", *settings, "landmarks=none", "limit=3"]) == 0
    report, table = json.loads((out / "report.json").read_text()), (out / "report.md").read_text()
    photo, model = (report["methods"][name]["mean"] for name in ("photo", "model"))
    assert photo["brighter"]["value"] == pytest.approx(100, abs=1)
    assert model["count"]["value"] == 4  # two clips, frames 1 and 2
    assert photo["count"] is None
    assert model["course"] is model["absent"] is model["large"] is None
    assert report["metrics"]["brighter"] == "a toy in sides; lower is better"
    assert report["metrics"]["count"] == "a toy of all frames"
    assert report["missing"]["course"] == report["missing"]["lost"] == "switched off"
    assert report["missing"]["absent"] == "a toy for 128 pixels is not built"
    assert report["missing"]["large"] == "it needs 999 pixels a side"
    assert f"| brighter | {model['brighter']['value']:.0f}" in table
    assert "- brighter: a toy in sides; lower is better" in table
    assert "- course: missing, switched off" in table
    printed = capsys.readouterr().out
    assert f", brighter {model['brighter']['value']:.1f}" in printed
    assert "count" not in printed


def test_another_persons_photo_is_moved_and_has_no_true_picture(
    clips: Path, world: Path, tmp_path: Path
) -> None:
    (tmp_path / "pairs.csv").write_text(f"source,driving\n{world / 'photo.png'},id2_b.mp4\n")
    settings = [f"data={clips}", f"out={tmp_path / 'r'}", f"pairs={tmp_path / 'pairs.csv'}"]
    settings += [f"checkpoint={world / 'tiny.safetensors'}", "landmarks=none", "limit=3"]
    assert main(["evaluate", *settings]) == 0
    report = json.loads((tmp_path / "r/report.json").read_text())
    assert report["clips"] == {"photo--id2_b": {"identity": "photo", "frames": 3}}
    assert "another person" in report["missing"]["l1"]


@pytest.mark.parametrize(
    ("setting", "says"),
    [("every=0", "every is 0"), ("baselines=[dream]", "photo, driver"), ("evry=2", "evry")],
)
def test_a_mistake_is_one_line(
    setting: str, says: str, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", f"data={clips}", f"out={tmp_path}", setting]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
