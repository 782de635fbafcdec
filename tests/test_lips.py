"""Lips stay lips and teeth stay between them, however the flow runs."""

import pytest
import torch
from test_mouth import SIDE, mouth, turned
from torch import Tensor

from animate.faces import mesh
from animate.models.first_order_gated.dense_motion import MOTION_FEATURES
from animate.models.first_order_gated.lips import DARK, apart, parted
from animate.models.first_order_gated.mouth import Inside, window
from animate.models.first_order_gated.opening import Opening
from animate.models.first_order_gated.synthesis import FAINT, Synthesis
from animate.models.geometry import grid, inside, move

SKIN, WHITE = 0.5, 1.0


def laughing(point: Tensor) -> Tensor:
    """A photo of skin with white teeth between the lips, (1, 3, SIDE, SIDE)."""
    teeth = inside(point[:, list(mesh.OPENINGS[0])], SIDE, SIDE)[:, None].expand(-1, 3, -1, -1)
    return SKIN + (WHITE - SKIN) * teeth


def moved(ours: Tensor, theirs: Tensor, flow: Tensor) -> tuple[Tensor, Opening]:
    photo = laughing(ours)
    lips, teeth = apart(ours, theirs, flow, window(theirs, SIDE, 1 / 16))
    return teeth.behind(move(photo, lips), photo), teeth


def unmoved() -> Tensor:
    return grid(SIDE, SIDE)[None]


@torch.inference_mode()
def test_closed_lips_hide_the_teeth_of_a_photo_that_laughs() -> None:
    """Though the flow leads to them, and somewhat parted lips show them."""
    closed, _ = moved(mouth(), mouth(0), unmoved())
    assert closed.max() < SKIN + 0.2  # pixels at the rims mix lip and teeth
    slight, _ = moved(mouth(), mouth(0.5), unmoved())
    assert slight.max() > 0.95 * WHITE


@torch.inference_mode()
def test_the_photos_own_pose_shows_the_photo() -> None:
    own, _ = moved(mouth(), mouth(), unmoved())
    torch.testing.assert_close(own, laughing(mouth()), atol=0.04, rtol=0)


@torch.inference_mode()
def test_what_is_between_the_lips_is_teeth_wherever_the_flow_leads() -> None:
    flow = unmoved() + torch.tensor([0.0, 0.08])
    picture, teeth = moved(mouth(), turned(mouth()), flow)
    well_within = (teeth.cover == 1)[0]
    assert well_within.sum() > 50
    window_ = picture[0, 0, teeth.rows, teeth.columns]
    assert window_[well_within].mean() > 0.95 * WHITE
    assert window_[teeth.cover[0] == 0].mean() < SKIN + 0.01


@torch.inference_mode()
def test_photos_with_closed_lips_keep_their_flow_and_have_no_teeth() -> None:
    flow = unmoved() + 0.05
    for theirs in (mouth(0), mouth(), turned(mouth())):
        lips, teeth = apart(mouth(0), theirs, flow, window(theirs, SIDE, 1 / 16))
        assert torch.equal(lips, flow)
        assert not teeth.cover.any()
    assert parted(torch.cat([mouth(0), mouth()])).tolist() == [0, 1]


@torch.inference_mode()
def test_little_light_falls_through_a_slit() -> None:
    light = []
    for gap in (0.12, 0.2, 0.6, 1.0):
        theirs = mouth(gap)
        _, teeth = apart(mouth(), theirs, unmoved(), window(theirs, SIDE, 1 / 16))
        light.append(teeth.light[teeth.cover > 0.5].mean().item())
    assert DARK <= light[0] < light[1] < light[2] <= light[3] == 1


@pytest.mark.parametrize("own", [0.0, 1.0])
def test_strokes_leave_no_stains_on_the_photos_own_teeth(own: float) -> None:
    """But drawn teeth replace those that would be stretched too far."""
    point, paint = mouth(), Synthesis().eval()
    with torch.no_grad():  # a dark stroke everywhere
        paint.paint.bias.view(4, 4).copy_(torch.tensor([-1.0, -1, -1, 9])[:, None])
    photo, whole = laughing(point), slice(0, SIDE)
    openings = torch.zeros(1, 3, SIDE // 2, SIDE // 2)
    openings[:, 0] = inside(point[:, list(mesh.OPENINGS[0])], SIDE // 2, SIDE // 2)
    ours = torch.cat([openings, torch.ones_like(openings[:, :1])], 1)
    drawn = torch.full_like(photo, 0.2)
    within = Inside(drawn, whole, whole, point, point, True, torch.full((1,), own))
    motion, person = torch.zeros(1, MOTION_FEATURES, 16, 16), torch.ones(1, 1, SIDE, SIDE)
    flow = grid(16, 16)[None]
    with torch.inference_mode():
        image, *_ = paint(
            photo, (person, photo), paint.encode(photo), (ours, openings), flow, motion, within
        )
    rows, columns = (slice(int(SIDE * a), int(SIDE * b)) for a, b in ((0.59, 0.62), (0.48, 0.52)))
    teeth = image[:, :, rows, columns]
    wanted = torch.full_like(teeth, WHITE - FAINT if own else 0.2)
    torch.testing.assert_close(teeth, wanted, atol=0.02, rtol=0)
    assert (image[:, :, : SIDE // 3] < SKIN - 2 * FAINT).all()  # elsewhere it is dark
