"""Metrics of images and landmarks have the values that can be worked out."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_evaluation import LINE, faces

from animate.errors import AnimateError
from animate.evaluation import landmarks, pixels
from animate.evaluation.landmarks import Tracks

pytest.importorskip("torchmetrics")
pytest.importorskip("matplotlib")


def test_flat_images_have_the_distances_that_can_be_worked_out() -> None:
    a, b = torch.full((2, 3, 176, 176), 0.5), torch.full((2, 3, 176, 176), 0.25)
    brightness = (2 * 0.5 * 0.25 + 1e-4) / (0.5**2 + 0.25**2 + 1e-4)  # all that SSIM sees here
    assert pixels.l1(a, b).tolist() == pytest.approx([0.25, 0.25])
    assert pixels.psnr(a, b).tolist() == pytest.approx([-20 * np.log10(0.25)] * 2, rel=1e-5)
    assert pixels.ssim(a, b).tolist() == pytest.approx([brightness] * 2, rel=1e-4)
    last_scale = brightness**0.1333  # the only one in which flat images differ
    assert pixels.ms_ssim(a, b).tolist() == pytest.approx([last_scale] * 2, rel=1e-3)


def test_ssim_of_one_window_is_the_formula() -> None:
    drawn = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 1, 3, 11, 11, generator=drawn, dtype=torch.float64)
    x = torch.arange(11, dtype=torch.float64) - 5
    g = torch.exp(-(x**2) / (2 * 1.5**2))
    w = torch.outer(g, g) / g.sum() ** 2
    ma, mb = (a * w).sum((2, 3)), (b * w).sum((2, 3))
    va, vb = (a * a * w).sum((2, 3)) - ma**2, (b * b * w).sum((2, 3)) - mb**2
    cov = (a * b * w).sum((2, 3)) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    value = (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    padded = [torch.nn.functional.pad(image, (5, 5, 5, 5)) for image in (a, b)]
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim

    _, every = ssim(*padded, data_range=1.0, return_full_image=True)
    torch.testing.assert_close(every[..., 10, 10], value)


def test_lpips_is_alexnets_features_compared_place_by_place(tmp_path: Path) -> None:
    nn, drawn = torch.nn, torch.Generator().manual_seed(0)
    trunk = nn.Sequential(  # torchvision's AlexNet, whose names the weights have
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
    )  # fmt: skip
    state = {f"features.{k}": v for k, v in trunk.state_dict().items()}
    torch.save(state | {"classifier.1.weight": torch.zeros(1)}, tmp_path / "alexnet.pth")
    lpips = pixels.Lpips(tmp_path / "alexnet.pth")
    a, b = torch.rand(2, 1, 3, 64, 64, generator=drawn)
    total = torch.zeros(1)
    x, y = ((2 * image - 1 - lpips.shift) / lpips.scale for image in (a, b))
    taps = iter(lpips.linear)
    for layer in trunk:
        x, y = layer(x), layer(y)
        if isinstance(layer, nn.ReLU):
            p, q = (nn.functional.normalize(z, dim=1) for z in (x, y))
            total += (next(taps)[0] * (p - q)[0] ** 2).sum(0).mean()
    torch.testing.assert_close(lpips(a, b), total, rtol=1e-4, atol=1e-6)
    assert lpips(a, a) == 0


def test_weights_that_are_no_alexnet_are_refused_in_one_line(tmp_path: Path) -> None:
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
    for name in ("other.pth", "none.pth"):
        with pytest.raises(AnimateError, match=name):
            pixels.Lpips(tmp_path / name)


def test_fid_of_two_clouds_is_the_formula() -> None:
    class Corner(torch.nn.Module):
        num_features = 2

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image[:, :2, 0, 0].float()

    drawn = torch.Generator().manual_seed(1)
    a, b = torch.randint(0, 255, (2, 400, 3, 1, 1), generator=drawn) / 255
    b[:, 0] /= 2
    fid = pixels.Fid(Corner())
    fid.add(a[:300], b[:300])
    fid.add(a[300:], b[300:])
    x, y = ((z[:, :2, 0, 0] * 255).round().double() for z in (a, b))
    s, t = torch.cov(x.T), torch.cov(y.T)
    root = torch.linalg.eigvals(s @ t).sqrt().sum().real
    expected = (x.mean(0) - y.mean(0)).square().sum() + s.trace() + t.trace() - 2 * root
    assert fid.value() == pytest.approx(float(expected), rel=1e-3)


def test_both_definitions_of_akd() -> None:
    track = faces(3)
    moved = track + np.array([3, 4], np.float32)
    moved[2] = np.nan  # a lost face is not counted here
    tracks = Tracks(moved, track, LINE, side=128)
    assert landmarks.akd(tracks) == 7.0  # in pixels at 256
    assert landmarks.akd_euclidean(tracks) == 10.0
    assert landmarks.lost(tracks) == pytest.approx(1 / 3)


def test_steady_motion_has_no_jitter_and_shaking_has_what_it_shakes() -> None:
    steady = faces(12) + np.arange(12, dtype=np.float32)[:, None, None]
    assert landmarks.jitter(steady, LINE) == pytest.approx(0, abs=1e-6)
    shaking = faces(12)
    shaking[::2] += np.array([0.5, 0], np.float32)  # second difference 2 * 0.5, eyes 10 apart
    assert landmarks.jitter(shaking, LINE) == pytest.approx(0.1)
    assert landmarks.jitter(faces(2), LINE) is None


def test_a_mouth_is_compared_over_time() -> None:
    course = np.sin(np.arange(20)) + 1
    target, result = faces(20, course), faces(20, 2 * course + 1)
    tracks = Tracks(result, target, LINE, 256)
    assert landmarks.mouth_r(tracks) == pytest.approx(1)
    assert landmarks.eyes_r(tracks) is None  # the driver's never move
    assert landmarks.mouth_r(Tracks(faces(20), target, LINE, 256)) == 0
    assert landmarks.mouth_opening(target, LINE) == pytest.approx(course / 10, abs=1e-6)
    assert landmarks.eye_opening(target, LINE) == pytest.approx(np.full(20, 0.5))


def test_likeness_is_cosine_and_distance() -> None:
    photo, ours = np.array([1.0, 0.0]), np.array([[1.0, 0.0], [0.0, 1.0]])
    assert landmarks.csim(ours, photo) == pytest.approx(0.5)
    assert landmarks.recognised(ours, photo) == 0.5
    assert landmarks.aed(ours, ours[::-1]) == pytest.approx(2**0.5)
