"""Points, grids, warps and fits, with one coordinate convention for the whole toolkit.

Points are (x, y) in [-1, 1] with the centres of the corner pixels at -1 and 1
(`align_corners=True`). A flow is a grid of such points: where each pixel of the result comes from
in the source.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

P = ParamSpec("P")
R = TypeVar("R")


def exact(function: Callable[P, R]) -> Callable[P, R]:
    """Disable autocast in a function: points need more than the 8 bits of bfloat16."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        device = next(a.device.type for a in args if isinstance(a, Tensor))
        with torch.autocast(device, enabled=False):
            return function(*args, **kwargs)

    return run


def precise(x: Tensor) -> Tensor:
    """Cast to at least float32; under autocast, maps come out in half precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def grid(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """The identity flow, (H, W, 2): the (x, y) of each pixel centre."""
    y = torch.linspace(-1, 1, height, device=device)
    x = torch.linspace(-1, 1, width, device=device)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)


def warp(image: Tensor, flow: Tensor, padding: str = "zeros", align_corners: bool = True) -> Tensor:
    """Sample an image (B, C, H, W) bilinearly at a flow (B, h, w, 2): (B, C, h, w)."""
    return F.grid_sample(
        image, flow.to(image.dtype), padding_mode=padding, align_corners=align_corners
    )


def resize_flow(flow: Tensor, height: int, width: int) -> Tensor:
    """Bilinear resize of a flow (B, h, w, 2) to (B, H, W, 2)."""
    if flow.shape[1:3] == (height, width):
        return flow
    planes = flow.permute(0, 3, 1, 2).contiguous()  # two interleaved channels are slow to resize
    planes = F.interpolate(planes, (height, width), mode="bilinear", align_corners=True)
    return planes.permute(0, 2, 3, 1)


def move(image: Tensor, flow: Tensor) -> Tensor:
    """Warp (1 or B, C, H, W) by a flow of any side; places outside repeat the border."""
    flow = resize_flow(flow, *image.shape[2:])
    count, channels = image.shape[:2]
    if count == 1 and channels >= 32 and image.device.type == "cpu" and not torch.is_grad_enabled():
        return look_up(image, flow)
    return warp(image.expand(len(flow), -1, -1, -1), flow, padding="border")


@exact
def look_up(image: Tensor, flow: Tensor) -> Tensor:
    """`warp` of one image (1, C, H, W) with border padding: (B, C, h, w), channels last.

    Each pixel is a weighted sum of four rows of a table with one row of channels per pixel. With
    many channels that is several times as fast on a CPU as `grid_sample`. No gradients.
    """
    (height, width), (count, h, w) = image.shape[2:], flow.shape[:3]
    x, y = (
        ((z.flatten().nan_to_num() + 1) * ((side - 1) / 2)).clamp(0, side - 1)
        for z, side in zip(flow.float().unbind(-1), (width, height), strict=True)
    )
    left, top = x.floor().clamp(max=width - 2), y.floor().clamp(max=height - 2)
    right, down = x - left, y - top
    both = right * down
    shares = torch.stack([1 - right - down + both, right - both, down - both, both], 1)
    steps = torch.tensor([0, 1, width, width + 1], dtype=torch.int32, device=image.device)
    rows = torch.add(left, top, alpha=width).int()[:, None] + steps  # (B*h*w, 4)
    table = image[0].permute(1, 2, 0).reshape(height * width, -1).float().contiguous()
    sampled = F.embedding_bag(rows, table, per_sample_weights=shares, mode="sum")
    return sampled.view(count, h, w, -1).permute(0, 3, 1, 2)


@exact
def gaussians(point: Tensor, height: int, width: int, variance: float) -> Tensor:
    """exp(-|z - p|^2 / (2 variance)) for points (B, K, 2) over a grid: (B, K, H, W)."""
    y = torch.linspace(-1, 1, height, device=point.device)[:, None]
    x = torch.linspace(-1, 1, width, device=point.device)[:, None]
    # at least e^-60 in total: subnormal numbers make convolutions several times slower
    gy = (-0.5 / variance * (y - point[:, None, :, 1]) ** 2).clamp(min=-30).exp()  # (B, H, K)
    gx = (-0.5 / variance * (x - point[:, None, :, 0]) ** 2).clamp(min=-30).exp()  # separable
    return (gy[:, :, None] * gx[:, None]).permute(0, 3, 1, 2)  # channels last, for convolutions


@exact
def inside(polygon: Tensor, height: int, width: int) -> Tensor:
    """Mask (B, H, W): 1 where a grid point lies in the closed polygon (B, n, 2), else 0.

    From inside, a ray to the right crosses the edges an odd number of times (Shimrat 1962).
    """
    y = torch.linspace(-1, 1, height, device=polygon.device)
    x = torch.linspace(-1, 1, width, device=polygon.device)
    result = polygon.new_zeros(len(polygon), height, width)
    rows, columns = slice(0, height), slice(0, width)
    if polygon.device.type == "cpu" and not torch.is_grad_enabled():
        rows, columns = bounds(polygon, height, width)  # elsewhere nothing is inside
    y, x = y[rows], x[columns]
    a, b = polygon[..., None, :], polygon.roll(-1, 1)[..., None, :]
    straddles = (a[..., 1] > y) != (b[..., 1] > y)  # (B, n, H)
    slope = (b[..., 0] - a[..., 0]) / (b[..., 1] - a[..., 1] + 1e-9)
    at = torch.where(straddles, a[..., 0] + slope * (y - a[..., 1]), -torch.inf)
    crossed = x < at[..., None]  # (B, n, H, W)
    result[:, rows, columns] = (crossed.sum(1, dtype=torch.uint8) % 2).to(result.dtype)
    return result


def bounds(point: Tensor, height: int, width: int, margin: int = 1) -> tuple[slice, slice]:
    """Rows and columns that hold all points (..., 2) and `margin` pixels around; at least one."""
    at = (point.flatten(0, -2).nan_to_num().clamp(-1, 1) + 1) / 2
    slices = []
    for low, high, size in zip(*at.aminmax(dim=0), (width, height), strict=True):
        first, last = int(low * (size - 1)), int(high * (size - 1)) + 1
        slices.append(slice(max(0, first - margin), min(size, last + margin + 1)))
    columns, rows = slices
    return rows, columns


def expectation(probability: Tensor) -> Tensor:
    """Mean point of maps (B, K, H, W) that each sum to one: (B, K, 2)."""
    return moments(probability)[0]


@exact
def moments(probability: Tensor) -> tuple[Tensor, Tensor]:
    """Mean points (B, K, 2) of maps (B, K, H, W) that each sum to one, and their spread (B, K).

    The spread is the standard deviation: the root of the sum of the variances in x and y.
    """
    height, width = probability.shape[-2:]
    y = torch.linspace(-1, 1, height, device=probability.device, dtype=probability.dtype)
    x = torch.linspace(-1, 1, width, device=probability.device, dtype=probability.dtype)
    across, down = probability.sum(-2), probability.sum(-1)
    mean = torch.stack([across @ x, down @ y], -1)
    square = across @ x.square() + down @ y.square()
    return mean, (square - mean.square().sum(-1)).clamp(min=0).sqrt()


@exact
def inverse_2x2(matrix: Tensor) -> Tensor:
    """Closed-form inverse of (..., 2, 2)."""
    a, b, c, d = matrix.flatten(-2).unbind(-1)
    adjugate = torch.stack([d, -b, -c, a], -1).unflatten(-1, (2, 2))
    return adjugate / (a * d - b * c)[..., None, None]


@exact
def fit_affine(
    at: Tensor, to: Tensor, weight: Tensor, ridge: float = 1e-4
) -> tuple[Tensor, Tensor, Tensor]:
    """Fit affine maps between point sets by weighted least squares (Schaefer et al. 2006, eq. 5).

    at, to (B, k, 2); weight (B, n, k) holds n weightings of the k pairs. Returns n matrices A
    (B, n, 2, 2) and the centroids of `at` and `to` (B, n, 2) of the maps z -> to + A (z - at). The
    ridge draws A towards the identity where the points don't determine it.
    """
    weight = weight / weight.sum(-1, keepdim=True)
    centre, home = weight @ at, weight @ to  # (B, n, 2)
    p = at[:, None] - centre[:, :, None]  # (B, n, k, 2)
    q = to[:, None] - home[:, :, None]
    ridge_eye = ridge * torch.eye(2, device=at.device)
    pp = (p * weight[..., None]).mT @ p + ridge_eye
    qp = (q * weight[..., None]).mT @ p + ridge_eye
    return qp @ inverse_2x2(pp), centre, home


@exact
def fit_similarity(at: Tensor, to: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Fit rotation and scale between point sets (B, k, 2) by least squares (Umeyama 1991).

    Returns the matrix (B, 2, 2) and the centroids of `at` and `to` (B, 1, 2).
    """
    centre, home = at.mean(-2, keepdim=True), to.mean(-2, keepdim=True)
    p, q = at - centre, to - home
    a = (p * q).sum((-1, -2))
    b = (p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]).sum(-1)
    matrix = torch.stack([a, -b, b, a], -1).unflatten(-1, (2, 2))
    return matrix / p.square().sum((-1, -2)).clamp(min=1e-9)[:, None, None], centre, home


