"""What is added from outside by one row of a table: a face detector, a container, a label preset.

Rows of other tables: a metric in test_evaluation.py, a layout of training data in test_stores.py, a
version of the mark in test_watermark.py, a motion model in test_third_model.py.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, draw_face, draw_frames
from PIL import Image
from test_payload import CLAIM, MARK

from animate.config import run_options
from animate.errors import AnimateError
from animate.faces import Face, clip_locator, photo_locator
from animate.faces.locators import DETECTORS
from animate.media import clips
from animate.options import Faces
from animate.publish import publish
from animate.publish.containers import STILLS, VIDEOS
from animate.verification.verify import verify


class Skin:
    """A toy detector: the one face is where the picture has the colour of drawn skin."""

    def __init__(self, weights: object) -> None:
        self.weights = weights

    def __call__(self, picture: np.ndarray) -> list[Face]:
        near = np.abs(picture.astype(int) - (220, 180, 150)).max(2) < 12
        if not near.any():
            return []
        rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
        top, left = float(rows[0]), float(columns[0])
        height, width = float(rows[-1]) - top, float(columns[-1]) - left
        places = [(0.3, 0.4), (0.7, 0.4), (0.5, 0.55), (0.35, 0.8), (0.65, 0.8)]
        marks = np.array([[left + x * width, top + y * height] for x, y in places])
        return [Face(left, top, width, height, 0.95, marks)]


@pytest.fixture
def configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the YAML files, to add to."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.setattr("animate.config.folder", lambda name: tmp_path / name)
    return tmp_path / "configs"


def test_a_detector_is_a_row_and_a_choice(configs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DETECTORS, "skin", f"{__name__}:Skin")
    auto = (configs / "faces/auto.yaml").read_text()
    (configs / "faces/skin.yaml").write_text(auto.replace("name: auto", "name: skin"))
    chosen = run_options(["faces=skin"]).faces
    photo = draw_face(160)
    box = photo_locator(chosen).locate(photo)
    assert 0.3 * 160 < box.left + box.side / 2 < 0.7 * 160
    frames = list(clip_locator(chosen).track(iter(draw_frames(3, 160)), Fraction(25)))
    assert all(frame.found for frame in frames)
    with pytest.raises(AnimateError, match="no face"):
        photo_locator(chosen).locate(np.zeros_like(photo))


def test_an_unknown_detector_is_refused_by_name() -> None:
    with pytest.raises(AnimateError, match=r"skin.*auto"):
        photo_locator(Faces(name="skin"))


@pytest.mark.parametrize("suffix", [".m4v", ".jfif"])
def test_a_container_is_a_row(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VIDEOS, ".m4v", replace(VIDEOS[".mp4"], fastest=20))
    monkeypatch.setitem(STILLS, ".jfif", STILLS[".jpg"])
    out, still = tmp_path / f"out{suffix}", suffix == ".jfif"
    frames = draw_frames(1 if still else 12, 96)
    rate = None if still else Fraction(40)
    publish(out, frames, mark=MARK, claim=CLAIM, rate=rate, label=None)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]  # the manifest is in it
    report = verify(out)
    assert report.verdict == "marked"
    assert report.claim == CLAIM
    if still:
        assert Image.open(out).format == "JPEG"
    else:
        assert clips.open_clip(out).rate == 20
    with pytest.raises(AnimateError, match=suffix):
        publish(tmp_path / "out.avi", frames, mark=MARK, claim=CLAIM, rate=rate, label=None)


def test_a_label_preset_is_a_file(configs: Path) -> None:
    (configs / "label/loud.yaml").write_text("defaults: [default]\n\ntext: MADE BY A MACHINE\n")
    label = run_options(["label=loud"]).visible_label
    assert label is not None
    assert label.text == "MADE BY A MACHINE"
