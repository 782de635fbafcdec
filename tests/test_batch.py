"""Batches: one bad row stops nothing, a second start repeats nothing, the report shows it all."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Recorder, tiny
from PIL import Image

from animate import checkpoints
from animate.cli import main
from animate.errors import AnimateError
from animate.inference import batch
from animate.inference.batch import JOURNAL, REPORT, Job, read_jobs, run_jobs
from animate.media import clips

HEADER = ["photo", "clip", "out", "consent"]


def table(path: Path, rows: list[list[str]], header: list[str] = HEADER) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture
def jobs(world: Path, tmp_path: Path) -> Path:
    photo, clip = str(world / "photo.png"), str(world / "clip.mp4")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    rows = [
        [photo, clip, "first, one.mp4", "Ada, 2 May"],
        [str(broken), clip, "", ""],
        [photo, "", "", ""],
    ]
    return table(tmp_path / "jobs.csv", rows)


def test_one_bad_row_stops_nothing_and_a_second_start_repeats_nothing(
    world: Path, jobs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["batch", str(jobs), "-o", str(out), "--clip", str(world / "clip.mp4")]
    command += [*tiny(world), "clip.end=0.2"]
    assert main(command) == 2
    said = capsys.readouterr().out
    assert "2 published, 1 failed" in said
    assert "broken.png: failed:" in said
    first = out / "first, one.mp4"
    assert clips.open_clip(first).length == 6
    before = first.stat().st_mtime_ns
    page = (out / REPORT).read_text()
    assert "2 of 3 published" in page
    assert "first%2C%20one.mp4" in page

    assert main(command) == 2
    assert capsys.readouterr().out.count("kept from before") == 2
    assert first.stat().st_mtime_ns == before
    lines = [json.loads(line) for line in (out / JOURNAL).read_text().splitlines()]
    ended = [bool(line["error"]) for line in lines if "error" in line]
    assert ended == [False, True, False, True]


def test_a_batch_that_was_killed_goes_on_and_replaces_its_own_alone(
    world: Path, tmp_path: Path
) -> None:
    """Killed after a result had its name, and before that was noted."""
    settings = (*tiny(world), "clip.end=0.1")
    out = tmp_path / "out"
    out.mkdir()
    names = ("ours.mp4", "foreign.mp4")
    given = [Job(world / "photo.png", world / "clip.mp4", out / n, settings) for n in names]
    (out / "ours.mp4").write_bytes(b"of the killed batch")
    (out / "foreign.mp4").write_bytes(b"of somebody")
    (out / JOURNAL).write_text(json.dumps({"begun": given[0].key}) + '\n{"key": "cut o')
    ours, foreign = run_jobs(given, out)
    assert (ours.frames, ours.error) == (3, "")
    assert "exists" in foreign.error
    assert (out / "foreign.mp4").read_bytes() == b"of somebody"
    noted = [json.loads(line) for line in (out / JOURNAL).read_text().splitlines()]
    assert [line["error"] for line in noted if "error" in line] == ["", foreign.error]


@pytest.mark.parametrize("done", [0, 1])
def test_an_interrupt_says_what_stays_and_the_same_command_goes_on(
    done: int,
    world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(job: Job, *_: object) -> batch.Outcome:
        if job.out.name == f"{done}.mp4":
            raise KeyboardInterrupt
        return work(job, *_)  # type: ignore[arg-type]

    work, out = batch.work, tmp_path / "out"
    clip, photo = str(world / "clip.mp4"), str(world / "photo.png")
    rows = table(tmp_path / "jobs.csv", [[photo, clip, f"{n}.mp4", ""] for n in range(2)])
    command = ["batch", str(rows), "-o", str(out), "clip.end=0.1"]
    command += tiny(world)
    with monkeypatch.context() as patch:
        patch.setattr(batch, "work", interrupted)
        assert main(command) == 130
    said = capsys.readouterr().err.splitlines()[-1]
    assert "stay" in said
    assert "resumes" in said
    assert sorted(p.name for p in out.iterdir()) == [f"{n}.mp4" for n in range(done)] + [JOURNAL]
    assert main(command) == 0
    assert capsys.readouterr().out.count("kept from before") == done


POOL = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from animate.system.workers import end_with_parent
if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("spawn"), end_with_parent) as pool:
        pool.submit(os.getpid).result()
        print("ready", flush=True)
        time.sleep(60)
"""


def test_workers_end_with_a_batch_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    pool = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE)
    assert pool.stdout is not None
    assert pool.stdout.readline().strip() == b"ready"
    pool.kill()
    pool.communicate(timeout=30)  # ends when nobody holds the other end any more