class ThinPlateSpline:
    """Random smooth deformations T(z) = A z + b + sum_i w_i U(|z - c_i|), U(r) = r^2 log r^2.

    One per image; the control points c_i form a square lattice over [-1, 1]^2 (Duchon 1977).
    `affine` is the standard deviation of A from the identity and of b, `bend` that of the weights.
    """

    def __init__(
        self,
        count: int,
        generator: torch.Generator,
        affine: float = 0.05,
        bend: float = 0.005,
        lattice: int = 5,
    ) -> None:
        def noise(*shape: int) -> Tensor:
            return torch.randn(count, *shape, generator=generator)

        self.matrix = torch.eye(2) + affine * noise(2, 2)
        self.shift = affine * noise(1, 2)
        self.centres = grid(lattice, lattice).view(-1, 2)
        self.weights = bend * noise(len(self.centres), 2)

    def to(self, device: torch.device) -> ThinPlateSpline:
        for name in ("matrix", "shift", "centres", "weights"):
            setattr(self, name, getattr(self, name).to(device))
        return self

    def rows(self, rows: slice) -> ThinPlateSpline:
        """Keep only the deformations of some images, in place."""
        for name in ("matrix", "shift", "weights"):
            setattr(self, name, getattr(self, name)[rows])
        return self

    @exact
    def points(self, z: Tensor) -> Tensor:
        """Apply T to points (B, n, 2)."""
        r2 = torch.cdist(z, self.centres.expand(len(z), -1, -1)).square()  # (B, n, c)
        return z @ self.matrix.mT + self.shift + (r2 * torch.log(r2 + 1e-6)) @ self.weights

    @exact
    def jacobian(self, z: Tensor) -> Tensor:
        """dT/dz at points (B, n, 2), in closed form: (B, n, 2, 2)."""
        offset = z[:, :, None] - self.centres  # (B, n, c, 2)
        r2 = offset.square().sum(-1, keepdim=True)
        slope = 2 * offset * (torch.log(r2 + 1e-6) + r2 / (r2 + 1e-6))  # dU/dz
        return self.matrix[:, None] + torch.einsum("bci,bncj->bnij", self.weights, slope)

    @exact
    def warp(self, image: Tensor) -> Tensor:
        """The image Y(z) = X(T(z)), with X mirrored at its border.

        T is smooth: computing it at every fourth pixel is enough.
        """
        height, width = (side // 4 for side in image.shape[-2:])
        z = grid(height, width, image.device).view(1, -1, 2).expand(len(image), -1, -1)
        flow = resize_flow(self.points(z).view(-1, height, width, 2), *image.shape[-2:])
        return warp(image, flow, padding="reflection")


def shape_distance(own: Tensor, point: Tensor) -> Tensor:
    """RMS distance (T,) of points (T, K, 2) from one set (1, K, 2) after the best similarity.

    In the points' units.
    """
    matrix, centre, middle = fit_similarity(point, own.expand_as(point))
    return (middle + (point - centre) @ matrix.mT - own).square().sum(-1).mean(-1).sqrt()


@exact
def outline_distance(own: Tensor, point: Tensor, reach: float, turned: float) -> Tensor:
    """RMS distance (T,) that the outline of points (T, K, 2) moved from one set (1, K, 2).

    The outline lies `reach` times as far from the middle as the points: their shift moves it alike,
    roll and growth `reach` times as far. What is left, a turn, counts `turned` times. In the units
    of the points.
    """
    matrix, centre, home = fit_similarity(own, point)
    start = own - centre
    similar = start @ matrix.mT
    shift, swing, turn = home - centre, similar - start, point - home - similar
    parts = torch.stack([shift.expand_as(turn), reach * swing, turned * turn])
    return parts.square().sum(-1).mean(-1).sum(0).sqrt()


def between_knots(at: Tensor, height: Tensor, x: Tensor) -> Tensor:
    """Heights at x (B, n) of C lines through k knots each, `at` and `height` (B, C, k): (B, C, n).

    Beyond the first and the last knot a line goes on level.
    """
    x = x[:, None].expand(-1, at.shape[1], -1)
    piece = (x[..., None] >= at[:, :, None, 1:-1]).sum(-1)
    x0, x1 = at.gather(2, piece), at.gather(2, piece + 1)
    y0, y1 = height.gather(2, piece), height.gather(2, piece + 1)
    return y0 + (y1 - y0) * ((x - x0) / (x1 - x0).clamp(min=1e-3)).clamp(0, 1)
