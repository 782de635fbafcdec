"""Drivers: whatever moves becomes a stream of poses, in time, and nothing is lost quietly."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import draw_face, draw_frames, in_other_scene, write_clip
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from animate.checkpoints import load
from animate.errors import AnimateError
from animate.faces import mesh
from animate.inference.doubt import drop_beside_gaps
from animate.inference.driver import (
    Driver,
    DriverStats,
    numbered,
    open_driver,
    play,
    resample,
)
from animate.inference.portrait import voice
from animate.inference.predictor import Pose, Predictor, References
from animate.inference.save_motion import save_motion
from animate.inference.smoothing import smooth
from animate.inference.templates import read_template
from animate.models.contract import Motion
from animate.models.first_order_gated.model import FirstOrderGated
from animate.options import Options


@dataclass(frozen=True)
class Point(Motion):
    point: torch.Tensor  # (T, K, 2)


def walk(numbers: list[float]) -> Iterator[Pose]:
    return (Pose(Point(torch.tensor([[[n, -n]]], dtype=torch.float32))) for n in numbers)


def numbers(poses: Iterator[Pose]) -> list[float]:
    return [float(p.motion.point[0, 0, 0]) for p in poses]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def predictor(world: Path) -> Predictor:
    network, _ = load(world / "gated.safetensors")
    return Predictor(network.eval(), torch.float32)


@pytest.fixture(scope="module")
def patchy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight frames; numbers 0, 3 and 4 show no face."""
    frames = draw_frames(8)
    for index in (0, 3, 4):
        frames[index] = np.full_like(frames[0], 90)
    return write_clip(tmp_path_factory.mktemp("patchy") / "clip.mp4", frames, "25", sound=True)


def opened(path: Path, **how: object) -> Driver:
    return open_driver(path, Options().changed(**how))


def test_frames_without_a_face_hold_the_pose_before(patchy: Path, predictor: Predictor) -> None:
    driver = opened(patchy)
    poses = list(driver.poses(predictor))
    rows = [p.motion.point for p in poses]  # type: ignore[attr-defined]
    assert len(poses) == 8
    assert torch.equal(rows[0], rows[1])  # nothing to hold yet: the first that is found
    assert torch.equal(rows[3], rows[2])
    assert torch.equal(rows[4], rows[2])
    assert not torch.equal(rows[5], rows[2])
    assert (driver.stats.frames, driver.stats.missing, driver.stats.first_missing) == (8, 3, 0)


def test_frames_without_a_face_can_be_left_out_with_the_sound(
    patchy: Path, predictor: Predictor
) -> None:
    driver = opened(patchy, missing="skip")
    assert len(list(driver.poses(predictor))) == 5
    assert driver.sound is None
    assert "skipped" in str(driver.silent)
    assert opened(patchy).sound is not None


def test_sound_that_nobody_can_decode_is_said(patchy: Path, tmp_path: Path) -> None:
    data = patchy.read_bytes().replace(b"mp4a", b"what").replace(b"esds", b"free")
    (tmp_path / "clip.mp4").write_bytes(data)
    driver = opened(tmp_path / "clip.mp4")
    assert driver.sound is None
    assert driver.silent == "it is of an unknown codec, which can't be decoded"
    sound, said = voice(driver, None, Path("out.mp4"))
    assert sound is None
    assert said == [f"the driver's sound is left out: {driver.silent}"]
    assert voice(opened(patchy), None, Path("out.gif"))[1] == [
        "the result has no sound: GIF can't hold any"
    ]


def test_a_clip_that_lies_was_read_upright_and_its_result_lies_where_it_is_turned_back() -> None:
    (driver,) = DriverStats(turns=1).words()
    (source,) = DriverStats(turns=2).words("source video", turned_back=True)
    assert driver == "the clip is on its side and was turned upright for reading"
    assert source.startswith("the source video is upside down and was turned upright for reading")
    assert source.endswith("; the result lies as it does")


