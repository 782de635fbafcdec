"""The bundled checkpoint's data: nobody is on both sides, and the manifest that ships says so."""

import csv
import importlib.util
from pathlib import Path

import pytest
from conftest import ROOT

from animate.errors import AnimateError
from animate.system.paths import folder

spec = importlib.util.spec_from_file_location("bundled_data", ROOT / "scripts/bundled_data.py")
bundled_data = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bundled_data)

CLIPS = "file,split,identity,source,rights\n"
PHOTOS = "file,source,rights\n"


def world(root: Path, clips: str, photos: str = "") -> Path:
    """A data folder whose files hold their own names."""
    (root / "clips.csv").write_text(CLIPS + clips)
    (root / "photos.csv").write_text(PHOTOS + photos)
    for line in (clips + photos).splitlines():
        file = root / line.split(",")[0]
        file.parent.mkdir(exist_ok=True)
        file.write_text(file.name)
    return root


def test_clips_and_pairs_are_linked_and_told(tmp_path):
    data = world(
        tmp_path,
        "train/a.mp4,train,ann,somewhere,A\nval/b.mp4,val,bob,elsewhere,B\n",
        "photos/webmorphR_neutral_front__007_03.jpg,london,A\n"
        "photos/webmorphR_smiling_front__007_08.jpg,london,A\nphotos/other.jpg,x,A\n",
    )
    manifest = bundled_data.lay_out(data, tmp_path / "out")
    assert [line["name"] for line in manifest] == ["a", "b", "london007"]
    assert (tmp_path / "out/train/a.mp4").read_text() == "a.mp4"
    assert len(list((tmp_path / "out/train/london007").iterdir())) == 2
    assert [line["split"] for line in manifest] == ["train", "val", "train"]
    bundled_data.lay_out(data, tmp_path / "out")  # again, over what is there


def test_a_person_on_both_sides_is_refused(tmp_path):
    data = world(tmp_path, "train/a.mp4,train,ann,x,A\nval/b.mp4,val,ann,x,A\n")
    with pytest.raises(AnimateError, match="ann is in train and in val"):
        bundled_data.lay_out(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_manifest_that_ships_keeps_people_apart():
    with (folder("checkpoints") / "first_order_gated.csv").open(newline="") as file:
        manifest = list(csv.DictReader(file))
    bundled_data.check_apart(manifest)
    assert {line["split"] for line in manifest} == {"train", "val"}
    files = {split: {line["sha256"] for line in manifest if line["split"] == split}
             for split in ("train", "val")}  # fmt: skip
    assert not files["train"] & files["val"]
