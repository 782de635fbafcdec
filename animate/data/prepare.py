"""Prepare raw videos for training: cut clips into shards with a manifest, resumable, in parallel.

The output is data, not media: frames as arrays in uncompressed .tar shards, one for each video.
They are crops of real videos, nothing in them is generated. They carry no watermark, because a
model must not learn to paint it; the contact sheet that shows them is marked.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from animate.data.cutting import (
    Piece,
    alike,
    clamp_square,
    fingerprint,
    geometry_problem,
    pieces,
    quality_problem,
)
from animate.data.folders import MANIFEST, shard
from animate.data.jobs import Job, jobs_from_csv, jobs_from_folder
from animate.errors import AnimateError
from animate.faces import Box, clip_locator, cut
from animate.media import clips
from animate.media.pipes import through_pipes
from animate.options import Faces, Preparation, Wanted
from animate.publish import sheets
from animate.system.atomic import replacing
from animate.system.observer import QUIET, Observer
from animate.system.settings import changed

# Columns of manifest.csv.
COLUMNS = ("file", "identity", "shard", "source", "source_sha256", "start", "seconds", "frames",
           "rate", "left", "top", "side", "rights", "sha256")  # fmt: skip
SHOWN = 24  # clips on the contact sheet
PREPARATION, WANTED = Preparation(), Wanted()


@dataclass
class Summary:
    """The outcome of all videos."""

    kept: int = 0  # clips
    frames: int = 0
    people: int = 0
    dropped: Counter[str] = field(default_factory=Counter)  # clips by reason
    notes: list[str] = field(default_factory=list)  # unreadable videos and duplicate clips
    shown: list[list[str]] = field(default_factory=list)  # clips on the contact sheet, by row

    def markdown(self) -> str:
        lines = [f"{self.kept} clips of {self.people} people, {self.frames} frames", ""]
        lines += ["| dropped because | |", "| --- | --- |"]
        lines += [f"| {reason} | {count} |" for reason, count in self.dropped.most_common()]
        lines += ["", *(f"- {note}" for note in self.notes[:SHOWN])] if self.notes else []
        lines += ["", "In preview.png:", ""] if self.shown else []
        lines += [f"- row {i}: {', '.join(row)}" for i, row in enumerate(self.shown, 1)]
        return "\n".join(lines) + "\n"


@through_pipes("source")
def prepare(
    source: Path,
    dest: Path,
    preparation: Preparation = PREPARATION,
    wanted: Wanted = WANTED,
    *,
    observer: Observer = QUIET,
    **settings: Any,
) -> Summary:
    """Cut the faces of `source` into training clips in dest/train and dest/val, split by person.

    source: a folder of videos, or of one folder for each person, or a CSV like the metadata of
    VoxCeleb and Taichi (video_id, start, end, bbox, fps, width, height, partition), whose videos
    are in the folder `videos`; its times and boxes are used unchanged. `settings` change some of
    `preparation` by keyword (`rate=25`). The same call resumes after an interruption. A bad video
    is dropped, counted and noted, and never stops the others. `observer` receives these notes and
    the progress. Raises AnimateError for no videos, an unreadable list and a full disk.
    """
    dest, how = Path(dest), changed(preparation, settings)
    if Path(source).is_file():
        jobs = jobs_from_csv(Path(source), how.videos, how.rights)
    else:
        how.refuse(("videos",), "for a folder of videos")
        jobs = jobs_from_folder(source, how.rights)
    done = dest / "done"
    for folder in (done, dest / "train", dest / "val"):
        folder.mkdir(parents=True, exist_ok=True)
    waiting = [job for job in jobs if not (done / f"{job.key}.json").exists()]
    try:
        outcomes = observer.watch(_processed(waiting, dest, wanted, how), len(waiting), "video")
        with closing(outcomes):
            for why in outcomes:
                if why:
                    observer.note(why)
    except OSError as error:
        raise AnimateError(
            f"{dest} can't be written to ({error.strerror}): free some space, then run the same "
            "command again to resume"
        ) from error
    return conclude(dest, [job.key for job in jobs])


def _processed(
    jobs: list[Job], dest: Path, wanted: Wanted, how: Preparation
) -> Iterator[str | None]:
    """Cut the videos in `how.workers` processes; yields why one is unreadable, else None."""
    process = partial(process_video, dest=dest, wanted=wanted, how=how)
    if how.workers == 1:
        yield from map(process, jobs)
        return
    with ProcessPoolExecutor(how.workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(process, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def process_video(job: Job, dest: Path, wanted: Wanted, how: Preparation) -> str | None:
    """Cut one video: write its shard, then a JSON record of the outcome.

    Returns why the video is unreadable, or None.
    """
    import cv2

    cv2.setNumThreads(1)
    rows: list[dict[str, Any]] = []
    dropped: Counter[str] = Counter()
    why = None
    split = partition(job, how.held_out, how.seed)
    path = dest / split / f"{job.key}.tar"
    with replacing(path, draft=path.with_suffix(".part")) as draft, tarfile.open(draft, "w") as tar:
        try:
            for piece, frames, pace in cut_out(job, wanted, how.rate, dropped):
                name = piece.name or f"{job.key}_{len(rows):03d}"
                _add(tar, name, frames)
                rows.append(manifest_row(job, name, f"{job.key}.tar", piece, frames, pace))
        except AnimateError as error:  # clips cut before the error are kept
            dropped["unreadable"] += 1
            why = str(error).replace(str(job.path), job.path.name)
    if not rows:
        path.unlink()
    record = dest / "done" / f"{job.key}.json"
    text = json.dumps({"split": split, "rows": rows, "dropped": dropped, "why": why})
    with replacing(record, draft=record.with_suffix(".part")) as draft:
        draft.write_text(text)
    return why


def _add(tar: tarfile.TarFile, name: str, frames: np.ndarray) -> None:
    """Add a clip's frames (T, S, S, 3) to a shard as NAME.npy."""
    data = io.BytesIO()
    np.save(data, frames)
    member = tarfile.TarInfo(f"{name}.npy")
    member.size = data.tell()
    data.seek(0)
    tar.addfile(member, data)


