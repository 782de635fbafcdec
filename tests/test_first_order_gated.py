"""The default model: sane before any training, small, and true to its points."""

import math

import pytest
import torch

from animate.faces import mesh
from animate.models.first_order_gated import model as first_order_gated
from animate.models.first_order_gated.dense_motion import MOTION_FEATURES
from animate.models.first_order_gated.foreground import fill
from animate.models.first_order_gated.model import (
    FirstOrderGated,
    Points,
    openings,
    retarget,
)

STILL = torch.eye(2, 3)[None]
VIEW = torch.zeros(1, 1, 64, 64, dtype=torch.uint8)
SHARP = torch.zeros(1, 2, dtype=torch.uint8)
TAUGHT = len(mesh.TAUGHT)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return FirstOrderGated(size=128).eval()


@pytest.fixture(scope="module")
def photo():
    return torch.nn.functional.interpolate(
        torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(1)), 128, mode="bicubic"
    ).clamp(0, 1)


def face(count=1, seed=2):
    at = torch.rand(1, TAUGHT, 2, generator=torch.Generator().manual_seed(seed)) - 0.5
    return at.expand(count, -1, -1)


def test_it_keeps_to_its_size(model):
    assert model.parameter_count() <= 8_000_000
    assert 2 * model.parameter_count() <= 16 * 2**20  # bytes in half precision


@torch.inference_mode()
def test_points_that_move_together_carry_the_picture_along_before_training(model, photo):
    shift = torch.tensor([0.25, 0.0])
    flow, _ = model.motion(model.encode(photo).small, face() - shift, face(), STILL)
    inner = flow[0, 20:44, 20:44]
    z = torch.linspace(-1, 1, 64)[20:44]
    torch.testing.assert_close(inner[..., 0], (z - 0.25).expand(24, -1), atol=0.05, rtol=0)


@torch.inference_mode()
def test_own_pose_moves_nothing_before_training(model, photo):
    source = model.encode(photo)
    flow, _ = model.motion(source.small, source.pose.point, source.pose.point, STILL)
    motion, still = torch.zeros(1, MOTION_FEATURES, 64, 64), openings(source.pose.point, 64)
    shapes = source.shapes, still
    mouth = model.mouth(source.look, source.pose.point, source.pose.point, 128)
    layers = source.front, source.behind
    photo, features = source.photo, source.features
    _, warped, _, _ = model.synthesis(photo, layers, features, shapes, flow, motion, mouth)
    assert (warped - photo).abs().mean() < 0.01  # the soft edge of the person shows both layers


@torch.inference_mode()
def test_what_is_behind_is_the_photo_away_from_the_person(model, photo):
    front, _, behind = model.layers(photo, 0.3 * face())
    away = front < 0.02
    assert away.float().mean() > 0.2
    torch.testing.assert_close(behind[away.expand_as(behind)], photo[away.expand_as(photo)],
                               atol=0.02, rtol=0)  # fmt: skip
    inside = front > 0.97
    assert (behind - photo).abs()[inside.expand_as(photo)].mean() > 0.05


def test_filling_takes_what_is_around_and_leaves_what_is_known():
    left = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    known = torch.ones(1, 1, 64, 64)
    known[..., 20:44, 20:44] = 0
    filled = fill(left * known, known)
    seen = known.bool().expand_as(left)
    torch.testing.assert_close(filled[seen], left[seen])
    assert (filled - left).abs().max() < 0.1


@torch.inference_mode()
def test_folding_the_normalisation_changes_nothing(photo):
    torch.manual_seed(0)
    model = FirstOrderGated(size=128)
    model(photo.repeat(2, 1, 1, 1), photo.flip(-1).repeat(2, 1, 1, 1))  # moves the statistics
    model.eval()
    before = model.render(model.encode(photo), model.track(photo.flip(-1)))
    model.fuse()
    after = model.render(model.encode(photo), model.track(photo.flip(-1)))
    assert (after - before).abs().mean() < 1e-5
    torch.testing.assert_close(after, before, atol=5e-3, rtol=0)  # rounding, at the rim of a mouth


def test_every_landmark_has_its_mirror_image():
    assert sorted(mesh.MIRROR) == list(range(TAUGHT))
    assert all(mesh.MIRROR[mesh.MIRROR[i]] == i for i in range(TAUGHT))
    assert len(set(mesh.TAUGHT)) == TAUGHT


def test_no_motion_leaves_the_photos_pose():
    ours, theirs = face(seed=3), face(seed=4)
    for adapt in (True, False):
        moved = retarget.transfer(ours, theirs.repeat(3, 1, 1), theirs, adapt)
        torch.testing.assert_close(moved, ours.expand(3, -1, -1), atol=1e-5, rtol=0)


def test_a_head_that_moves_without_an_expression_is_followed_exactly():
    first = face(seed=5)
    later = first @ torch.tensor([[0.9, 0.3], [-0.2, 1.1]]) + 0.1
    moved = retarget.transfer(first, later, first, True)
    torch.testing.assert_close(moved, later, atol=1e-3, rtol=1e-3)


