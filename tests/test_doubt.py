"""Poses that can't be trusted: told from those that can, bridged, held, counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import draw_calm, draw_face, draw_frames, in_other_scene, write_clip
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from animate.checkpoints import load
from animate.faces import mesh
from animate.faces.scenes import LONGEST
from animate.inference.compose import on_video
from animate.inference.doubt import EDGE, MARGIN, Sample, fill_gaps, with_trust
from animate.inference.driver import Driver, open_driver
from animate.inference.predictor import Pose, Predictor
from animate.inference.source_face import people_in
from animate.inference.stats import DriverStats
from animate.models.contract import Motion
from animate.models.first_order_gated import retarget
from animate.models.geometry import gaussians, moments
from animate.options import Options

RATE = Fraction(25)


@dataclass(frozen=True)
class Point(Motion):
    point: torch.Tensor  # (T, K, 2)


def pose(number: float, scene_start: bool = False) -> Pose:
    return Pose(Point(torch.full((1, 1, 2), float(number))), scene_start)


def trusted(doubts: list[float], scene_start: tuple[int, ...] = (), passage: int = 0) -> str:
    stream = (
        Sample(i, doubt, i in scene_start, passage * (i in scene_start))
        for i, doubt in enumerate(doubts)
    )
    found = list(with_trust(stream, RATE))
    assert [seen.item for seen, _ in found] == list(range(len(doubts)))
    return "".join("x" if sure else "-" for _, sure in found)


def played(line: str, longest: int = 5) -> list[float | None]:
    """x: a good pose, of its place's number; - one not to be trusted; . none; capitals: fresh."""
    poses = [
        (None if c == "." else pose(i, c in "XO"), c in "xX")
        for i, c in enumerate(line.replace("o", "-").replace("-", "o"))
    ]
    return [None if p is None else number(p) for p in fill_gaps(iter(poses), longest)]


def number(one: Pose) -> float:
    return round(float(one.motion.point[0, 0, 0]), 4)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("doubts", "expected"),
    [
        ([0.3] * 4, "xxxx"),
        ([0.3] * 4 + [3] + [0.3] * 4, "xx-----xx"),  # lost for a moment
        ([0.3] * 3 + [0.4, 0.8, 0.7, 0.4] + [0.3] * 3, "xx------xx"),  # a hand comes suddenly
        ([0.3, 0.4, 0.55, 0.75, 0.95, 0.8, 0.55, 0.4], "xxxxxxxx"),  # a head turns
        ([0.3] * 3 + [0.45, 0.6, 0.8, 2, 0.8, 0.6] + [0.4] * 3, "xx---------x"),  # dark, light
        ([float("inf"), 0.8] + [0.4] * 4, "----xx"),  # the first face after none
        ([0.8, 0.6] + [0.4] * 4, "----xx"),  # the clip fades in
        ([0.4, 0.4, float("inf"), 0.4], "xx-x"),  # no face, and nothing else
    ],
)
def test_what_is_lost_or_suddenly_doubtful_is_not_trusted(
    doubts: list[float], expected: str
) -> None:
    assert trusted(doubts) == expected


def test_a_doubt_that_lasts_is_a_face_from_the_side() -> None:
    """A clip that begins in profile, and one that cuts to it, soon follow it."""
    edge = round((EDGE + MARGIN) * RATE)
    assert trusted([0.7] * 40) == "-" * edge + "x" * (40 - edge)
    assert trusted([0.3] * 5 + [0.7] * 40, (5,)) == "x" * 5 + "-" * edge + "x" * (40 - edge)
    held = trusted([0.3] * 5 + [0.8] * 100)
    assert held.startswith("xxx-")
    assert held.endswith("x" * 70)


def test_no_pose_of_a_fade_is_trusted_however_sure() -> None:
    assert trusted([0.3] * 12, (8,), passage=3) == "xxx-----xxxx"  # and none within MARGIN of them
    assert trusted([0.3] * 4 + [float("inf")] * 4 + [0.3] * 2, (8,), passage=3) == "xxxx----xx"
    assert trusted([0.3] * 6, (2,), passage=9) == "--xxxx"  # the clip begins with it


def test_no_scene_starts_within_a_transition() -> None:
    stream = (Sample(i, 0.3, i in (3, 6, 7, 9), 4 * (i == 9)) for i in range(12))
    assert [seen.item for seen, _ in with_trust(stream, RATE) if seen.scene_start] == [3, 9]


@given(st.lists(st.sampled_from([0.3, 0.45, 0.6, 0.9, 1.5, float("inf")]), max_size=80))
def test_nothing_lost_is_trusted_and_nothing_far_from_doubts_is_not(doubts: list[float]) -> None:
    for doubt, mark in zip(doubts, trusted(doubts), strict=True):
        assert mark == "-" or doubt < 1
    near = max(0.0, *(d for d in [*doubts, 0.0] if d < float("inf")))
    assert near >= 0.5 or all(
        (m == "x") == (d < 1) for m, d in zip(trusted(doubts), doubts, strict=True)
    )


