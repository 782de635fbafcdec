"""Image metrics of (B, 3, S, S) floats in [0, 1]: one number for each image, or one for all."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from animate.errors import AnimateError
from animate.evaluation.faces import Missing

SMALLEST = 161  # pixels: least side for five scales of an 11 pixel window


@dataclass(frozen=True)
class Setup:
    """What a metric is made from: the side of the frames, and weights that the user provides."""

    size: int  # pixels
    lpips: Path | None = None  # AlexNet
    inception: Path | None = None


def l1(result: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error, (B,)."""
    return (result - target).abs().mean((1, 2, 3))


def psnr(result: Tensor, target: Tensor) -> Tensor:
    """PSNR in dB, at most 100, (B,)."""
    squared = (result - target).square().mean((1, 2, 3)).clamp(min=1e-10)
    return -10 * squared.log10()


def ssim(result: Tensor, target: Tensor) -> Tensor:
    """SSIM (Wang et al. 2004), (B,): 11 pixel Gaussian window, deviation 1.5, mean over colours."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    value = structural_similarity_index_measure(result, target, data_range=1.0, reduction="none")
    return torch.as_tensor(value).view(-1)


def ms_ssim(result: Tensor, target: Tensor) -> Tensor:
    """MS-SSIM (Wang et al. 2003), (B,): five scales, for SMALLEST pixels a side or more."""
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    value = multiscale_structural_similarity_index_measure(
        result, target, data_range=1.0, reduction="none"
    )
    return torch.as_tensor(value).view(-1)


class Lpips(nn.Module):
    """LPIPS, the learned perceptual distance (Zhang et al. 2018), version 0.1 with AlexNet.

    alexnet: torchvision's alexnet-owt-7be5be79.pth, which the user provides. The linear weights
    come with torchmetrics. Images in [0, 1] are scaled to [-1, 1] as in the paper's code.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, alexnet: Path) -> None:
        super().__init__()
        taps = [(3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1)]
        taps += [(384, 256, 3, 1, 1), (256, 256, 3, 1, 1)]
        self.features = nn.ModuleDict(
            {str(i): nn.Conv2d(*tap) for i, tap in zip((0, 3, 6, 8, 10), taps, strict=True)}
        )
        self.linear = nn.ParameterList(torch.zeros(1, tap[1], 1, 1) for tap in taps)
        state = _read(alexnet)
        trunk = {k[9:]: v for k, v in state.items() if k.startswith("features.")}
        weights = torch.load(_lpips_weights(), weights_only=True, map_location="cpu")
        try:
            self.features.load_state_dict(trunk)
            for i, weight in enumerate(self.linear):
                weight.data.copy_(weights[f"lin{i}.model.1.weight"])
        except (RuntimeError, KeyError) as error:
            raise AnimateError(
                f"{alexnet} is not torchvision's AlexNet: give alexnet-owt-7be5be79.pth"
            ) from error
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def taps(self, image: Tensor) -> list[Tensor]:
        """Features of the five layers, normalised to unit length at every position."""
        x, layers = (2 * image - 1 - self.shift) / self.scale, []
        for i, conv in enumerate(self.features.values()):
            x = F.relu(conv(F.max_pool2d(x, 3, 2) if i in (1, 2) else x))
            layers.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-8))
        return layers

    def forward(self, result: Tensor, target: Tensor) -> Tensor:
        layers = zip(self.taps(result), self.taps(target), self.linear, strict=True)
        parts = [((a - b).square() * w).sum(1).mean((1, 2)) for a, b, w in layers]
        return torch.stack(parts).sum(0)


def load_lpips(setup: Setup) -> Lpips:
    """LPIPS with the user's AlexNet. Raises Missing without it."""
    if not setup.lpips:
        raise Missing("give AlexNet's weights: lpips=alexnet-owt-7be5be79.pth")
    return Lpips(Path(setup.lpips))


def _lpips_weights() -> Path:
    spec = importlib.util.find_spec("torchmetrics")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(next(iter(spec.submodule_search_locations)))
    return folder / "functional" / "image" / "lpips_models" / "alex.pth"


def _read(path: Path) -> dict[str, Tensor]:
    import pickle

    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise AnimateError(f"{path} holds no readable weights: check the path") from error


class Pool(Protocol):
    """A metric over the frames of all clips together."""

    def add(self, result: Tensor, target: Tensor) -> None: ...

    def value(self) -> float:
        """The value of the metric. Raises Missing if there can be none."""


class Fid:
    """FID: the Frechet distance between features of results and targets (Heusel et al. 2017).

    features: a network from uint8 (B, 3, S, S) to (B, `num_features`); see `inception`. Pictures
    are added in any number; torchmetrics keeps sums and computes the distance.
    """

    def __init__(self, features: nn.Module) -> None:
        from torchmetrics.image.fid import FrechetInceptionDistance

        self.metric = FrechetInceptionDistance(feature=features)
        self.count = 0  # pictures of each kind

    def add(self, result: Tensor, target: Tensor) -> None:
        self.count += len(result)
        for images, real in ((result, False), (target, True)):
            self.metric.update((images * 255).round().to(torch.uint8), real=real)

    def value(self) -> float:
        """The distance. Raises Missing for fewer than two pictures."""
        if self.count < 2:
            raise Missing("it needs at least two pictures")
        return float(self.metric.compute())


def load_fid(setup: Setup) -> Fid:
    """FID with the user's Inception weights. Raises Missing without them."""
    if not setup.inception:
        raise Missing("give inception=pt_inception-2015-12-05-6726825d.pth")
    return Fid(inception(Path(setup.inception)))


def inception(weights: Path) -> nn.Module:
    """The Inception network of the original FID, as rebuilt by torch-fidelity.

    weights: pt_inception-2015-12-05-6726825d.pth, which the user provides. Raises Missing without
    that package.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise Missing(
            f"FID needs torch-fidelity and torchvision ({error}): pip install both"
        ) from error
    _read(weights)  # refuses files with more than tensors, which torch-fidelity would unpickle

    class Features(nn.Module):
        num_features = 2048

        def __init__(self) -> None:
            super().__init__()
            self.net = FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights)
            )

        def forward(self, image: Tensor) -> Tensor:
            return self.net(image)[0]

    return Features()
