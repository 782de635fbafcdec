"""Training: pairs are augmented alike, losses mean what they say, a resumed run is the same run."""

import inspect

import numpy as np
import pytest
import torch
import yaml
from conftest import ROOT

from animate import models
from animate.config import settings
from animate.data.opening import open_clips
from animate.data.pairs import Pairs, ahead, choose, reframe, relight
from animate.errors import AnimateError
from animate.faces import mesh
from animate.models.first_order.discriminator import Discriminator
from animate.models.first_order.model import FirstOrder
from animate.models.first_order_gated.model import FirstOrderGated
from animate.models.geometry import ThinPlateSpline, gaussians, grid
from animate.options import Augment
from animate.training.loop import schedule, train
from animate.training.losses import first_order, landmark_terms
from animate.training.losses import terms as terms_of
from animate.training.losses.first_order_gated import GatedLoss, KeypointLoss
from animate.training.losses.mouth import MouthLoss

TAUGHT = len(mesh.TAUGHT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two clips of five frames in the cache, and a teacher's landmarks for them."""
    root = tmp_path_factory.mktemp("clips")
    drawn = np.random.default_rng(0)
    (root / "videos").mkdir()
    (root / "cache").mkdir()
    table = {}
    for name in ("a", "b"):
        (root / "videos" / f"{name}.mp4").touch()
        coarse = drawn.integers(0, 255, (5, 8, 8, 3), np.uint8)
        np.save(root / "cache" / f"{name}.npy", coarse.repeat(16, 1).repeat(16, 2))
        table[name] = drawn.uniform(20, 100, (5, 478, 2)).astype(np.float32)
    np.savez(root / "retarget.npz", **table)
    return root


@pytest.fixture
def clips(folder):
    return open_clips(folder / "videos", folder / "cache", folder / "retarget.npz")


def chance(seed, count=1):
    """What chance decides of `count` pairs."""
    drawn = np.random.default_rng(seed)
    return choose(np.array([5]), [np.array([0])], count, drawn, Augment())


def new_model():
    torch.manual_seed(0)
    return FirstOrderGated(size=128)


class Log:
    """A board that only remembers."""

    def __init__(self):
        self.lines, self.saves, self.notes = [], [], []

    def values(self, line):
        self.lines.append(line)

    def note(self, words):
        self.notes.append(words)

    def saved(self, model, step, scored):
        self.saves.append(step)


def run(clips, out, loss=None, **settings):
    settings = {"size": 128, "batch": 2, "warm_up": 1, "log_every": 1, "save_every": 2} | settings
    return train(new_model(), clips, loss or GatedLoss(perceptual=0), out, **settings)


def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(clips, tmp_path):
    whole = run(clips, tmp_path / "whole", steps=4)
    run(clips, tmp_path / "parts", steps=4, stop_at=0)  # stops and saves after its first step
    assert torch.load(tmp_path / "parts/state.pt", weights_only=True)["step"] == 1
    parts = run(clips, tmp_path / "parts", steps=4)
    for (name, a), b in zip(whole.state_dict().items(), parts.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_training_lowers_the_loss_of_the_keypoints_and_names_unreadable_frames(clips, tmp_path):
    log = Log()
    clips.store._warnings = ["frame 2 is skipped"]
    settings = {
        "steps": 12,
        "lr": 1e-3,
        "freeze": ("motion", "layers", "synthesis"),
        "run_log": log,
    }
    run(clips, tmp_path, KeypointLoss(), **settings)
    told = [line["loss"] for line in log.lines]
    assert np.mean(told[-3:]) < np.mean(told[:3])
    assert log.notes == ["frame 2 is skipped"]


def test_a_state_of_another_model_is_refused_in_one_line(clips, tmp_path):
    torch.save({"step": 1, "model": {}}, tmp_path / "state.pt")
    with pytest.raises(AnimateError, match="use another out=") as refused:
        run(clips, tmp_path, steps=2)
    assert "\n" not in str(refused.value)


def test_the_same_seed_draws_the_same_pairs_wherever_it_starts(clips):
    early, late = ahead(clips, 2, 128, 7, 0), ahead(clips, 2, 128, 7, 1)
    next(early)
    assert torch.equal(next(early)[0].source, next(late)[0].source)


def test_landmarks_move_with_the_picture():
    at = torch.rand(2, TAUGHT, 2, generator=torch.Generator().manual_seed(3)) - 0.5
    dots = gaussians(at[:, :1], 128, 128, 0.002).expand(-1, 3, -1, -1)
    pixels, moved = reframe(dots, at, 64, chance(1))
    y, x = divmod(int(pixels[0, 0].argmax()), 64)
    expected = ((moved[0, 0] + 1) / 2 * 63).round()
    assert abs(expected - torch.tensor([x, y])).max() <= 1


def test_source_and_driving_see_the_same_light():
    image = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(4))
    lit = relight(torch.cat([image, image]), chance(2, 2))
    assert torch.equal(lit[:2], lit[2:])
    assert not torch.allclose(lit[:2], image)


def test_guidance_counts_only_what_the_teacher_saw():
    taught = torch.zeros(1, TAUGHT, 2)
    found = taught + 0.1
    torch.testing.assert_close(landmark_terms.guidance(found, taught), torch.tensor(0.1))
    taught[0, 5:] = float("nan")
    torch.testing.assert_close(landmark_terms.guidance(found, taught), torch.tensor(0.1))
    assert landmark_terms.guidance(found, taught * float("nan")) == 0


def test_equivariance_is_zero_where_nothing_is_deformed_and_has_frames_for_first_order():
    torch.manual_seed(0)
    tiny = FirstOrder(
        size=64, detector_width=4, detector_levels=2, motion_width=4, motion_levels=2, width=4
    ).eval()
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    still = ThinPlateSpline(1, torch.Generator().manual_seed(0), affine=0, bend=0)
    terms = terms_of.equivariance(image, tiny.track(image), tiny, still)
    assert set(terms) == {"equivariance", "jacobian"}
    assert all(value < 1e-3 for value in terms.values())
    bent = ThinPlateSpline(1, torch.Generator().manual_seed(0), affine=0.3, bend=0.05)
    assert terms_of.equivariance(image, tiny.track(image), tiny, bent)["jacobian"] > 0.01
    seen = []
    tiny.kp_detector.kp.register_forward_hook(lambda *call: seen.append(call[-1].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        terms_of.equivariance(image, tiny.track(image), tiny, still)
    assert seen == [torch.bfloat16] * 2  # the deformed image is tracked as the others are


def test_a_perfect_picture_costs_nothing_and_eyes_and_mouth_cost_more():
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(6))
    points = torch.zeros(1, TAUGHT, 2)
    weight = landmark_terms.attention(points, 64, 4.0)
    assert terms_of.pyramid(image, image, weight) == 0
    assert weight.max() == pytest.approx(5, abs=0.5)  # a pixel near the points
    assert weight[0, 0, 0, 0] == pytest.approx(1, abs=0.01)


def test_the_rate_warms_up_and_falls():
    rates = [schedule(step, 100, 10, 0.2) for step in range(100)]
    assert rates[0] == 0.1
    assert max(rates) == 1.0
    assert rates[-1] < 0.1


def test_clips_must_be_square_and_there(tmp_path):
    with pytest.raises(AnimateError, match="no clips in"):
        open_clips(tmp_path, tmp_path / "cache")


def test_numbers_are_as_fine_after_training_as_before(clips, tmp_path):
    run(clips, tmp_path / "one", steps=1)
    assert torch.tensor(1e-30) * torch.tensor(1e-10) > 0


def test_every_term_reaches_the_total(clips):
    drawn = clips.draw(2, 128, np.random.default_rng(0))
    assert isinstance(drawn, Pairs)
    terms = GatedLoss(perceptual=0)(new_model(), drawn, 1, 0)
    assert set(terms) == {"pixels", "warped", "guidance", "equivariance"}
    assert all(torch.isfinite(value) for value in terms.values())


def test_what_folds_on_a_face_costs_and_what_does_not_is_free():
    still, face = grid(16, 16)[None], torch.zeros(1, 16, 16)
    face[:, 4:12, 4:12] = 1
    assert landmark_terms.folds(still, face) == 0
    assert landmark_terms.folds(0.5 * still, face) == 0  # a fourth of the area
    flipped = still * torch.tensor([-1.0, 1.0])
    assert landmark_terms.folds(flipped, face).item() == pytest.approx(
        1 + landmark_terms.FLAT, abs=1e-4
    )
    bent = torch.where(still[..., :1] > 0.7, flipped, still)  # beside the face
    assert landmark_terms.folds(bent, face) == 0


def test_strangers_teach_the_motion_alone():
    model, image = new_model(), torch.rand(2, 3, 128, 128)
    source = 0.4 * torch.randn(2, TAUGHT, 2, generator=torch.Generator().manual_seed(7))
    driving = source + torch.tensor([[[0.1, 0.0]], [[0.0, 0.2]]])
    pairs = Pairs(image, image, source, driving)
    loss = GatedLoss(perceptual=0, equivariance=0, forced=True, strangers=10)
    assert "strangers" not in loss(model, pairs, 0, 0)
    loss(model, pairs, 1, 0)["strangers"].backward()
    taught = {n.split(".")[0] for n, p in model.named_parameters() if p.grad is not None}
    assert taught == {"motion"}


def test_a_file_that_is_no_clip_is_named(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "notes.mp4").write_text("no clip")
    with pytest.raises(AnimateError, match="notes"):
        open_clips(tmp_path / "clips", tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    "experiment", sorted(p.stem for p in (ROOT / "configs/experiment").glob("*.yaml"))
)
def test_every_experiment_names_arguments_that_exist(experiment):
    chosen = settings("train", [f"experiment={experiment}", "out=x", "data.clips=x"])
    kinds = {
        "keypoints": KeypointLoss,
        "reenactment": GatedLoss,
        "mouths": MouthLoss,
    }
    kind = kinds.get(chosen["loss"].pop("name"), first_order.FirstOrderLoss)
    inspect.signature(kind).bind(**chosen["loss"])
    inspect.signature(train).bind(None, None, None, None, **chosen["optim"])
    with torch.device("meta"):
        models.build(chosen["motion"]["name"], **chosen["motion"]["arguments"])
    Augment(**chosen["data"]["augment"])
    if chosen["loss"].get("discriminator"):
        Discriminator(**chosen["loss"]["discriminator"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("keypoints", KeypointLoss),
        ("mouths", MouthLoss),
        ("published", first_order.FirstOrderLoss),
        ("reenactment", GatedLoss),
    ],
)
def test_a_loss_is_configured_by_all_arguments_of_its_constructor(name, kind):
    tree = yaml.safe_load((ROOT / "configs/loss" / f"{name}.yaml").read_text())
    assert tree.pop("name") == name
    assert set(tree) == set(inspect.signature(kind).parameters)


def test_the_published_recipe_is_the_published_one():
    chosen = settings("train", ["experiment=vox_adv256", "out=x", "data.clips=x"])
    assert chosen["optim"]["batch"] == 36
    assert chosen["optim"]["steps"] == 150 * (424 * 75 // 36)
    assert chosen["optim"]["betas"] == [0.5, 0.999]
    assert chosen["loss"]["discriminator"] == {"conditioned": True, "keypoints": 10}
    assert chosen["data"]["by_person"]


def test_a_landmark_far_outside_the_picture_teaches_nothing():
    taught = torch.full((1, TAUGHT, 2), 7.0)
    taught[0, 0] = 0.1
    heat = torch.zeros(1, TAUGHT, 16, 16)
    assert landmark_terms.spotlight(heat, taught).isfinite()
    assert torch.equal(
        landmark_terms.spotlight(heat, taught), landmark_terms.spotlight(heat[:, :1], taught[:, :1])
    )
