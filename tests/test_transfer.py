"""Transfer: series of known slope and correlation, a drawn landmarker, and the report's tables."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import draw_frames, write_clip

pytest.importorskip("torchmetrics")
pytest.importorskip("matplotlib")

from animate.cli import main
from animate.errors import AnimateError
from animate.evaluation import faces, transfer
from animate.evaluation.faces import BLENDSHAPES, MESH, POSE, Face, Landmarker, angles, log_odds
from animate.evaluation.statistics import median
from animate.evaluation.transfer import Fit, Moves, fit, fits, middles, shares

COURSE = 5 * np.sin(np.arange(40) / 3)
ACROSS = np.sin(np.arange(40)) - np.polyval(np.polyfit(COURSE, np.sin(np.arange(40)), 1), COURSE)


def turn(axis: int, degrees: float) -> np.ndarray:
    """The matrix (3, 3) of a turn about x, y or z, by the right-hand rule."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    (a, b), matrix = [(1, 2), (2, 0), (0, 1)][axis], np.eye(3)
    matrix[a, a] = matrix[b, b] = c
    matrix[b, a], matrix[a, b] = s, -s
    return matrix


def test_a_heads_angles_are_those_that_it_was_turned_by() -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = 1.7 * turn(1, 30) @ turn(0, -20) @ turn(2, 10)
    matrix[:3, 3] = 4, 5, -30
    assert angles(matrix) == pytest.approx([30, -20, 10])
    assert (turn(1, 30) @ [0, 0, 1])[0] > 0  # yaw turns the nose to the right of the picture
    assert (turn(0, 20) @ [0, 0, 1])[1] < 0  # pitch turns it down


def test_log_odds_of_certain_scores_are_finite() -> None:
    assert log_odds(np.array([0.5, 0.9, 0.1])) == pytest.approx([0, np.log(9), -np.log(9)])
    assert np.isfinite(log_odds(np.array([0.0, 1.0], np.float32))).all()


@pytest.mark.parametrize("slope", [1.0, 0.4, -0.5])
def test_a_series_has_the_slope_and_correlation_that_it_was_made_with(slope: float) -> None:
    result = 7 + slope * COURSE + ACROSS  # `ACROSS` is uncorrelated with the course
    r = slope * COURSE.std() / np.hypot(slope * COURSE.std(), ACROSS.std())
    found = fit(result, COURSE - 3, 1)
    assert found is not None
    assert found == Fit(pytest.approx(slope), pytest.approx(r), pytest.approx(COURSE.std()))


def test_a_still_result_has_none_of_the_movement_and_a_still_driver_is_not_fitted() -> None:
    assert fit(np.full(40, 3.0), COURSE, 1) == Fit(0, 0, pytest.approx(COURSE.std()))
    assert fit(COURSE, COURSE, 9) is None
    assert fit(COURSE[:7], COURSE[:7], 1) is None  # too few frames


def test_frames_without_a_face_are_left_out() -> None:
    result, target = 0.5 * COURSE, COURSE.copy()
    result[3], target[8] = np.nan, np.nan
    found = fit(result, target, 1)
    assert found is not None
    assert (found.slope, found.r) == pytest.approx((0.5, 1))
    assert fit(np.full(40, np.nan), COURSE, 1) is None


def test_each_quantity_is_fitted_against_its_own_threshold() -> None:
    names = ("yaw", "jawOpen", "mouthPucker", "cheekPuff")
    target = np.stack([COURSE / 5, COURSE / 5, COURSE / 50, COURSE], 1)  # deviations 0.7, 0.7, 0.07
    found = fits(Moves(target, target, names))
    assert list(found) == ["jawOpen"]  # 0.7 degrees are little; cheeks are in no group


def test_every_blendshape_belongs_to_one_group_or_is_named_as_left_out() -> None:
    clip = dict.fromkeys((*POSE, *BLENDSHAPES), Fit(1, 1, 1))
    assert len(BLENDSHAPES) == 52
    sizes = {group: len(own) for group, own in transfer.grouped(clip).items()}
    assert sizes == {
        "yaw": 1, "pitch": 1, "roll": 1, "gaze": 8, "lids": 6, "brows": 5, "jaw": 4, "mouth": 23,
    }  # fmt: skip
    left = [n for n in BLENDSHAPES if not any(map(n.startswith, transfer.GROUPS.values()))]
    assert {name[:5] for name in left} == {"_neut", "cheek", "noseS"}


def test_medians_are_over_clips_and_shapes_and_intervals_over_people() -> None:
    values, who = [[1.0, 2.0, 9.0], [], [5.0]], ["a", "b", "c"]
    found = median(values, who)
    assert found is not None
    assert (found.value, found.clips) == (3.5, 2)
    assert (found.low, found.high) == (2.0, 5.0)  # all draws a, all draws c
    assert median([[], []], ["a", "b"]) is None
    alone = median([[1.0, 4.0]], ["a"])
    assert alone is not None
    assert (alone.value, alone.low) == (2.5, None)


def test_the_median_of_draws_is_numpys() -> None:
    drawn = np.random.default_rng(3)
    values = [drawn.normal(size=n).tolist() for n in (3, 1, 6, 2)]
    picks = np.random.default_rng(0).integers(4, size=(300, 4))
    expected = [np.median(np.concatenate([values[i] for i in one])) for one in picks]
    found = median(values, list("abcd"), draws=300)
    assert found is not None
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(expected, (2.5, 97.5))))