def test_workers_run_side_by_side(world: Path, tmp_path: Path) -> None:
    settings = (*tiny(world), "clip.end=0.1")
    out = tmp_path / "out"
    given = [
        Job(world / "photo.png", world / clip, out / f"{n}.mp4", settings)
        for n, clip in enumerate(("clip.mp4", "none.mp4"))
    ]
    good, bad = run_jobs(given, out, workers=2)
    assert (good.frames, good.verdict, good.error) == (3, "marked", "")
    assert "there is no" in bad.error


def test_an_observer_sees_each_outcome_and_the_notes_of_each_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(job: Job, *_: object) -> batch.Outcome:
        return batch.Outcome(job.key, str(job.photo), "", "", notes=("it is small",))

    monkeypatch.setattr(batch, "work", work)
    black, red = (Image.new("RGB", (8, 8), colour) for colour in ("black", "red"))
    black.save(tmp_path / "a.png")
    black.save(tmp_path / "b.gif", save_all=True, append_images=[red])
    seen = Recorder()
    jobs = read_jobs(tmp_path, tmp_path / "out", tmp_path / "clip.mp4", observer=seen)
    run_jobs(jobs, tmp_path / "out", observer=seen)
    assert seen.watched == [("photo", 1, 1)]
    first, second = seen.notes
    assert "b.gif" in first
    assert second == f"{tmp_path / 'a.png'}: it is small"


def test_a_folder_of_photos_needs_a_clip(world: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "b.txt").touch()
    (job,) = read_jobs(tmp_path, tmp_path / "out", world / "clip.mp4", ["seed=2"])
    assert (job.out, job.settings) == (tmp_path / "out" / "a.mp4", ("seed=2",))
    with pytest.raises(AnimateError, match="--clip"):
        read_jobs(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("header", "rows", "complaint"),
    [
        (["photo", "colour"], [["a.png", "red"]], "no column colour"),
        (["clip"], [["a.mp4"]], "no column photo"),
        (["photo", "clip"], [["", "a.mp4"]], "line 2 .* names no photo"),
        (["photo", "clip"], [["a.png", ""]], "line 2 .* names no clip"),
        (["photo", "clip"], [["x/a.png", "c"], ["y/a.png", "c"]], "two jobs"),
        (["photo", "clip"], [], "holds no photo"),
    ],
)
def test_a_table_that_makes_no_jobs_is_one_sentence(
    header: list[str], rows: list[list[str]], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(AnimateError, match=complaint):
        read_jobs(table(tmp_path / "jobs.csv", rows, header), tmp_path)


def test_a_folder_that_can_not_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AnimateError, match="is a file"):
        run_jobs([], tmp_path / "file")
    with pytest.raises(AnimateError, match="can't be written"):
        run_jobs([], tmp_path / "file" / "below")


def test_a_setting_that_is_wrong_for_every_row_stops_at_once(tmp_path: Path) -> None:
    assert main(["batch", str(tmp_path), "-o", str(tmp_path / "out"), "seed=many"]) == 2
    assert not (tmp_path / "out").exists()


def test_a_batch_opens_its_weights_once_and_again_where_they_have_changed(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "w.safetensors"
    shutil.copy(world / "tiny.safetensors", weights)
    real, opened = checkpoints.load, []

    def load(reference: Any, device: str = "cpu") -> Any:
        opened.append(reference)
        return real(reference, device)

    monkeypatch.setattr(checkpoints, "load", load)
    settings = (
        *tiny(world)[:1],
        f"motion.checkpoint={weights}",
        "clip.end=0.1",
        "faces=centre",
        "paste=crop",
    )
    jobs = [
        Job(world / "photo.png", world / "clip.mp4", tmp_path / f"{n}.mp4", settings)
        for n in range(2)
    ]
    assert not any(outcome.error for outcome in run_jobs(jobs, tmp_path))
    assert opened == [str(weights)]
    os.utime(weights, ns=(1, 1))
    run_jobs(jobs, tmp_path, force=True)
    assert opened == [str(weights)] * 2


def test_no_cell_reads_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentences are taken as they stand; of other settings, the row is refused."""
    from animate.config import run_options

    monkeypatch.setenv("ANIMATE_SECRET", "81726354")
    reference = "${oc.env:ANIMATE_SECRET}"
    (tmp_path / "jobs.csv").write_text(
        f"photo,clip,consent,label.position\na.png,b.mp4,{reference},\nc.png,b.mp4,,{reference}\n"
    )
    first, second = read_jobs(tmp_path / "jobs.csv", tmp_path / "out")
    assert run_options(first.settings).statement.consent == reference
    with pytest.raises(AnimateError, match="not read") as caught:
        run_options(second.settings)
    assert "81726354" not in str(caught.value)