def test_few_wait_for_what_comes() -> None:
    """A stream goes on while it is judged, however long its doubts last."""
    taken = 0

    def endless() -> Iterator[Sample[int]]:
        nonlocal taken
        for taken in range(10**9):
            yield Sample(taken, 0.3 if taken < 3 else 0.4 + 0.4 * (taken > 3))

    for count, _ in enumerate(islice(with_trust(endless(), RATE), 200)):
        assert taken <= count + round((EDGE + MARGIN + LONGEST) * RATE)
    longest = 5
    stream = ((pose(i), i < 3) for i in range(10**9))
    assert len(list(islice(fill_gaps(stream, longest), 300))) == 300


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("xxxx", [0, 1, 2, 3]),
        ("xx-x", [0, 1, 2, 3]),  # bridged: half-way
        ("x---x", [0, 1, 2, 3, 4]),
        ("--xx", [2, 2, 2, 3]),  # at the start the first good one
        ("xx--", [0, 1, 1, 1]),  # at the end the last
        ("x------x", [0] * 7 + [7]),  # too long to bridge
        ("x-.-x", [0, 0, None, 0, 4]),  # one without a face in between
        ("----", []),
        ("..--x", [None, None, 4, 4, 4]),
        ("x-X", [0, 0, 2]),  # no bridge over a cut
        ("x-Oox", [0, 0, 4, 4, 4]),
    ],
)
def test_good_poses_take_the_place_of_others(line: str, expected: list[float | None]) -> None:
    assert played(line) == expected


def test_a_scene_begins_once_and_with_a_good_pose() -> None:
    def starts(line: str) -> list[int]:
        poses = ((pose(i, c in "XO"), c in "xX") for i, c in enumerate(line))
        return [i for i, p in enumerate(fill_gaps(poses, 3)) if p and p.scene_start]

    assert starts("xxXxx") == [2]
    assert starts("xxOoxx") == [2]  # from where it begins on, the pose of its first good frame
    assert starts("xxOooooxx") == [7]
    assert starts("Ooxx") == [0]


def test_what_is_good_passes_as_it_is() -> None:
    poses = [pose(i) for i in range(5)]
    found = list(fill_gaps(((p, True) for p in poses), 5))
    assert all(a is b for a, b in zip(found, poses, strict=True))


def test_maps_of_a_width_have_that_spread() -> None:
    at = torch.tensor([[[0.1, -0.2], [0.0, 0.3]]])
    heat = gaussians(at, 64, 64, 0.05**2)
    point, spread = moments(heat / heat.sum((2, 3), keepdim=True))
    torch.testing.assert_close(point, at, rtol=0, atol=1e-3)
    torch.testing.assert_close(spread, torch.full((1, 2), 0.05 * 2**0.5), rtol=0, atol=1e-3)


def test_the_part_that_is_seen_least_decides() -> None:
    spread = torch.full((3, len(mesh.TAUGHT)), 0.05)
    spread[1, list(mesh.MOUTH)] = 0.3
    spread[2, [mesh.TAUGHT.index(n) for n in mesh.LEFT_EYE]] = 0.2  # a profile
    sure, covered, profile = retarget.doubt(spread).tolist()
    assert sure < 0.5
    assert covered > 1
    assert profile < 1


def turned(picture: torch.Tensor, times: int) -> torch.Tensor:
    return torch.rot90(picture, times, (-2, -1)).contiguous()


@pytest.mark.parametrize("edge", range(4))  # top, left, bottom, right
@pytest.mark.parametrize("bar", [False, True])
def test_landmarks_beyond_the_edge_of_the_frame_are_not_seen(edge: int, bar: bool) -> None:
    """Beyond a frame a crop repeats its edge; a bar is of one colour, but for the coder's noise."""
    noise = np.random.default_rng(0).integers(0, 256, (1, 1, 64, 64), np.uint8)
    picture = torch.from_numpy(noise)
    picture[..., :16, :] = 16 + picture[..., :16, :] % 2 if bar else picture[..., 15:16, :]
    down = torch.linspace(-0.9, -0.1, len(mesh.TAUGHT))  # a quarter of the picture is above -0.5
    point = torch.stack([torch.zeros_like(down), down], -1)[None]
    across = {0: point, 1: point.flip(2), 2: -point, 3: -point.flip(2)}[edge]
    gone = float(retarget.beyond(across, turned(picture, edge))[0])
    assert gone == pytest.approx((down < -0.5).float().mean() / retarget.GONE)
    assert gone > 1
    assert retarget.beyond(across * 0.65, turned(picture, edge)) == 0  # a few, as in close-ups


