"""Who is seen: several faces, tiles, comparisons, a video's person; each through one run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import draw_face, draw_frames, write_clip
from PIL import Image

from animate import checkpoints, portrait
from animate.errors import AnimateError
from animate.inference.compose import on_video
from animate.inference.driver import open_driver
from animate.inference.heads import FREE, FULL
from animate.inference.pictures import shrunk, side_by_side, tiled
from animate.inference.predictor import Predictor
from animate.inference.stats import DriverStats
from animate.media import clips
from animate.options import Options, Paste, Retarget
from animate.system.observer import Notes


@pytest.fixture(scope="module")
def stalls(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pair.png with two faces, other.mp4 and source.mp4 beside the world's files."""
    folder = tmp_path_factory.mktemp("stalls")
    picture = np.full((220, 420, 3), 90, np.uint8)
    picture[10:210, 5:205] = draw_face(200)
    picture[30:210, 220:400] = draw_face(180)
    Image.fromarray(picture).save(folder / "pair.png")
    write_clip(folder / "other.mp4", draw_frames(6), "25")
    write_clip(folder / "source.mp4", draw_frames(6, 160), "25", sound=True)
    return folder


def frames(path: Path) -> np.ndarray:
    return np.stack(list(clips.open_clip(path).frames()))


def run(world: Path, photo: Any, clip: Any, out: Path, **settings: Any) -> Any:
    usual = {"checkpoint": world / "tiny.safetensors", "end": 0.2}
    return portrait(photo, clip, out, **(usual | settings))


def test_a_face_returns_into_its_photo(world: Path, tmp_path: Path, stalls: Path) -> None:
    run(world, stalls / "pair.png", world / "clip.mp4", tmp_path / "o.mp4", strength=2.37)
    shown = frames(tmp_path / "o.mp4").astype(int)
    photo = np.asarray(Image.open(stalls / "pair.png")).astype(int)
    assert shown.shape[1:] == photo.shape
    still = np.abs(shown - photo)[:, :, 225:].mean()  # the face that is not moved, and the mark
    assert still < 6


def test_all_faces_move_by_one_driver_or_each_by_its_own(
    world: Path, tmp_path: Path, stalls: Path
) -> None:
    one, two = world / "clip.mp4", stalls / "other.mp4"
    assert run(world, stalls / "pair.png", one, tmp_path / "a.mp4", which="all").frames == 6
    both = run(world, stalls / "pair.png", [one, two], tmp_path / "b.mp4", which="all")
    assert both.frames == 6
    with pytest.raises(AnimateError, match="3 drivers for 2 faces"):
        run(world, stalls / "pair.png", [one, two, two], tmp_path / "c.mp4", which="all")


def test_several_photos_move_in_step_as_tiles(world: Path, tmp_path: Path, stalls: Path) -> None:
    photos = [world / "photo.png", stalls / "pair.png", world / "photo.png"]
    done = run(world, photos, world / "clip.mp4", tmp_path / "o.mp4")
    shown = frames(done.path)
    assert shown.shape[1:] == (256 + 36, 256, 3)
    assert np.abs(shown[:, :128, :128].astype(int) - shown[:, 128:256, :128]).mean() < 8
    assert shown[:, 256:, :60].max() < 40  # the label's strip
    assert clips.open_clip(done.path).sound


def test_a_comparison_shows_photo_driver_and_result(
    world: Path, tmp_path: Path, stalls: Path
) -> None:
    out = tmp_path / "o.mp4"
    run(world, world / "photo.png", world / "clip.mp4", out, compare="keypoints")
    shown = frames(out)
    assert shown.shape[2:] == (3 * 256 + 2 * 4, 3)
    assert shown[:, 256:, :60].max() < 40  # the label's strip
    for photo, more in ((stalls / "pair.png", {"which": "all"}), (stalls / "source.mp4", {})):
        with pytest.raises(AnimateError, match="one face"):
            run(world, photo, world / "clip.mp4", tmp_path / "q.mp4", compare="plain", **more)
    with pytest.raises(AnimateError, match="no picture of the driver"):
        run(world, world / "photo.png", world / "clip.mp4", tmp_path / "p.mp4",
            compare="plain", pingpong=True)  # fmt: skip


def test_a_videos_person_moves_at_the_videos_rate(
    world: Path, tmp_path: Path, stalls: Path
) -> None:
    still = {"head": 0, "checkpoint": world / "gated.safetensors"}
    done = run(world, stalls / "source.mp4", world / "clip.mp4", tmp_path / "o.mp4", **still)
    made = clips.open_clip(done.path)
    assert (made.rate, made.width, made.height) == (25, 160, 160)
    assert 5 <= done.frames <= 6
    assert made.sound


