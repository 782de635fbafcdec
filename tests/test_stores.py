"""Frames are the same wherever they lie, and what can't be read is named or skipped and counted."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from animate.data import folders
from animate.data.drawn import drawn_clips
from animate.data.folders import Layout, identity_of
from animate.data.opening import masks, open_clips
from animate.data.pairs import Clips, choose
from animate.data.stores import Resident
from animate.errors import AnimateError
from animate.evaluation import protocol
from animate.options import Augment


def pack(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """A shard, written without the toolkit."""
    with tarfile.open(path, "w") as tar:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.save(data, array)
            member = tarfile.TarInfo(f"{name}.npy")
            member.size = len(data.getvalue())
            data.seek(0)
            tar.addfile(member, data)


@pytest.fixture(scope="module")
def drawn() -> Clips:
    return drawn_clips(people=3, frames=4, side=64)


@pytest.fixture(scope="module")
def pictures(drawn: Clips, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for name, frames in zip(drawn.names, drawn.frames, strict=True):
        (folder / name).mkdir()
        for t in range(len(frames)):
            Image.fromarray(np.array(frames[t])).save(folder / name / f"{t:07d}.png")
    return folder


def pixels(clips: Clips) -> torch.Tensor:
    return clips.draw(3, 64, np.random.default_rng(5)).source


def test_every_layout_draws_the_same_pairs(drawn: Clips, pictures: Path, tmp_path: Path) -> None:
    shards, videos = tmp_path / "shards", tmp_path / "videos"
    shards.mkdir()
    videos.mkdir()
    (tmp_path / "cache").mkdir()
    arrays = dict(zip(drawn.names, drawn.frames, strict=True))
    pack(shards / "0.tar", {k: arrays[k] for k in drawn.names[:2]})  # type: ignore[misc]
    pack(shards / "1.tar", {k: arrays[k] for k in drawn.names[2:]})  # type: ignore[misc]
    for name, frames in arrays.items():
        (videos / f"{name}.mp4").touch()
        np.save(tmp_path / "cache" / f"{name}.npy", frames)  # type: ignore[arg-type]
    wanted = pixels(drawn)
    assert torch.equal(pixels(open_clips(shards)), wanted)
    assert torch.equal(pixels(open_clips(pictures)), wanted)
    assert torch.equal(pixels(open_clips(videos, tmp_path / "cache")), wanted)
    drawn_again = Clips(drawn.names, drawn.frames)
    drawn_again.store = Resident(drawn.frames, "cpu")
    assert torch.equal(pixels(drawn_again), wanted)


def test_a_layout_added_in_one_place_serves_training_and_evaluation(
    drawn: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One .npy file a clip, mapped; and one .npz file of many, which training must decode."""

    def packed(path: Path) -> dict[str, Iterator[np.ndarray]]:
        return {name: iter(array) for name, array in np.load(path).items()}

    mapped = Layout(lambda p: p.suffix == ".npy", lambda p: {p.stem: np.load(p, mmap_mode="r")})
    monkeypatch.setattr(
        folders,
        "LAYOUTS",
        [mapped, Layout(lambda p: p.name == "more.npz", packed, many=True), *folders.LAYOUTS],
    )
    data = tmp_path / "data"
    data.mkdir()
    arrays = dict(zip(drawn.names, map(np.asarray, drawn.frames), strict=True))
    for name in drawn.names[:2]:
        np.save(data / f"{name}.npy", arrays[name])
    np.savez(data / "more.npz", **{name: arrays[name] for name in drawn.names[2:]})
    np.savez(data / "landmarks.npz", unread=np.zeros(3))  # still no clip
    assert torch.equal(pixels(open_clips(data, tmp_path / "cache")), pixels(drawn))
    with pytest.raises(AnimateError, match="cache="):
        open_clips(data)
    cases = protocol.reconstruction(data)
    assert [case.name for case in cases] == drawn.names
    assert cases[2].clip == data / "more.npz" / drawn.names[2]
    for case in cases:
        played = np.stack(list(protocol.driving(case, 64, 1, None)))
        np.testing.assert_array_equal(played, arrays[case.name])
        np.testing.assert_array_equal(protocol.photo(case, 64), arrays[case.name][0])
    (tmp_path / "pairs.csv").write_text(
        f"source,driving\n{drawn.names[0]}.npy,{drawn.names[1]}.npy"
    )
    (pair,) = protocol.cross(data, tmp_path / "pairs.csv")
    np.testing.assert_array_equal(protocol.photo(pair, 64), arrays[drawn.names[0]][0])
    assert len(list(protocol.driving(pair, 64, 2, None))) == 2


