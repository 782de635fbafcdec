"""Raw videos become training clips: cut where the face goes, or dropped for a stated reason."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Recorder

from animate.cli import main
from animate.data import cutting
from animate.data.cutting import Piece
from animate.data.jobs import Job, jobs_from_csv
from animate.data.opening import open_clips
from animate.data.prepare import partition, prepare
from animate.errors import AnimateError
from animate.evaluation import protocol
from animate.faces import Box, Face, TrackedFrame
from animate.options import Wanted
from animate.verification.verify import verify

RATE = Fraction(10)
BLANK = np.zeros((4, 4, 3), np.uint8)


def seen(
    at: list[float | None], cuts: tuple[int, ...] = (), fade: int = 0
) -> Iterator[TrackedFrame]:
    """A face 100 pixels high at each x, None where it is lost; each cut ends a fade so long."""
    for t, x in enumerate(at):
        face = None if x is None else Face(x, 200, 80, 100, 0.9, np.zeros((5, 2)))
        lasted = fade if t in cuts else 0
        yield TrackedFrame(BLANK, Box(0, 0, 4), face is not None, t in cuts, face, lasted)


def spans(
    at: list[float | None], cuts: tuple[int, ...] = (), fade: int = 0, **wanted: float
) -> list[tuple]:
    found = cutting.pieces(seen(at, cuts, fade), RATE, Wanted(**wanted))  # type: ignore[arg-type]
    return [(piece.start, piece.end) for piece in found]


def test_a_face_that_stays_is_one_clip_and_its_square_is_around_it() -> None:
    (piece,) = cutting.pieces(seen([200.0, 220.0] * 10), RATE, Wanted())
    assert (piece.start, piece.end) == (0, 20)
    assert piece.box.side == pytest.approx(157 + 20)  # the face's square, and how far it moved


def test_clips_end_at_cuts_at_losses_and_where_the_face_leaves_its_square() -> None:
    assert spans([200.0] * 20, cuts=(12,)) == [(0, 12), (12, 20)]
    assert spans([200.0] * 20, cuts=(12,), fade=4) == [(0, 8), (12, 20)]
    assert spans([200.0] * 8 + [None] * 5 + [200.0] * 8) == [(0, 8), (13, 21)]
    assert spans([200.0] * 8 + [None] + [200.0] * 8) == [(0, 17)]  # a blink of the detector
    assert spans([200.0] * 10 + [400.0] * 10) == [(0, 10), (10, 20)]
    assert spans([200.0] * 25, longest=1.0) == [(0, 10), (10, 20), (20, 25)]
    assert spans([None] * 5) == []


def test_what_is_dropped_has_a_reason() -> None:
    def reason(start: int, end: int, box: Box) -> str | None:
        return cutting.geometry_problem(Piece(start, end, box), 640, 480, RATE, Wanted(size=256))

    assert reason(0, 20, Box(100, 100, 300)) is None
    assert reason(0, 5, Box(100, 100, 300)) == "short"
    assert reason(0, 20, Box(100, 100, 150)) == "tiny"
    assert reason(0, 20, Box(-150, 100, 300)) == "at the edge"
    noise = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), dtype=np.uint8)
    assert cutting.quality_problem(noise.repeat(10, 0), RATE, Wanted()) is None
    assert cutting.quality_problem(noise[:1].repeat(20, 0), RATE, Wanted()) == "still"
    assert (
        cutting.quality_problem(np.full((20, 64, 64, 3), 90, np.uint8), RATE, Wanted()) == "blurred"
    )


def test_a_square_is_drawn_into_the_picture_only_a_little() -> None:
    assert cutting.clamp_square(Box(10, 10, 100), 640, 480) == Box(10, 10, 100)
    assert cutting.clamp_square(Box(-8, 10, 100), 640, 480) == Box(0, 10, 100)
    assert cutting.clamp_square(Box(-50, 10, 100), 640, 480) == Box(-37.5, 10, 100)
    assert cutting.clamp_square(Box(0, -10, 500), 640, 480) == Box(10, 0, 480)


def test_copies_are_told_from_other_clips() -> None:
    coarse = np.random.default_rng(0).integers(0, 255, (2, 3, 8, 8, 3), dtype=np.uint8)
    one, other = (c.repeat(16, 1).repeat(16, 2) for c in coarse)
    brighter = np.clip(one.astype(int) + 9, 0, 255).astype(np.uint8)[:, ::2, ::2]
    prints = [cutting.fingerprint(c) for c in (one, brighter, other)]
    assert cutting.alike(prints[0], prints[1])
    assert not cutting.alike(prints[0], prints[2])


def test_people_are_on_one_side_of_the_split() -> None:
    jobs = [Job(f"{i}_{j}", Path("x"), f"id{i}", "") for i in range(60) for j in range(3)]
    sides = {(job.identity, partition(job, 0.3, 0)) for job in jobs}
    assert len(sides) == 60
    assert 5 < sum(side == "val" for _, side in sides) < 35
    said = Job("a", Path("x"), "id1", "", ({"partition": "test"},))
    assert partition(said, 0.0, 0) == "val"


def test_a_list_names_videos_people_and_boxes(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(
        "video_id,start,end,bbox,fps,width,height,partition\n"
        "abc#id7,80,300,118-82-508-472,29.97,640,480,train\n"
    )
    (job,) = jobs_from_csv(tmp_path / "list.csv", tmp_path, "mine")
    assert (job.identity, job.path.name) == ("id7", "abc.mp4")
    with pytest.raises(AnimateError, match="videos="):
        jobs_from_csv(tmp_path / "list.csv", None, "")
    (tmp_path / "list.csv").write_text("video_id,start\na,1\n")
    with pytest.raises(AnimateError, match="lacks the columns bbox"):
        jobs_from_csv(tmp_path / "list.csv", tmp_path, "")


def test_an_observer_sees_each_video_and_why_one_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/broken.mp4").write_bytes(b"no video")
    seen = Recorder()
    prepare(tmp_path / "raw", tmp_path / "out", workers=1, observer=seen)
    assert seen.watched == [("video", 1, 1)]
    assert "broken.mp4 is a text" in seen.notes[0]


def test_one_command_makes_clips_that_training_and_evaluation_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    for person in ("ada", "eve"):
        (raw / person).mkdir(parents=True)
        shutil.copy(ROOT / "docs/examples/clip.mp4", raw / person / "clip.mp4")
    (raw / "ada" / "broken.mp4").write_bytes(b"no video")
    command = ["prepare", str(raw), str(out), "wanted.size=64", "rights=an example", "held_out=0"]
    command += ["wanted.outside=0.6", "workers=1"]  # the example's face fills the picture
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "| unreadable | 1 |" in told
    assert "- broken.mp4 is a text, no clip" in told
    assert "duplicate" in told  # eve's clips are copies of ada's
    with (out / "train/manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["identity"] for row in rows} == {"ada"}
    assert {row["rights"] for row in rows} == {"an example"}
    clips = open_clips(out / "train")
    assert clips.names == [row["file"] for row in rows]  # the copies lie in a shard, unread
    assert list(clips.lengths) == [int(row["frames"]) for row in rows]
    assert clips.frames[0][0].shape == (64, 64, 3)
    assert [case.identity for case in protocol.reconstruction(out / "train")] == ["ada"] * len(rows)
    assert verify(out / "preview.png").verdict in ("authentic", "marked")
    shards = {p: p.stat().st_mtime_ns for p in out.rglob("*.tar")}
    assert main(command) == 0  # goes on: there is nothing left to do
    assert capsys.readouterr().out == told
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*.tar")} == shards


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("held_out=1", "held_out"),
        ("wanted.size=8", "from 16 to 4096"),
        ("wanted.shortest=11", "longest"),
    ],
)
def test_a_mistake_is_one_line(
    setting: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", str(tmp_path), str(tmp_path / "out"), setting]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_folder_without_videos_is_named(tmp_path: Path) -> None:
    assert main(["prepare", str(tmp_path), str(tmp_path / "out")]) == 2
