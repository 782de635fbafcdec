"""The one geometric convention: grids, warps, fits and deformations mean what they say."""

import pytest
import torch

from animate.models.geometry import (
    ThinPlateSpline,
    bounds,
    expectation,
    fit_affine,
    fit_similarity,
    gaussians,
    grid,
    inside,
    inverse_2x2,
    look_up,
    warp,
)

SEEDED = torch.Generator().manual_seed(0)


def points(*shape):
    return torch.rand(*shape, 2, generator=SEEDED) * 1.6 - 0.8


def test_the_identity_flow_gives_the_image_back():
    image = torch.rand(2, 3, 7, 9, generator=SEEDED)
    flow = grid(7, 9).expand(2, -1, -1, -1)
    torch.testing.assert_close(warp(image, flow), image, atol=1e-6, rtol=0)


def test_corner_pixels_have_their_centres_at_one():
    corners = grid(5, 8)
    assert corners[0, 0].tolist() == [-1, -1]
    assert corners[4, 7].tolist() == [1, 1]
    assert corners[0, 7].tolist() == [1, -1]  # x runs along the width


def test_looking_many_channels_up_is_warping_them():
    image = torch.rand(1, 40, 7, 9, generator=SEEDED)
    flow = 1.4 * (2 * torch.rand(3, 5, 6, 2, generator=SEEDED) - 1)  # some of it outside
    seen = warp(image.expand(3, -1, -1, -1), flow, padding="border")
    torch.testing.assert_close(look_up(image, flow), seen)
    assert look_up(image, torch.full_like(flow, torch.nan)).isfinite().all()


def test_the_mean_of_a_gaussian_is_its_point():
    at = points(2, 3) * 0.6
    maps = gaussians(at, 64, 64, 0.005)
    found = expectation(maps / maps.sum((-1, -2), keepdim=True))
    torch.testing.assert_close(found, at, atol=1e-4, rtol=0)


def test_no_gaussian_has_subnormal_numbers():  # they make a convolution four times slower
    least = gaussians(points(2, 3) - 0.2, 64, 64, 0.002).abs().min()
    assert torch.finfo(torch.float32).tiny <= least < 1e-20


def test_a_square_is_filled_and_its_outside_is_not():
    square = torch.tensor([[[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]])
    filled = inside(square, 64, 64)
    assert filled[0, 20:44, 20:44].min() == 1
    assert filled.mean().item() == pytest.approx(0.25, abs=0.02)
    assert inside(square * 0, 64, 64).max() == 0  # nothing is open


def test_only_what_is_around_a_polygon_is_looked_at_and_nothing_is_missed():
    stars = torch.randn(6, 9, 2, generator=torch.Generator().manual_seed(4))  # partly beyond
    stars[3:] *= 0.2
    everywhere = inside(stars, 40, 56)
    with torch.no_grad():
        assert torch.equal(inside(stars, 40, 56), everywhere)
        rows, columns = bounds(stars[3:], 40, 56)
    assert everywhere[3:, rows, columns].sum() == everywhere[3:].sum()
    assert (rows.stop - rows.start) * (columns.stop - columns.start) < 40 * 56


def test_points_keep_their_precision_under_autocast():
    maps = gaussians(points(1, 4), 32, 32, 0.01)
    maps = maps / maps.sum((-1, -2), keepdim=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(expectation(maps), expectation(maps.clone()))
        assert expectation(maps).dtype == torch.float32


def test_the_closed_form_inverse_inverts():
    matrix = torch.eye(2) + 0.3 * torch.randn(5, 4, 2, 2, generator=SEEDED)
    product = inverse_2x2(matrix) @ matrix
    torch.testing.assert_close(product, torch.eye(2).expand_as(product), atol=1e-5, rtol=1e-5)


def test_an_affine_map_is_found_from_the_points_it_moved():
    at = points(3, 12)
    matrix = torch.eye(2) + 0.3 * torch.randn(3, 2, 2, generator=SEEDED)
    to = at @ matrix.mT + 0.1
    weight = torch.rand(3, 5, 12, generator=SEEDED) + 0.1
    found, centre, home = fit_affine(at, to, weight, ridge=0)
    torch.testing.assert_close(found, matrix[:, None].expand_as(found), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(centre @ matrix.mT + 0.1, home, atol=1e-5, rtol=1e-5)


def test_a_similarity_is_found_from_the_points_it_moved():
    at = points(2, 9)
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]]) * 1.4
    found, _, _ = fit_similarity(at, at @ turn.mT - 0.2)
    torch.testing.assert_close(found, turn.expand_as(found), atol=1e-5, rtol=1e-5)


def test_the_closed_form_jacobian_of_a_spline_is_its_derivative():
    spline = ThinPlateSpline(2, torch.Generator().manual_seed(1), bend=0.05)
    z = points(2, 6)
    step, columns = 1e-3, []
    for axis in torch.eye(2):
        ahead, behind = spline.points(z + step * axis), spline.points(z - step * axis)
        columns.append((ahead - behind) / (2 * step))
    numeric = torch.stack(columns, -1)
    torch.testing.assert_close(spline.jacobian(z), numeric, atol=2e-3, rtol=2e-3)


def test_a_spline_without_noise_is_the_identity():
    spline = ThinPlateSpline(1, SEEDED, affine=0, bend=0)
    z = points(1, 5)
    torch.testing.assert_close(spline.points(z), z)