def partition(job: Job, held_out: float, seed: int) -> str:
    """train or val: as the list says, else by a hash of seed and person."""
    listed = job.listed[0].get("partition") if job.listed else None
    if listed:
        return "train" if listed == "train" else "val"
    digest = hashlib.sha256(f"{seed}:{job.identity}".encode()).digest()
    return "val" if int.from_bytes(digest[:8], "big") < held_out * 2**64 else "train"


@dataclass(frozen=True)
class Pace:
    """A video at the training frame rate: each `step`-th frame."""

    clip: clips.Clip
    step: int

    @property
    def rate(self) -> Fraction:
        return self.clip.rate / self.step

    def frames(self) -> Iterator[np.ndarray]:
        return islice(self.clip.frames(), 0, None, self.step)


def cut_out(
    job: Job, wanted: Wanted, rate: int, dropped: Counter[str]
) -> Iterator[tuple[Piece, np.ndarray, Pace]]:
    """Yield the wanted pieces of a video with their frames (T, S, S, 3), one at a time.

    Reads the video twice: to track the face, then to cut. Counts the `dropped` pieces by reason.
    """
    clip = clips.open_clip(job.path, truncated="accept").without_combs()
    pace = Pace(clip, max(1, round(clip.rate / rate)))
    if job.listed:
        parts = from_list(job, pace)
    else:
        tracked_frames = clip_locator(Faces()).track(pace.frames(), pace.rate)
        parts = list(pieces(tracked_frames, pace.rate, wanted))
        if not parts:
            dropped["no face"] += 1
    fit = []
    for piece in parts:
        if not job.listed:
            piece.box = clamp_square(piece.box, clip.width, clip.height)
        reason = geometry_problem(piece, clip.width, clip.height, pace.rate, wanted)
        if reason:
            dropped[reason] += 1
        else:
            fit.append(piece)
    stream = enumerate(pace.frames())
    for piece in sorted(fit, key=lambda p: p.start):
        wanted_frames = [
            cut(frame, piece.box, wanted.size)
            for t, frame in _until(stream, piece.end)
            if t >= piece.start
        ]
        if len(wanted_frames) < 2:
            dropped["short"] += 1
            continue
        frames = np.stack(wanted_frames)
        reason = quality_problem(frames, pace.rate, wanted)
        if reason:
            dropped[reason] += 1
        else:
            yield piece, frames, pace