def test_frames_without_a_face_can_end_the_run_by_number(
    patchy: Path, predictor: Predictor
) -> None:
    with pytest.raises(AnimateError, match=r"frame 0 .*shows no face.*hold or skip"):
        list(opened(patchy, missing="fail").poses(predictor))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("abcd-fghi", "abcd-fghi"),  # lost for a moment
        ("abcdef--ijkl", "abcd------kl"),  # for long, and half covered before and after
        ("abcdef---jAkl", "abcd------Akl"),  # a scene begins
        ("abc---", "a-----"),
        ("ab---", "ab---"),  # nothing else to hold
        ("---abcdef", "---abcdef"),
    ],
)
def test_a_face_half_covered_is_not_held(found: str, expected: str) -> None:
    """A letter is a pose, a capital one after a cut."""
    poses = [
        None if c == "-" else replace(next(walk([ord(c)])), scene_start=c.isupper()) for c in found
    ]
    kept = [
        "-" if p is None else chr(int(numbers(iter([p]))[0])) for p in drop_beside_gaps(poses, 2)
    ]
    assert "".join(kept) == expected
    assert len(list(drop_beside_gaps(poses, 0))) == len(found)


def test_a_clip_without_any_face_names_the_ways_out(tmp_path: Path, predictor: Predictor) -> None:
    clip = write_clip(tmp_path / "grey.mp4", [np.full((64, 96, 3), 90, np.uint8)] * 3)
    with pytest.raises(AnimateError, match=r"shows no face.*faces=centre"):
        list(opened(clip).poses(predictor))
    with pytest.raises(AnimateError, match="shows no face"):
        opened(clip).reference_pose(predictor, predictor.track([draw_face(128)]))


@pytest.mark.parametrize(
    ("times", "pingpong", "expected"),
    [
        (1, False, [0, 1, 2, 3]),
        (2, False, [0, 1, 2, 3, 0, 1, 2, 3]),
        (1, True, [0, 1, 2, 3, 2, 1]),
        (2, True, [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1]),
    ],
)
def test_drivers_are_played_again_and_back(times: int, pingpong: bool, expected: list[int]) -> None:
    assert numbers(play(walk([0, 1, 2, 3]), times, pingpong)) == expected


@dataclass(frozen=True)
class WithPicture(Motion):
    """A pose with a picture of its frame."""

    at: torch.Tensor  # (T, 1)
    view: torch.Tensor  # (T, 2) uint8


def test_scenes_and_pictures_come_back_when_a_driver_is_played_again() -> None:
    cut = [0, 0, 1, 1, 1]  # the scene of each pose
    poses = [
        Pose(WithPicture(torch.tensor([[float(i)]]), torch.full((1, 2), i, dtype=torch.uint8)),
             scene_start=bool(i and cut[i] > cut[i - 1]))
        for i in range(5)
    ]  # fmt: skip
    played = list(play(numbered(iter(poses)), 2, pingpong=True))
    order = [0, 1, 2, 3, 4, 3, 2, 1] * 2
    assert [pose.scene for pose in played] == [cut[i] for i in order]
    assert [int(pose.motion.view[0, 0]) for pose in played] == order  # type: ignore[attr-defined]
    references = References(None)
    relative = [pose.motion.at - references.of(pose).at for pose in played]  # type: ignore[attr-defined]
    assert [float(r) for r in relative] == [i - (2 if cut[i] else 0) for i in order]


def test_a_driver_whose_first_scene_is_lost_begins_with_the_second() -> None:
    pose = Pose(Motion())
    poses = [replace(pose, scene_start=True), pose, replace(pose, scene_start=True)]
    assert [found.scene for found in numbered(poses)] == [1, 1, 2]


def test_the_first_scene_keeps_the_reference_that_was_searched_for_it() -> None:
    wanted = WithPicture(torch.tensor([[7.0]]), torch.zeros(1, 2, dtype=torch.uint8))
    references = References(wanted)
    assert references.of(Pose(replace(wanted, at=torch.tensor([[1.0]])), scene=0)) is wanted
    second = replace(wanted, at=torch.tensor([[2.0]]))
    assert references.of(Pose(second, scene=1)) is second
    assert references.of(Pose(replace(wanted, at=torch.tensor([[3.0]])), scene=1)) is second
    assert references.of(Pose(second, scene=0)) is wanted