def test_a_group_pools_its_shapes() -> None:
    one = {"mouthFunnel": Fit(0.2, 0.5, 1), "mouthPucker": Fit(0.6, 0.9, 1), "yaw": Fit(1, 1, 2)}
    two = {"mouthFunnel": Fit(0.4, 0.1, 1)}
    found = shares([one, two], ["a", "b"])
    mouth = found["mouth"]
    assert mouth is not None
    assert (mouth.slope.value, mouth.r.value, mouth.series) == (0.4, 0.5, 3)
    assert found["gaze"] is None
    at = dict(zip(transfer.GROUPS, middles(one), strict=True))
    assert at["mouth"] == pytest.approx((0.4, 0.7))
    assert at["jaw"] is None


def test_a_task_file_that_is_none_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.task").write_text("not a bundle")
    with pytest.raises(AnimateError, match=r"x\.task can't be read"):
        faces._parts(tmp_path / "x.task")
    with zipfile.ZipFile(tmp_path / "old.task", "w") as bundle:
        bundle.writestr("face_landmarks_detector.tflite", "")
    assert not faces._parts(tmp_path / "old.task") >= faces.EXPRESSIVE


def drawn_face(frame: np.ndarray) -> Face:
    """A face whose yaw and mouth follow the frame's brightness, and whose jaw never moves."""
    level = float(frame.mean())
    points = np.random.default_rng(0).uniform(9, 99, (MESH.points, 2)).astype(np.float32)
    return Face(points, np.array([level, -level / 9, 0.0]))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a clip that grows darker and brighter."""
    gains = 0.6 + 0.3 * np.sin(np.arange(12) / 2)
    frames = [(f * gain).astype(np.uint8) for f, gain in zip(draw_frames(12), gains, strict=True)]
    folder = tmp_path / "clips"
    folder.mkdir()
    write_clip(folder / "id1_a.mp4", frames)
    return folder


@pytest.mark.parametrize("cross", [False, True])
def test_the_report_and_the_command_show_the_transfer(
    cross: bool,
    data: Path,
    world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    drawn = Landmarker("drawn", MESH, drawn_face, moves=("yaw", "mouthPucker", "jawOpen"))
    monkeypatch.setattr(faces, "landmarker", lambda name, file: drawn)
    out, name = tmp_path / "report", "photo--id1_a" if cross else "id1_a"
    settings = [f"data={data}", f"out={out}", f"checkpoint={world / 'tiny.safetensors'}"]
    settings += ["identity=none", "baselines=[photo,driver]"]
    if cross:
        (tmp_path / "pairs.csv").write_text(f"source,driving\n{world / 'photo.png'},id1_a.mp4\n")
        settings.append(f"pairs={tmp_path / 'pairs.csv'}")
    assert main(["evaluate", *settings]) == 0
    report = json.loads((out / "report.json").read_text())
    driver, photo = (report["methods"][method]["transfer"] for method in ("driver", "photo"))
    assert list(driver["groups"]) == list(transfer.GROUPS)
    for group in ("yaw", "mouth"):
        for what, value in (("slope", 1), ("r", 1)):
            assert driver["groups"][group][what]["value"] == pytest.approx(value)
            assert photo["groups"][group][what]["value"] == 0
    assert driver["groups"]["jaw"] is driver["groups"]["gaze"] is None  # still, not looked for
    assert driver["clips"][name]["yaw"]["driver"] > 1
    assert "transfer" not in report["missing"]
    assert "transfer" not in report["methods"]["driver"]["mean"]
    table = (out / "report.md").read_text()
    assert "| yaw | 1 | 1 |" in table
    assert "| 0.00 | 0.00 | 1.00 | 1.00 |" in table
    assert "| jaw | 0 | 0 | - | - | - | - | - | - |" in table
    own = report["methods"]["model"]["transfer"]["clips"][name]["yaw"]
    assert f"| {name} | {own['slope']:.2f}, {own['r']:.2f} | - |" in table
    printed = capsys.readouterr().out
    assert f"model, transfer (slope, r): yaw {own['slope']:.2f}, {own['r']:.2f}; mouth" in printed


@pytest.mark.parametrize("switched", ["none", "auto"])
def test_without_mediapipe_the_transfer_is_missing_with_the_reason(
    switched: str, data: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = Landmarker("points alone", MESH, lambda frame: Face(drawn_face(frame).points))
    monkeypatch.setattr(faces, "landmarker", lambda name, file: drawn)
    settings = [f"data={data}", f"out={tmp_path / 'r'}", f"landmarks={switched}", "identity=none"]
    settings += ["limit=2"]
    assert main(["evaluate", *settings, f"checkpoint={world / 'tiny.safetensors'}"]) == 0
    report = json.loads((tmp_path / "r/report.json").read_text())
    says = {"none": "switched off", "auto": "landmarks_file=face_landmarker.task"}[switched]
    assert says in report["missing"]["transfer"]
    assert report["methods"]["model"]["transfer"] is None
    table = (tmp_path / "r/report.md").read_text()
    assert "- transfer: missing, " in table
    assert "## Transfer" not in table