def _until(stream: Iterator[tuple[int, np.ndarray]], end: int) -> Iterator[tuple[int, np.ndarray]]:
    """The frames before number `end`, which stays in the stream."""
    for t, frame in stream:
        yield t, frame
        if t + 1 >= end:
            return


def from_list(job: Job, pace: Pace) -> list[Piece]:
    """The pieces that a metadata list names, in frame numbers and pixels of this video."""
    parts = []
    for line in job.listed:
        left, top, right, bottom = (float(v) for v in line["bbox"].split("-"))
        scale = pace.clip.width / float(line["width"]), pace.clip.height / float(line["height"])
        side = max((right - left) * scale[0], (bottom - top) * scale[1])
        middle = (left + right) / 2 * scale[0], (top + bottom) / 2 * scale[1]
        times = [float(line[k]) / float(line["fps"]) * float(pace.rate) for k in ("start", "end")]
        name = f"{job.identity}#{job.key.split('#')[0]}#{int(line['start']):06d}"
        box = Box(middle[0] - side / 2, middle[1] - side / 2, side)
        parts.append(Piece(round(times[0]), round(times[1]), box, name=name))
    return parts


def manifest_row(
    job: Job, name: str, tar: str, piece: Piece, frames: np.ndarray, pace: Pace
) -> dict[str, Any]:
    """A clip's row of the manifest, with its fingerprint."""
    return {
        "file": name,
        "identity": job.identity,
        "shard": tar,
        "source": job.path.name,
        "source_sha256": clips.sha256(job.path),
        "start": round(float(piece.start / pace.rate), 3),
        "seconds": round(float(len(frames) / pace.rate), 3),
        "frames": len(frames),
        "rate": str(pace.rate),
        "left": round(piece.box.left, 1),
        "top": round(piece.box.top, 1),
        "side": round(piece.box.side, 1),
        "rights": job.rights,
        "sha256": hashlib.sha256(frames.tobytes()).hexdigest(),
        "fingerprint": fingerprint(frames),
    }


def conclude(dest: Path, keys: list[str]) -> Summary:
    """Write the manifests of train and val without duplicates, the summary and the contact sheet.

    Training ignores clips of a shard that are not in the manifest.
    """
    summary = Summary()
    # video, clip, fingerprint; clips of the same video don't overlap and aren't compared
    kept_prints: list[tuple[str, str, str]] = []
    rows: dict[str, list[dict[str, Any]]] = {"train": [], "val": []}
    for key in keys:
        record = json.loads((dest / "done" / f"{key}.json").read_text())
        summary.dropped.update(record["dropped"])
        summary.notes += [record["why"]] if record["why"] else []
        for line in record["rows"]:
            own = line.pop("fingerprint")
            copies = [c for video, c, other in kept_prints if video != key and alike(own, other)]
            if copies:
                summary.dropped["duplicate"] += 1
                summary.notes.append(f"{line['file']} is a copy of {copies[0]}")
                continue
            kept_prints.append((key, line["file"], own))
            rows[record["split"]].append(line)
    for split, lines in rows.items():
        with (dest / split / MANIFEST).open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows(lines)
    kept = [(split, line) for split, lines in rows.items() for line in lines]
    summary.kept = len(kept)
    summary.frames = sum(line["frames"] for _, line in kept)
    summary.people = len({line["identity"] for _, line in kept})
    if kept:
        chosen = [kept[i] for i in np.linspace(0, len(kept) - 1, SHOWN).astype(int)]
        summary.shown = _sheet(dest, chosen)
    (dest / "summary.md").write_text(summary.markdown())
    return summary


def _sheet(dest: Path, chosen: list[tuple[str, dict[str, Any]]]) -> list[list[str]]:
    """Publish a picture of the clips' middle frames, six in a row; returns their names by row."""
    cells = {}
    for split, line in chosen:
        frames = shard(dest / split / line["shard"])[line["file"]]
        cells[line["file"]] = np.array(frames[len(frames) // 2])
    rows = [list(cells)[i : i + 6] for i in range(0, len(cells), 6)]
    grid = sheets.grid([[cells[name] for name in row] for row in rows], cell=160)
    sheets.show(dest / "preview.png", grid, model="none", model_sha256="none")
    return rows