def test_a_videos_person_keeps_the_movement_of_her_head(
    world: Path, tmp_path: Path, stalls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []

    def watched(*given: Any) -> Any:
        options = given[3]
        kept.append(options.retarget.of_video(True).keeps_head)
        return on_video(*given)

    monkeypatch.setattr("animate.inference.compose.on_video", watched)
    for number, how in enumerate([{}, {"head": 1}, {"relative": False}]):
        out = tmp_path / f"{number}.mp4"
        run(world, stalls / "source.mp4", world / "clip.mp4", out, **how)
    assert kept == [True, False, False]
    with pytest.raises(AnimateError, match=r"retarget\.head is still"):
        run(world, world / "photo.png", world / "clip.mp4", tmp_path / "d.mp4", head="still")


@pytest.mark.parametrize("away", [0.02, 0.7])
def test_a_head_is_not_shown_far_from_its_neck(
    world: Path, stalls: Path, monkeypatch: pytest.MonkeyPatch, away: float
) -> None:
    predictor = Predictor.of(checkpoints.load(world / "gated.safetensors")[0])
    options, stats, shown = Options().changed(head=1.0, end=0.2), DriverStats(), []
    retarget = Predictor.retarget

    def further(self: Predictor, source: Any, motion: Any, first: Any, how: Retarget) -> Any:
        moved = retarget(self, source, motion, first, how)
        if how.keeps_head:
            return moved
        view = torch.zeros_like(moved.view)  # of another frame
        return replace(moved, point=moved.point + torch.tensor([away, 0]), view=view)

    def render(self: Predictor, source: Any, motion: Any) -> np.ndarray:
        shown.append(motion)
        return np.zeros((2, self.model.size, self.model.size, 3), np.uint8)

    monkeypatch.setattr(Predictor, "retarget", further)
    monkeypatch.setattr(Predictor, "doubts", lambda self, motion: [0.0] * len(motion))
    monkeypatch.setattr(Predictor, "render", render)
    clip = clips.open_clip(stalls / "source.mp4")
    driver = open_driver(world / "clip.mp4", options)
    count = len(list(on_video(predictor, clip, driver, options.changed(paste="crop"), stats)))
    for motion in shown:
        assert predictor.head_distance(motion[:1], motion[1:]) < FULL
        assert torch.equal(motion.view[0], motion.view[1])  # what is around her stays
    assert (count, stats.held) == (len(shown), count * (away > FREE))
    assert any("limited head movement" in line for line in stats.words()) == (away > FREE)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_clip_that_lies_moves_as_one_that_stands(world: Path, tmp_path: Path, turns: int) -> None:
    predictor = Predictor.of(checkpoints.load(world / "gated.safetensors")[0])
    for name, k in (("stands", 0), ("lies", turns)):
        (tmp_path / name).mkdir()
        for index, frame in enumerate(draw_frames(4)):
            Image.fromarray(np.rot90(frame, k).copy()).save(tmp_path / name / f"{index}.png")
    one, other = (open_driver(tmp_path / n) for n in ("stands", "lies"))
    assert (one.stats.turns, other.stats.turns) == (0, -turns % 4)
    assert any("turned upright" in line for line in other.stats.words())
    pairs = list(zip(one.poses(predictor), other.poses(predictor), strict=True))
    assert all(torch.equal(a.motion.point, b.motion.point) for a, b in pairs)
    still = open_driver(tmp_path / "lies" / "0.png")
    assert torch.equal(next(still.poses(predictor)).motion.point, pairs[0][0].motion.point)
    clip = clips.open_clip(tmp_path / "stands")
    upright, turned = (
        list(
            on_video(predictor, clip, one, Options().changed(head=1.0, paste="crop"), DriverStats())
        )
        for clip in (clip, clips.open_clip(tmp_path / "lies").turned(-turns))
    )
    for a, b in zip(upright, turned, strict=True):
        assert np.array_equal(np.rot90(a, turns), b)


def test_a_picture_moves_a_picture(world: Path, tmp_path: Path) -> None:
    done = run(world, world / "photo.png", world / "photo.png", tmp_path / "o.png", end=None)
    assert done.report.agrees
    with pytest.raises(AnimateError, match="still"):
        run(world, world / "photo.png", world / "photo.png", tmp_path / "o.mp4", end=None)


def test_regions_are_amplified_where_the_model_knows_them(world: Path, tmp_path: Path) -> None:
    with pytest.raises(AnimateError, match=r"relative=true"):
        run(world, world / "photo.png", world / "clip.mp4", tmp_path / "o.mp4",
            mouth=2.0, relative=False)  # fmt: skip


def test_what_will_look_bad_is_said_before(world: Path, tmp_path: Path, stalls: Path) -> None:
    told = Notes()
    run(world, stalls / "pair.png", world / "clip.mp4", tmp_path / "o.mp4", observer=told)
    assert any("2 faces" in line for line in told.notes)


def test_tiles_panels_and_sizes() -> None:
    tile = np.zeros((4, 4, 3), np.uint8)
    assert tiled([tile] * 3, 2).shape == (8, 8, 3)
    assert tiled([tile] * 3, 2)[6, 6, 0] == 255
    assert side_by_side([tile, tile]).shape == (4, 12, 3)
    assert shrunk(np.zeros((1000, 2000, 3), np.uint8), 500).shape == (250, 500, 3)
    assert shrunk(tile, None) is tile
    with pytest.raises(AnimateError, match=r"paste\.size"):
        Paste(size=20)
