"""Blocks of the published network: what is computed in another order is the same."""

import pytest
import torch
from torch.nn import functional as F

from animate.models.first_order.blocks import WORTH_IT, doubled


@pytest.mark.parametrize("side", [WORTH_IT // 2, WORTH_IT])
def test_a_convolution_of_an_enlarged_map_is_the_same_by_fewer_products(side: int) -> None:
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 5, 3, padding=1).double()
    x = torch.randn(2, 3, side, side, dtype=torch.float64, requires_grad=True)
    plain, short = conv(F.interpolate(x, scale_factor=2, mode="nearest")), doubled(x, conv)
    torch.testing.assert_close(short, plain, rtol=0, atol=1e-12)
    weight = torch.randn_like(plain)
    inputs = (x, conv.weight, conv.bias)
    wanted = torch.autograd.grad((plain * weight).sum(), inputs)
    found = torch.autograd.grad((short * weight).sum(), inputs)
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)
