"""One run as a function: same input same file, threads never show, the photo is encoded once."""

from __future__ import annotations

import copy
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import draw_face, draw_frames, needs_vnni

from animate import portrait
from animate.cli.terminal import Terminal
from animate.errors import AnimateError
from animate.inference.predictor import BATCH, Predictor
from animate.media import clips
from animate.models.first_order.model import FirstOrder
from animate.models.first_order_gated.model import FirstOrderGated
from animate.system.device import find_device, find_precision, quick_at_bfloat16, quick_at_int8


@pytest.fixture(scope="module")
def model() -> FirstOrderGated:
    """A model with random weights everywhere, so that every part of it shows in the picture."""
    torch.manual_seed(1)
    network = FirstOrderGated(size=128)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return network.eval()


PRECISIONS = ["float32", "bfloat16", pytest.param("int8", marks=needs_vnni)]


def frames(model: FirstOrderGated, threads: int, precision: str, **retarget: bool) -> Any:
    predictor = Predictor.of(copy.deepcopy(model), precision, threads)
    given = {"relative": True, "adapt_scale": True, **retarget}
    moved = predictor.frames(predictor.encode(draw_face(128)), iter(draw_frames(6)), None, **given)
    return np.stack(list(moved))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_number_of_threads_never_shows(model: FirstOrderGated, precision: str) -> None:
    """Neither that of batches at a time, nor torch's."""
    before = torch.get_num_threads()
    results = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            results.append(frames(model, count, precision))
    finally:
        torch.set_num_threads(before)
    assert results[0].shape == (6, 128, 128, 3)
    assert (results[0] == results[1]).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_frames_flow(model: FirstOrderGated, threads: int) -> None:
    """The first result is there when a few batches of driving frames were asked for."""
    asked = []

    def endless() -> Any:
        for i in range(1000):
            asked.append(i)
            yield draw_face(128)

    predictor = Predictor(model, torch.float32, threads)
    moved = predictor.frames(
        predictor.encode(draw_face(128)), endless(), None, relative=True, adapt_scale=True
    )
    assert next(moved).dtype == np.uint8
    assert len(asked) <= 2 * (threads + 1) * BATCH


def test_the_photo_is_encoded_once(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    encode = FirstOrder.encode
    monkeypatch.setattr(
        FirstOrder, "encode", lambda self, photo: calls.append(1) or encode(self, photo)
    )
    result = run(world, tmp_path / "out.mp4", threads=3)
    assert result.frames == 12
    assert calls == [1]


def run(world: Path, out: Path, **settings: Any) -> Any:
    usual = {"checkpoint": world / "tiny.safetensors"}
    return portrait(world / "photo.png", world / "clip.mp4", out, **(usual | settings))


def pictures(path: Path) -> list[bytes]:
    """The frames of a file; its signed manifest has a name of its own every time."""
    return [frame.tobytes() for frame in clips.open_clip(path).frames()]


def test_a_run_gives_the_same_pictures_again(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    one = run(world, tmp_path / "one.mp4", threads=1, end=0.25).path
    two = run(world, tmp_path / "two.mp4", threads=2, end=0.25).path
    assert pictures(one) == pictures(two)


def test_the_reference_frame_is_a_choice(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It matters to relative motion; absolute motion has none."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")

    def result(reference: int) -> list[bytes]:
        out = tmp_path / f"{reference}.mp4"
        gated = world / "gated.safetensors"  # the tiny one hardly moves anything
        return pictures(run(world, out, checkpoint=gated, reference=reference, end=0.25).path)

    assert result(0) != result(5)
    with pytest.raises(AnimateError, match=r"retarget\.reference does nothing"):
        run(world, tmp_path / "o.mp4", relative=False, reference=5)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_sees_the_time_left(
    terminal: bool, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr("sys.stderr", screen)
    run(world, tmp_path / "out.mp4", observer=Terminal())
    assert bool(re.search(r"12/12 \[\d\d:\d\d<00:00", screen.getvalue())) == terminal
    assert terminal or "%|" not in screen.getvalue()


def test_boxes_choose_the_faces(world: Path, tmp_path: Path) -> None:
    result = run(world, tmp_path / "o.mp4", box=[20, 20, 100, 120], clip_box=[10, 10, 100, 100])
    assert result.report.agrees


def test_a_checkpoint_of_another_model_is_noticed(world: Path, tmp_path: Path) -> None:
    with pytest.raises(AnimateError, match=r"use motion=first_order$"):
        run(world, tmp_path / "out.mp4", motion="first_order_gated")


def test_devices_and_precisions_have_names() -> None:
    assert find_device("cpu") == torch.device("cpu")
    assert find_precision("float32", torch.device("cpu")) is torch.float32
    assert find_precision("auto", torch.device("meta")) is torch.float32
    with pytest.raises(AnimateError, match="device"):
        find_device("cuda:99")
    with pytest.raises(AnimateError, match="precision"):
        find_precision("float8", torch.device("cpu"))
    with pytest.raises(AnimateError, match="another motion model"):
        find_precision("int8", torch.device("cpu"))


@pytest.mark.parametrize(
    ("able", "wanted"),
    [
        ({"avx512_vnni"}, torch.int8),
        ({"avx_vnni"}, torch.int8),
        ({"avx512_bf16", "avx512_vnni"}, torch.int8),
        ({"avx512_bf16"}, torch.bfloat16),
        ({"avx2"}, torch.float32),
    ],
)
def test_bytes_are_for_models_and_processors_that_have_them(
    monkeypatch: pytest.MonkeyPatch, able: set[str], wanted: torch.dtype
) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: dict.fromkeys(able, True), raising=False
    )
    if not quick_at_int8({"avx512_vnni": True}):
        pytest.skip("this torch has no products of bytes")
    assert find_precision("auto", cpu, supports_int8=True) is wanted
    assert find_precision("auto", cpu) is not torch.int8
    if wanted is torch.int8:
        assert find_precision("int8", cpu, supports_int8=True) is torch.int8
    else:
        with pytest.raises(AnimateError, match="VNNI"):
            find_precision("int8", cpu, supports_int8=True)


@pytest.mark.parametrize(
    ("name", "able", "wanted"),
    [
        ("AMD EPYC 9R14", {"avx512_bf16"}, True),
        ("Intel Xeon", {"avx512_bf16"}, True),
        ("Intel Xeon", {"avx512_bf16", "avx512_fp16", "amx_bf16"}, True),
        ("Intel Xeon", {"avx512_bf16", "avx512_fp16"}, False),  # a virtual machine's
        ("AMD EPYC", {"avx512_bf16", "avx512_fp16"}, True),
        ("Intel Core", {"avx2"}, False),
    ],
)
def test_bfloat16_is_for_processors_that_are_quick_at_it(
    name: str, able: set[str], wanted: bool
) -> None:
    assert quick_at_bfloat16({"cpu_name": name} | dict.fromkeys(able, True)) is wanted