def test_playing_begins_before_the_driver_ends() -> None:
    assert numbers(play(walk([5]), 3)) == [5, 5, 5]
    endless = (Pose(Point(torch.full((1, 1, 2), float(i)))) for i in range(10**9))
    assert next(play(endless, 2, True)).motion.point[0, 0, 0] == 0  # type: ignore[attr-defined]


@given(
    st.integers(1, 60), st.sampled_from(["24", "25", "30000/1001", "60000/1001"]),
    st.sampled_from(["24000/1001", "25", "50", "60000/1001"]),
)  # fmt: skip
def test_resampled_poses_are_at_their_time(count: int, rate: str, to: str) -> None:
    """Each is the one whose time it is; both streams last equally long, to a frame."""
    a, b = Fraction(rate), Fraction(to)
    got = numbers(resample(walk([float(i) for i in range(count)]), a, b))
    assert abs(Fraction(len(got)) / b - Fraction(count) / a) <= max(1 / a, 1 / b)
    for n, value in enumerate(got):
        assert 0 <= Fraction(n) / b - Fraction(int(value)) / a < 1 / a


def test_smoothing_calms_noise_and_follows_movement() -> None:
    rng = np.random.default_rng(0)
    noisy = (0.01 * rng.standard_normal(200)).tolist()
    calm = numbers(smooth(walk(noisy), Fraction(25), 1.0, 6.0))
    assert np.abs(np.diff(calm)).mean() < 0.3 * np.abs(np.diff(noisy)).mean()
    moving = np.sin(np.arange(100) / 8).tolist()
    assert (
        np.abs(np.array(numbers(smooth(walk(moving), Fraction(25), 1.0, 6.0))) - moving).max()
        < 0.25
    )
    assert numbers(smooth(walk(noisy), Fraction(25), None, 6.0)) == pytest.approx(noisy)


def test_the_reference_is_the_frame_most_like_the_photo(
    world: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FirstOrderGated, "near", 0)  # an untrained model's poses are all alike
    driver = opened(world / "clip.mp4")
    frames = list(driver.poses(predictor))
    own = frames[5].motion
    assert predictor.distance(own, driver.reference_pose(predictor, own)) < 1e-6  # type: ignore[arg-type]
    one = opened(world / "clip.mp4", reference=3).reference_pose(predictor, own)
    assert torch.equal(one.point, frames[3].motion.point)  # type: ignore[union-attr]
    assert opened(world / "clip.mp4", reference=0).reference_pose(predictor, own) is None
    with pytest.raises(AnimateError, match=r"retarget\.reference=99"):
        opened(world / "clip.mp4", reference=99).reference_pose(predictor, own)


def test_the_reference_is_a_head_as_upright_as_the_photos(predictor: Predictor) -> None:
    """Relative to a rolled head every upright frame would be rolled back."""
    own = predictor.track([draw_face(256)])
    angle = torch.deg2rad(torch.tensor(25.0))
    turn = torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()]).view(2, 2)
    upright = torch.tensor([[-0.2, -0.2], [0.2, -0.2]])[:, None].expand(2, 9, 2).flatten(0, 1)
    point = torch.rand(own.point.shape, generator=torch.Generator().manual_seed(0))  # type: ignore[attr-defined]
    point[:, list(mesh.EYES)] = upright
    still, rolled = (replace(own, point=p) for p in (point, point @ turn))  # type: ignore[call-arg]
    other = replace(own, point=point + 0.02 * point.flip(1))  # type: ignore[call-arg]
    distance = predictor.distance(other, still)
    assert predictor.unlikeness(other, still) == distance
    assert predictor.distance(other, rolled) == pytest.approx(distance, rel=1e-3)
    assert predictor.unlikeness(other, rolled) == pytest.approx(2.5 * distance, rel=0.1)


def test_a_span_of_a_clip_takes_its_sound_along(world: Path, predictor: Predictor) -> None:
    whole = list(opened(world / "clip.mp4", reference=0).poses(predictor))
    part = opened(world / "clip.mp4", start=0.1, end=0.3)  # frames 3 to 8 at 29.97
    poses = list(part.poses(predictor))
    assert part.length == len(poses) == 6
    assert part.sound is not None
    assert part.sound.start == Fraction(3003, 30000)
    expected = whole[3].motion.point  # type: ignore[attr-defined]
    assert torch.allclose(poses[0].motion.point, expected, atol=0.05)  # type: ignore[attr-defined]
    for wrong in ({"start": 9.0}, {"start": 0.2, "end": 0.2}, {"start": -1}, {"end": float("nan")}):
        with pytest.raises(AnimateError, match=r"is not after|no frame|ends before|a number"):
            opened(world / "clip.mp4", **wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"missing": "guess"}, {"times": 0}, {"smoothing": 0.0}, {"reference": -1}, {"reference": "x"}],
)
def test_playing_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(AnimateError):
        Options().changed(**wrong)