def test_a_larger_face_moves_further_unless_told_not_to():
    theirs = face(seed=7)
    ours = 2 * theirs
    later = theirs + torch.tensor([0.1, 0.0])
    adapted = retarget.transfer(ours, later, theirs, True) - ours
    plain = retarget.transfer(ours, later, theirs, False) - ours
    torch.testing.assert_close(
        adapted[..., 0], torch.full_like(adapted[..., 0], 0.2), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(
        plain[..., 0], torch.full_like(plain[..., 0], 0.1), atol=1e-4, rtol=0
    )


def turned(point, degrees):
    """A round head turned sideways and seen from afar."""
    angle = math.radians(degrees)
    depth = 0.6 - point.square().sum(-1)
    across = point[..., 0] * math.cos(angle) + depth * math.sin(angle)
    return torch.stack([across, point[..., 1]], -1)


def test_a_head_turns_as_far_as_a_photo_can_show_and_speaks_on() -> None:
    first = face(seed=8)
    far = turned(first, 60)
    open_ = retarget.part_lips(far, torch.tensor([0.2]))
    others = [i for i in mesh.STEADY if i not in mesh.EYES]
    size = (first - first.mean(1, keepdim=True))[:, others].norm(dim=-1).mean()
    for driver in (far, open_):
        held = retarget.within_reach(first, driver)
        before, after = (
            retarget.head_and_expression(first, point)[-1][:, others].norm(dim=-1).mean() / size
            for point in (driver, held)
        )
        assert after < 1.5 * retarget.TURN < before
        torch.testing.assert_close(
            retarget.lip_gap(held), retarget.lip_gap(driver), atol=0.02, rtol=0
        )


def test_heads_that_lean_come_nearer_or_turn_a_little_are_left_as_they_are() -> None:
    first, lean = face(seed=9), math.radians(70)
    spin = torch.tensor([[math.cos(lean), -math.sin(lean)], [math.sin(lean), math.cos(lean)]])
    moved = torch.cat([1.6 * first @ spin.mT + 0.3, turned(first, 5)])
    assert torch.equal(retarget.within_reach(first, moved), moved)


def test_lips_and_lids_that_passed_each_other_meet_half_way():
    point = torch.zeros(2, TAUGHT, 2)
    point[:, mesh.TAUGHT.index(168), 1] = -1.0
    point[:, mesh.TAUGHT.index(152), 1] = 1.0
    above, below = mesh.MEETING[1]
    point[0, above, 1], point[0, below, 1] = 0.3, 0.1  # crossed
    point[1, above, 1], point[1, below, 1] = 0.1, 0.3  # open
    found = retarget.untangle(point)
    torch.testing.assert_close(found[0, [above, below], 1], torch.tensor([0.2, 0.2]))
    assert torch.equal(found[1], point[1])


def test_poses_are_sliced_as_one():
    motion = Points(
        torch.arange(12.0).view(3, 2, 2), VIEW.expand(3, -1, -1, -1), SHARP.expand(3, -1)
    )
    assert len(motion) == 3
    assert torch.equal(motion[1:].point, motion.point[1:])


def test_closed_eyes_are_told_of_and_points_that_are_no_face_are_not() -> None:
    point = torch.zeros(1, len(mesh.TAUGHT), 2)
    assert torch.isnan(retarget.eye_opening(point)).all()
    angle = torch.arange(8) * torch.pi / 4
    for height, told in ((0.5, False), (0.1, True)):
        for rim, x in zip(mesh.OPENINGS[1:], (-0.3, 0.3), strict=True):
            point[0, list(rim), 0] = x - 0.1 * angle.cos()
            point[0, list(rim), 1] = 0.1 * height * angle.sin()
        assert bool(FirstOrderGated(size=128).remarks(Points(point, VIEW, SHARP))) == told


def test_a_head_that_leans_far_is_told_of() -> None:
    point = torch.zeros(1, len(mesh.TAUGHT), 2)
    assert torch.isnan(retarget.roll(point)).all()
    for eye, side in ((mesh.RIGHT_EYE, -1), (mesh.LEFT_EYE, 1)):
        at = [mesh.TAUGHT.index(n) for n in eye]
        point[0, at, 0], point[0, at, 1] = side * 0.2, side * 0.2 * math.tan(math.radians(50))
    assert retarget.roll(point)[0] == pytest.approx(50, abs=1e-3)
    (line,) = FirstOrderGated(size=128).remarks(Points(point, VIEW, SHARP))
    assert "50 degrees" in line


def test_regions_are_amplified_apart() -> None:
    torch.manual_seed(0)
    own = torch.rand(1, len(mesh.TAUGHT), 2) - 0.5
    first, motion = own + 0.01, own + 0.05 * torch.rand(3, len(mesh.TAUGHT), 2)

    def moved(**gains: float) -> torch.Tensor:
        return retarget.transfer(own, motion, first, True, gains)

    plain = moved()
    torch.testing.assert_close(moved(head=1, mouth=1, eyes=1), plain)
    mouth, eyes = list(mesh.REGIONS["mouth"]), list(mesh.REGIONS["eyes"])
    others = [i for i in range(own.shape[1]) if i not in mouth]
    louder = moved(mouth=2)
    torch.testing.assert_close(louder[:, others], plain[:, others])
    assert (louder[:, mouth] - plain[:, mouth]).abs().max() > 0.005
    assert not set(mouth) & set(eyes)
    still = moved(head=0, mouth=0, eyes=0)
    assert (still - own).abs().mean() < 0.5 * (plain - own).abs().mean()


def test_of_two_scenes_the_camera_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = FirstOrderGated(size=128).eval()
    generator = torch.Generator().manual_seed(1)
    ours, theirs = torch.rand(2, 1, 3, 128, 128, generator=generator)
    shift = torch.tensor([[1.0, 0, 0.5], [0, 1, -0.3]])[None]
    pictures = []
    for ground in (torch.eye(2, 3)[None], shift):
        monkeypatch.setattr(first_order_gated, "camera", lambda *poses, g=ground: g)
        with torch.inference_mode():
            source = model.encode(ours)
            pictures.append(model.render(source, model.track(theirs)))
    assert torch.equal(*pictures)
