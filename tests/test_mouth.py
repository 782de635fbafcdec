"""The inside of a mouth lies between the lips, wherever the head is."""

import pytest
import torch
from test_hair import face
from torch import Tensor

from animate.data.pairs import Pairs
from animate.faces import mesh
from animate.models.first_order_gated.model import retarget
from animate.models.first_order_gated.mouth import (
    AROUND,
    SHEET,
    Mouth,
    between,
    inner,
    mouth_crop,
    posed,
    strain,
    window,
)
from animate.models.first_order_gated.mouth_frame import opened
from animate.models.geometry import grid, inside, warp
from animate.training.losses.mouth import MouthLoss

RIM = (  # of the mouth's opening, in the order of mesh.OPENINGS
    (-0.2, 0.2), (-0.1, 0.14), (0.0, 0.12), (0.1, 0.14),
    (0.2, 0.2), (0.1, 0.28), (0.0, 0.32), (-0.1, 0.28),
)  # fmt: skip
SIDE = 128


def mouth(gap: float = 1.0) -> Tensor:
    """A face whose mouth is open, (1, K, 2); less so with a smaller gap."""
    point = face()
    rim = torch.tensor(RIM)
    rim[:, 1] = 0.2 + gap * (rim[:, 1] - 0.2)
    point[0, list(mesh.OPENINGS[0])] = rim
    return point


def turned(point: Tensor) -> Tensor:
    turn = torch.tensor([[0.96, 0.28], [-0.28, 0.96]])
    return 0.8 * point @ turn.T + torch.tensor([0.1, -0.05])


def test_what_is_taken_from_between_the_lips_is_laid_back_there() -> None:
    smooth = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    photo = torch.nn.functional.interpolate(smooth, SIDE, mode="bicubic", align_corners=True)
    for point in (mouth(), turned(mouth())):
        place = between(point, grid(SIDE, SIDE))
        back = warp(inner(photo, point), place, padding="border")
        well_within = (place.abs() < 0.8).all(-1)[:, None].expand_as(photo)
        assert well_within.sum() > 200
        torch.testing.assert_close(back[well_within], photo[well_within], atol=0.03, rtol=0)


def test_a_pose_is_the_same_wherever_the_head_is() -> None:
    torch.testing.assert_close(posed(turned(mouth())), posed(mouth()), atol=1e-4, rtol=0)
    assert posed(mouth()).shape == (1, 2 * len(AROUND))


def test_lips_are_as_far_apart_as_they_look() -> None:
    assert opened(mouth(0)).abs() < 1e-6
    torch.testing.assert_close(opened(mouth(0.5)), opened(mouth()) / 2)
    torch.testing.assert_close(opened(turned(mouth())), 0.8 * opened(mouth()))


@pytest.mark.parametrize("gap", [0.0, 1.0])
@torch.inference_mode()
def test_sheets_are_pictures_and_frames_do_not_mind_each_other(gap: float) -> None:
    torch.manual_seed(0)
    model, photo = Mouth().eval(), torch.rand(1, 3, SIDE, SIDE)
    look = model.look(photo, mouth(gap))
    both = torch.cat([mouth(gap), turned(mouth())])
    found = model(look, mouth(gap), both, SIDE)
    rows, columns = found.rows, found.columns
    assert found.drawn.shape == (2, 3, rows.stop - rows.start, columns.stop - columns.start)
    assert ((found.drawn >= 0) & (found.drawn <= 1)).all()
    one = model(look, mouth(gap), both[:1], SIDE)
    within = found.drawn[:1, :, one.rows.start - rows.start :, one.columns.start - columns.start :]
    same = within[..., : one.drawn.shape[2], : one.drawn.shape[3]]
    torch.testing.assert_close(one.drawn, same)
    assert mouth_crop(photo, mouth()).shape == (1, 3, *SHEET)


