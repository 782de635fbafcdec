"""Looking inside: keypoints, deformation, shares and results as one marked picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Recorder, tiny
from PIL import Image

from animate.cli import main
from animate.cli.terminal import Terminal
from animate.errors import AnimateError
from animate.inference.inspect import SIDE, deformed, inspect, shares
from animate.models.geometry import grid


def test_the_picture_has_a_row_for_each_frame_and_its_observer_sees_warnings_and_progress(
    world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen = Recorder()
    for name in ("note", "watch"):
        monkeypatch.setattr(Terminal, name, getattr(seen, name))
    photo = np.asarray(Image.open(world / "photo.png").convert("RGB"))
    Image.fromarray(np.hstack([photo, photo])).save(tmp_path / "pair.png")
    out = tmp_path / "look.png"
    files = [str(tmp_path / "pair.png"), str(world / "clip.mp4"), "-o", str(out)]
    assert main(["inspect", *files, "--frames", "2", *tiny(world), "clip.end=0.2"]) == 0
    assert "verified: marked" in capsys.readouterr().out
    assert any("2 faces" in line for line in seen.notes)
    assert seen.watched == [("frame", 6, 6)]
    width, height = Image.open(out).size
    assert width == 6 * SIDE
    assert 2 * SIDE < height < 3 * SIDE


def test_no_motion_deforms_nothing() -> None:
    square = deformed(np.zeros((64, 64, 3), np.uint8), grid(64, 64).numpy())
    red = square[..., 0] > square[..., 1]
    assert red[2].sum() == red[:, 2].sum() == 17
    moved = deformed(np.zeros((64, 64, 3), np.uint8), (grid(64, 64) * 0.5).numpy())
    assert (moved != square).any()


def test_shares_are_grey_levels() -> None:
    assert shares(np.ones((8, 8), np.float32)).min() == 255
    assert not shares(np.zeros((8, 8), np.float32)).any()


def test_a_number_of_frames_that_is_none_is_refused(world: Path, tmp_path: Path) -> None:
    with pytest.raises(AnimateError, match="1 to 32"):
        inspect(world / "photo.png", world / "clip.mp4", tmp_path / "o.png", frames=0)


@pytest.mark.parametrize("name", ["first_order", "first_order_gated"])
def test_models_explain_what_they_render(name: str) -> None:
    from animate import models

    torch.manual_seed(0)
    model = models.build(name, size=128).eval()
    photo = torch.rand(1, 3, 128, 128)
    with torch.inference_mode():
        source = model.encode(photo)
        seen = model.explain(source, model.track(photo))
    assert seen.flow.shape[-1] == 2
    assert seen.share.shape[:2] == (1, 1)
    assert 0 <= seen.share.min() <= seen.share.max() <= 1