# ---------------------------------------------------------------- motion templates


@pytest.fixture(scope="module")
def template(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("motion") / "dance.npz"
    save_motion(world / "clip.mp4", out, checkpoint=world / "gated.safetensors")
    return out


def test_a_template_holds_the_poses_of_its_clip(
    template: Path, world: Path, predictor: Predictor
) -> None:
    seen = [p.motion.point for p in opened(world / "clip.mp4").poses(predictor)]  # type: ignore[attr-defined]
    kept = opened(template)
    assert (kept.length, kept.rate) == (12, Fraction(30000, 1001))
    read = [p.motion.point for p in kept.poses(predictor)]  # type: ignore[attr-defined]
    torch.testing.assert_close(torch.cat(read), torch.cat(seen), rtol=0, atol=1e-5)
    part = opened(template, start=0.1, end=0.3)
    assert torch.equal(next(part.poses(predictor)).motion.point, read[3])  # type: ignore[attr-defined]
    assert part.length == 6
    own = predictor.track([draw_face(128)])
    found = [opened(path).reference_pose(predictor, own) for path in (world / "clip.mp4", template)]
    most_like = [motion.numbers() for motion in found if motion is not None]
    np.testing.assert_allclose(*most_like, rtol=0, atol=1e-5)


def test_a_template_is_plain_numbers(template: Path) -> None:
    with np.load(template, allow_pickle=False) as file:
        assert file["poses"].shape[0] == 12


def test_a_template_of_another_checkpoint_is_refused(template: Path) -> None:
    kept = read_template(template)
    kept.check(kept.model, kept.model_sha256)
    with pytest.raises(AnimateError, match="another checkpoint"):
        kept.check(kept.model, "0" * 64)


def test_what_is_no_template_is_one_sentence(template: Path, tmp_path: Path) -> None:
    for name, data in (("a.npz", b"no zip"), ("b.npz", template.read_bytes()[:200])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(AnimateError, match="motion template"):
            read_template(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("about.json", '{"format": 9}')
    with pytest.raises(AnimateError, match="another version"):
        read_template(tmp_path / "c.npz")
    with pytest.raises(AnimateError, match="no "):
        read_template(tmp_path / "none.npz")


def test_a_template_does_not_replace_a_file(template: Path, world: Path, tmp_path: Path) -> None:
    before = template.read_bytes()
    with pytest.raises(AnimateError, match="--force"):
        save_motion(world / "clip.mp4", template, checkpoint=world / "gated.safetensors")
    assert template.read_bytes() == before
    with pytest.raises(AnimateError, match="already"):
        save_motion(template, tmp_path / "b.npz", checkpoint=world / "gated.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_picture_is_a_driver_of_one_pose(tmp_path: Path, predictor: Predictor) -> None:
    Image.fromarray(draw_face(160)).save(tmp_path / "p.png")
    driver = opened(tmp_path / "p.png")
    assert driver.still
    assert len(list(driver.poses(predictor))) == 1
    own = predictor.track([draw_face(128)])
    assert (
        driver.reference_pose(predictor, own) is own
    )  # what it differs in from the photo is its motion


def test_after_a_cut_motion_starts_anew_unless_a_frame_was_named(
    tmp_path: Path, predictor: Predictor
) -> None:
    clip = write_clip(
        tmp_path / "cut.mp4", [*draw_frames(3), *map(in_other_scene, draw_frames(3))], "25"
    )

    def scenes(**how: object) -> list[int]:
        return [pose.scene for pose in opened(clip, **how).poses(predictor)]

    assert scenes() == [0, 0, 0, 1, 1, 1]
    assert scenes(reference=1) == [0] * 6