@torch.inference_mode()
def test_the_window_holds_every_open_mouth_and_little_else() -> None:
    points = torch.cat([mouth(), turned(mouth())])
    rows, columns = window(points, SIDE)
    lips = inside(points[:, list(mesh.OPENINGS[0])], SIDE, SIDE)
    around = torch.nn.functional.max_pool2d(lips, 7, stride=1, padding=3)  # softened, enlarged
    assert around[:, rows, columns].sum() == around.sum()
    assert (rows.stop - rows.start) * (columns.stop - columns.start) < SIDE**2 / 4
    for away in (points - 3, points + 3, points * torch.nan):  # beyond the picture, or nowhere
        rows, columns = window(away, SIDE)
        assert 0 <= rows.start < rows.stop <= SIDE
        assert 0 <= columns.start < columns.stop <= SIDE


def test_the_window_is_the_whole_picture_while_learning() -> None:
    assert window(mouth(), SIDE) == (slice(0, SIDE), slice(0, SIDE))


@pytest.mark.parametrize(
    ("ours", "theirs", "how"), [(0.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0.8, 1.0, 0.0), (0.3, 1.0, 1.0)]
)
def test_teeth_that_would_be_drawn_out_far_are_torn(ours: float, theirs: float, how: float) -> None:
    """Of photos whose mouths are closed, or wide open, or a little."""
    assert strain(mouth(ours), turned(mouth(1.25 * theirs))).item() == how


class Held(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mouth = Mouth()


def test_it_learns_the_mouths_that_are_open_and_known() -> None:
    torch.manual_seed(0)
    held, loss = Held(), MouthLoss()
    images = torch.rand(4, 3, SIDE, SIDE)
    open_, shut, lost = mouth(), mouth(0), torch.full_like(mouth(), torch.nan)
    pairs = Pairs(images, images, torch.cat([shut] * 4), torch.cat([open_, shut, lost, open_]))
    terms = loss(held, pairs, 0, 0)
    assert set(terms) == {"pixels", "adversarial", "matching"}
    assert all(term.isfinite() for term in terms.values())
    assert len(loss.last[0]) == 2
    assert loss.discriminator_loss(loss.discriminator, pairs, 0, 0)["discriminator"].isfinite()
    none = Pairs(images, images, torch.cat([shut] * 4), torch.cat([lost] * 4))
    assert loss(held, none, 1, 0)["pixels"].item() == 0
    assert loss.discriminator_loss(loss.discriminator, none, 1, 0)["discriminator"].item() == 0


def test_lips_that_are_closed_in_the_photo_part_as_the_drivers_do() -> None:
    """Though in the driver's reference frame they stand wide open."""
    ours, first, closed = mouth(0), turned(mouth()), turned(mouth(0))
    start = retarget.match_lips(first, ours, adapt_scale=True)
    for driver, gap in ((first, 1.0), (closed, 0.0)):
        moved = retarget.transfer(ours, driver, start, adapt_scale=True)
        # movements of lips are strengthened
        torch.testing.assert_close(opened(moved), opened(mouth(gap)), atol=4e-3, rtol=0.12)


def test_a_mouth_that_is_open_in_the_photo_closes_and_opens_as_the_drivers_does() -> None:
    """Though in the driver's reference frame the lips are closed."""
    ours, closed, open_ = mouth(), turned(mouth(0)), turned(mouth())
    start = retarget.match_lips(closed, ours, adapt_scale=True)
    for driver, far in ((closed, 0.0), (open_, 1.0)):
        moved = retarget.untangle(retarget.transfer(ours, driver, start, adapt_scale=True))
        torch.testing.assert_close(
            retarget.lip_gap(moved), far * retarget.lip_gap(ours), atol=0.02, rtol=0
        )


def test_a_driver_who_is_as_open_as_the_photo_or_sees_hardly_parted_lips_is_left_alone() -> None:
    first = turned(mouth(0.5))
    torch.testing.assert_close(retarget.match_lips(first, mouth(0.5), adapt_scale=True), first)
    closed = turned(mouth(0))
    torch.testing.assert_close(retarget.match_lips(closed, mouth(0.15), adapt_scale=True), closed)


def test_a_mute_mouth_goes_with_the_head_alone() -> None:
    own, lips = mouth(0.2), list(mesh.MOUTH)
    said = turned(mouth())
    moved = retarget.without_mouth(own, said)
    torch.testing.assert_close(moved[:, lips], turned(own)[:, lips], atol=2e-3, rtol=0)
    rest = [i for i in range(own.shape[1]) if i not in mesh.REGIONS["mouth"]]
    assert torch.equal(moved[:, rest], said[:, rest])