def test_a_plain_picture_says_nothing_of_an_edge() -> None:
    """That is what poses of a template have."""
    point = torch.rand(2, len(mesh.TAUGHT), 2) * 2 - 1
    assert not retarget.beyond(point, torch.full((2, 1, 64, 64), 128, dtype=torch.uint8)).any()


# ---------------------------------------------------------------- the bundled model


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    network, _ = load("first_order_gated")
    return Predictor.of(network, "float32")


def blurred(frame: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(frame).filter(ImageFilter.GaussianBlur(len(frame) / 24)))


def opened(path: Path, **how: object) -> Driver:
    return open_driver(path, Options().changed(**how))


@pytest.fixture(scope="module")
def hunting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighteen frames; numbers 0, 8 and 9 are out of focus."""
    frames = draw_frames(18, 256)
    for index in (0, 8, 9):
        frames[index] = blurred(frames[index])
    return write_clip(tmp_path_factory.mktemp("hunting") / "clip.mp4", frames, "25")


def test_frames_out_of_focus_are_bridged_and_counted(hunting: Path, predictor: Predictor) -> None:
    driver = opened(hunting)
    poses = list(driver.poses(predictor))
    points = [p.motion.point for p in poses]  # type: ignore[attr-defined]
    assert len(poses) == 18
    assert torch.equal(points[0], points[3])
    torch.testing.assert_close(points[8], (4 * points[5] + 3 * points[12]) / 7)
    assert (driver.stats.doubted, driver.stats.first_doubted) == (9, 0)
    assert driver.stats.words() == [
        "9 of the clip's 18 frames with a face whose pose could not be trusted (the first: 0)"
    ]
    lanes = [p.motion.point for p in opened(hunting).poses(replace(predictor, threads=3))]  # type: ignore[attr-defined]
    assert all(torch.equal(a, b) for a, b in zip(points, lanes, strict=True))


def test_the_reference_is_a_frame_that_can_be_trusted(hunting: Path, predictor: Predictor) -> None:
    tracked_frames = list(opened(hunting).tracked_frames())
    own = predictor.track([blurred(draw_face(256))])  # most like the frames out of focus
    assert predictor.doubts(own)[0] >= 1
    assert tracked_frames[8].found
    reference_pose = opened(hunting).reference_pose(predictor, own)
    assert reference_pose is not None
    assert predictor.doubts(reference_pose)[0] < 1


def test_a_driver_that_is_never_in_focus_is_used_as_it_is(
    tmp_path: Path, predictor: Predictor
) -> None:
    clip = write_clip(tmp_path / "c.mp4", [blurred(f) for f in draw_frames(4, 256)], "25")
    driver = opened(clip)
    poses = list(driver.poses(predictor))
    assert len(poses) == 4
    assert not torch.equal(poses[0].motion.point, poses[3].motion.point)  # type: ignore[attr-defined]
    assert driver.stats.words() == [
        "no pose of the clip's 4 frames could be trusted: all are used unchanged"
    ]
    assert driver.reference_pose(predictor, poses[0].motion) is not None


def test_a_videos_frames_out_of_focus_stay_as_they_are(hunting: Path, predictor: Predictor) -> None:
    clip, stats = opened(hunting).media, DriverStats()
    made = on_video(
        predictor,
        clip,  # type: ignore[arg-type]
        opened(hunting),
        Options().changed(head=1.0),
        stats,
    )
    shown = [
        np.array_equal(a, s.frame)
        for a, s in zip(made, opened(hunting).tracked_frames(), strict=True)
    ]
    assert [i for i, same in enumerate(shown) if same] == [0, 1, 2, 6, 7, 8, 9, 10, 11]
    assert (stats.doubted, stats.first_doubted) == (9, 0)


def test_a_fade_to_another_person_is_held_and_counted(tmp_path: Path, predictor: Predictor) -> None:
    """Each of its frames shows two faces, however sure their pose looks."""
    calm = draw_calm(36)
    shares = np.interp(range(36), (11, 20), (0, 1))[:, None, None, None]
    frames = np.stack(calm) * (1 - shares) + np.stack([in_other_scene(f) for f in calm]) * shares
    clip = write_clip(tmp_path / "fade.mp4", list(np.rint(frames).astype(np.uint8)), "25")
    driver = opened(clip)
    poses = list(driver.poses(predictor))
    (start,) = [index for index, pose in enumerate(poses) if pose.scene_start]
    assert 20 <= start <= 24
    points = [pose.motion.point for pose in poses]  # type: ignore[attr-defined]
    held = [index for index in range(1, 36) if torch.equal(points[index], points[index - 1])]
    assert held == list(range(held[0], start))
    assert 10 <= held[0] <= 13
    assert driver.stats.doubted == len(held)
    people = people_in(predictor, driver.media, driver.locator)  # type: ignore[arg-type]
    assert [index for index, (_, face) in enumerate(people) if face is None] == held