def test_the_manifest_says_which_clips_of_a_shard_count(drawn: Clips, tmp_path: Path) -> None:
    pack(tmp_path / "0.tar", {"a": drawn.frames[0], "b": drawn.frames[1]})  # type: ignore[dict-item]
    (tmp_path / "manifest.csv").write_text("file,identity,shard\nb,ada,0.tar\n")
    assert open_clips(tmp_path).names == ["b"]
    (case,) = protocol.reconstruction(tmp_path)
    assert (case.name, case.identity, case.clip) == ("b", "ada", tmp_path / "0.tar" / "b")
    assert len(list(protocol.driving(case, 64, 1, None))) == len(drawn.frames[1])


@pytest.mark.parametrize("name", ["0.tar", "0.tar/c", "manifest.csv"])
def test_what_is_no_clip_is_named(drawn: Clips, tmp_path: Path, name: str) -> None:
    pack(tmp_path / "0.tar", {"a": drawn.frames[0]})  # type: ignore[dict-item]
    with pytest.raises(AnimateError, match=f"{name} is no clip"):
        folders.open_frames(tmp_path / name)


def test_webdataset_reads_the_shards(drawn: Clips, tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    pack(tmp_path / "0.tar", {"a": drawn.frames[0]})  # type: ignore[dict-item]
    (sample,) = webdataset.WebDataset(str(tmp_path / "0.tar"), shardshuffle=False).decode()
    assert np.array_equal(sample["npy"], drawn.frames[0])  # type: ignore[arg-type]


def test_rows_of_a_step_are_the_same_whoever_draws_them(drawn: Clips) -> None:
    whole = drawn.draw(4, 64, np.random.default_rng(1))
    half = drawn.draw(4, 64, np.random.default_rng(1), slice(2, 4))
    assert torch.equal(whole.source[2:], half.source)
    assert (half.rows, half.total) == (slice(2, 4), 4)


def test_a_corrupt_frame_gives_way_and_is_counted(pictures: Path) -> None:
    clips = open_clips(pictures)
    broken = pictures / clips.names[0] / "0000002.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:200])
    try:
        found = clips.store.fetch(np.array([0, 0]), np.array([2, 3]), "cpu")
    finally:
        broken.write_bytes(whole)
    assert torch.equal(found[0], found[1])
    assert clips.store.skipped == 1
    (told,) = clips.store.warnings()
    assert "frame 2 of drawn0 is skipped" in told
    assert clips.store.warnings() == []  # each is told once


def test_a_person_with_many_clips_is_drawn_no_more_often() -> None:
    frames = [np.zeros((2, 8, 8, 3), np.uint8)] * 4
    clips = Clips(list("abcd"), frames, people=["x", "x", "x", "y"])
    assert [len(group) for group in clips.groups] == [3, 1]
    from animate.data.pairs import choose

    drawn = choose(clips.lengths, clips.groups, 2000, np.random.default_rng(0), Augment())
    assert (drawn.clip == 3).mean() == pytest.approx(0.5, abs=0.05)


def test_who_is_in_a_clip(tmp_path: Path) -> None:
    assert identity_of(tmp_path, "id10283#abc#007.mp4") == "id10283"
    assert identity_of(tmp_path, "xyz#000123#000456.mp4") == "xyz"
    (tmp_path / "manifest.csv").write_text("file,identity\na.npy,ada\n")
    assert identity_of(tmp_path, "a") == "ada"
    (tmp_path / "manifest.csv").write_bytes("file;identity\r\n;\r\na.npy;bob\r\n".encode("utf-16"))
    assert identity_of(tmp_path, "a") == "bob"  # as Excel saves it


def test_what_is_not_there_or_does_not_fit_is_named(drawn: Clips, tmp_path: Path) -> None:
    with pytest.raises(AnimateError, match="no clips in"):
        open_clips(tmp_path / "nowhere")
    (tmp_path / "manifest.csv").write_text("file,identity,shard\na.npy,ada,9.tar\n")
    with pytest.raises(AnimateError, match=r"line 2, names 9\.tar, which is missing"):
        open_clips(tmp_path)
    (tmp_path / "manifest.csv").write_text("file,shard\na,9.tar\nb,9.tar\n")
    pack(tmp_path / "9.tar", {"a": drawn.frames[0], "b": drawn.frames[0][:, :32, :32]})  # type: ignore[dict-item, index, call-overload]
    with pytest.raises(AnimateError, match="b is 32x32, others 64x64"):
        open_clips(tmp_path)
    (tmp_path / "9.tar").write_bytes((tmp_path / "9.tar").read_bytes()[:700])
    with pytest.raises(AnimateError, match="not a complete shard"):
        open_clips(tmp_path)


def test_landmarks_must_be_of_these_frames(drawn: Clips, tmp_path: Path) -> None:
    pack(tmp_path / "0.tar", {"a": drawn.frames[0]})  # type: ignore[dict-item]
    np.savez(tmp_path / "points.npz", a=np.zeros((3, 478, 2), np.float32))
    with pytest.raises(AnimateError, match="no landmarks for the 4 frames of a"):
        open_clips(tmp_path, teacher=tmp_path / "points.npz")


def test_masks_are_drawn_with_their_frames_and_nan_where_there_are_none(tmp_path):
    frames = {name: np.full((3, 32, 32, 3), 10 * i, np.uint8) for i, name in enumerate("ab")}
    for clip in frames.values():
        clip[:, :, 16:] = 200  # a person on the right
    np.save(tmp_path / "a.npy", (frames["a"][..., 0] > 100).astype(np.uint8) * 255)
    clips = Clips(list(frames), list(frames.values()), masks=masks(tmp_path, frames))
    pairs = clips.draw(16, 32, np.random.default_rng(0))
    known = pairs.source_person.isfinite().flatten(1).all(1)
    assert 0 < known.sum() < 16
    assert pairs.source_person.isnan().flatten(1).all(1).eq(~known).all()
    bright = (pairs.source.mean(1, keepdim=True) > 0.4).float()
    assert (bright - pairs.source_person)[known].abs().mean() < 0.05
    np.save(tmp_path / "b.npy", np.zeros((2, 32, 32), np.uint8))
    with pytest.raises(AnimateError, match="not of the frames of b"):
        masks(tmp_path, frames)


def test_long_clips_are_drawn_more_often_where_asked():
    frames = [np.zeros((n, 8, 8, 3), np.uint8) for n in (2, 200)]
    even, weighed = (Clips(["a", "b"], frames, by_length=by) for by in (False, True))
    assert even.chance is None
    np.testing.assert_allclose(weighed.chance, [1 / 11, 10 / 11])


def test_a_pair_is_of_two_frames_where_a_clip_has_them():
    clips = Clips(["a", "b"], [np.zeros((n, 8, 8, 3), np.uint8) for n in (1, 2)])
    drawn = choose(clips.lengths, clips.groups, 100, np.random.default_rng(0), Augment())
    apart = drawn.frame[:, 0] != drawn.frame[:, 1]
    assert (apart == (drawn.clip == 1)).all()
