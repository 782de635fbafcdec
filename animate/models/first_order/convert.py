"""Convert published first-order checkpoints to arguments and tensors of this toolkit's models."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import normalize

from animate.models.contract import Converted
from animate.models.first_order.blocks import widths
from animate.models.first_order.discriminator import Discriminator
from animate.models.first_order.model import FirstOrder

State = dict[str, Tensor]
PARTS = ("generator", "kp_detector")  # keys of the file that make a FirstOrder


def convert(content: Mapping[str, Any], *, align_corners: bool = True) -> list[Converted]:
    """Convert the models in a published first-order file, such as `vox-cpk.pth.tar`.

    Accepts full files and those reduced to generator and keypoint detector, in new and old torch
    formats, with or without the prefix `module.`; the layout is read from the shapes.
    `align_corners` is how the weights were trained to sample: True for the published files (torch
    1.0). Raises KeyError, IndexError, AttributeError or RuntimeError for other files.
    """
    arguments, state = first_order(content)
    models = [Converted("first_order", {**arguments, "align_corners": align_corners}, state)]
    parts = discriminator(content)
    return models if parts is None else [*models, Converted("discriminator", *parts)]


def first_order(content: Mapping[str, Any]) -> tuple[dict[str, Any], State]:
    """Constructor arguments and state of a FirstOrder from the file's `PARTS`.

    Raises KeyError if a part, or a tensor that determines the layout, is missing.
    """
    state = {f"{p}.{n}": t for p in PARTS for n, t in _plain(content[p]).items()}
    heat, frames = (state[f"kp_detector.{head}.weight"] for head in ("kp", "jacobian"))
    arguments = {
        "keypoints": len(heat),
        "shared_jacobian": len(frames) == 4 and len(heat) > 1,
        "residuals": _count(state, "generator.bottleneck.r{}.conv1.weight"),
        **_scales(state, "", "downs", "generator.", state["generator.first.conv.weight"]),
    }
    for prefix, hourglass in (
        ("detector_", "kp_detector.predictor."),
        ("motion_", "generator.dense_motion_network.hourglass."),
    ):
        levels = _count(state, hourglass + "decoder.up_blocks.{}.conv.weight")
        top = state[f"{hourglass}decoder.up_blocks.{levels - 1}.conv.weight"]
        arguments |= _scales(state, prefix, f"{prefix}levels", f"{hourglass}encoder.", top)
    return _without_defaults(arguments, FirstOrder), state


def discriminator(content: Mapping[str, Any]) -> tuple[dict[str, Any], State] | None:
    """Constructor arguments and state of a Discriminator; None if the file has none."""
    state = _plain(content.get("discriminator") or {})
    if not state:
        return None
    spectral = any(name.endswith(".weight_u") for name in state)
    for name in [name for name in state if name.endswith(".weight_u")]:
        _complete_spectral(state, name.removesuffix("_u"))
    scales = sorted({name.split(".")[1] for name in state}, reverse=True)
    first = "discs.{}.down_blocks.{{}}.conv.{}".format(
        scales[0], "weight_orig" * spectral or "weight"
    )
    levels = _count(state, first)
    weights = [state[first.format(level)] for level in range(levels)]
    width, inputs = len(weights[0]) // 2, weights[0].shape[1]
    arguments = {
        "scales": tuple(float(scale.replace("-", ".")) for scale in scales),
        "width": width,
        "levels": levels,
        "spectral": spectral,
        "conditioned": inputs > 3,
        **({"keypoints": inputs - 3} if inputs > 3 else {}),
    }
    if len(weights[-1]) < width << levels:
        arguments["limit"] = len(weights[-1])
    return _without_defaults(arguments, Discriminator), state


def _plain(state: Mapping[str, Any]) -> State:
    """Tensors without the prefix of DataParallel; floats as float32."""
    tensors = {n.removeprefix("module."): t for n, t in state.items() if isinstance(t, Tensor)}
    return {n: t.float() if t.is_floating_point() else t for n, t in tensors.items()}


def _count(state: State, pattern: str) -> int:
    """Number of levels whose name, numbered by `pattern`, is in the state."""
    level = 0
    while pattern.format(level) in state:
        level += 1
    return level


def _scales(state: State, prefix: str, key: str, down: str, top: Tensor) -> dict[str, Any]:
    """Read width, limit and number of levels from the numbers of channels."""
    pattern = down + "down_blocks.{}.conv.weight"
    levels, width = _count(state, pattern), len(top)
    scales = {f"{prefix}width": width, key: levels}
    deepest = len(state[pattern.format(levels - 1)])
    default = signature(FirstOrder).parameters[f"{prefix}limit"].default
    if deepest != widths(width, default, levels)[-1]:
        scales[f"{prefix}limit"] = deepest
    return scales


def _complete_spectral(state: State, weight: str) -> None:
    """Complete spectral norm in files of early torch: drop the normalised weight and compute the
    missing right singular vector by a power iteration (Miyato et al. 2018, algorithm 1)."""
    state.pop(weight, None)
    if f"{weight}_v" not in state:
        matrix = state[f"{weight}_orig"].flatten(1)
        state[f"{weight}_v"] = normalize(matrix.T @ state[f"{weight}_u"], dim=0, eps=1e-12)


def _without_defaults(arguments: dict[str, Any], kind: type[nn.Module]) -> dict[str, Any]:
    parameters = signature(kind).parameters
    return {k: v for k, v in arguments.items() if v != parameters[k].default}
