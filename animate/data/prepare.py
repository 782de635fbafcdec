"""Raw videos in, training clips out: shards of arrays with a manifest, resumable, in parallel.

What is written is data, not media: the frames as arrays in uncompressed .tar shards, one for each
video, unmarked, for a model must not learn to paint the mark; a marked contact sheet shows them.
They are crops of real videos; nothing in them is generated.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import tarfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from glob import escape
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from animate.data.cutting import (
    Piece,
    Wanted,
    alike,
    clamp_square,
    fingerprint,
    geometry_problem,
    pieces,
    quality_problem,
)
from animate.data.folders import MANIFEST, identity_of, shard
from animate.errors import AnimateError
from animate.faces import Box, clip_locator, cut
from animate.media import clips, files
from animate.media.files import existing
from animate.media.pipes import through_pipes
from animate.media.tables import read_table
from animate.options import Faces
from animate.publish import sheets

COLUMNS = ("file", "identity", "shard", "source", "source_sha256", "start", "seconds", "frames",
           "rate", "left", "top", "side", "rights", "sha256")  # fmt: skip
SHOWN = 24  # clips on the contact sheet


@dataclass(frozen=True)
class Job:
    """One raw video, who is in it and, where a list says so, which pieces of it."""

    key: str
    path: Path
    identity: str
    rights: str
    listed: tuple[dict[str, str], ...] = ()


@dataclass
class Summary:
    """What came of all videos."""

    kept: int = 0
    frames: int = 0
    people: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)  # which videos are unreadable, and what copies
    shown: list[list[str]] = field(default_factory=list)  # on the contact sheet, row by row

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
    *,
    wanted: Wanted | None = None,
    videos: Path | None = None,
    rate: int = 25,
    held_out: float = 0.1,
    rights: str = "not stated",
    workers: int = 2,
    seed: int = 0,
    progress: bool = False,
) -> Summary:
    """Cut the faces of `source` into training clips in dest/train and dest/val, split by person.

    source: a folder of videos, or of one folder for each person, or a CSV as VoxCeleb's and
    Taichi's metadata (video_id, start, end, bbox, fps, width, height, partition) whose videos lie
    in the folder `videos`; its times and boxes are taken as they are. rate: frames a second, about:
    of 50 every second one is left out, 30 stay. held_out: the share of people who go to val.
    rights: kept in the manifest.
    The same call goes on where one was stopped. One bad video never stops the rest: it is dropped
    and counted. Raises AnimateError for no videos, a list that can't be read and a full disk.
    """
    dest, wanted = Path(dest), wanted or Wanted()
    if not 0 <= held_out < 1 or workers < 1 or rate < 1:
        raise AnimateError("prepare: use 0 <= held_out < 1, workers >= 1 and rate >= 1")
    is_list = Path(source).is_file()
    jobs = (
        jobs_from_csv(Path(source), videos, rights) if is_list else jobs_from_folder(source, rights)
    )
    done = dest / "done"
    for folder in (done, dest / "train", dest / "val"):
        folder.mkdir(parents=True, exist_ok=True)
    waiting = [job for job in jobs if not (done / f"{job.key}.json").exists()]
    _work(waiting, dest, wanted, rate, held_out, seed, workers, progress)
    return conclude(dest, [job.key for job in jobs])


def _work(
    jobs: list[Job], dest: Path, wanted: Wanted, rate: int, held_out: float, seed: int,
    workers: int, progress: bool,
) -> None:  # fmt: skip
    from tqdm import tqdm

    do = partial(process_video, dest=dest, wanted=wanted, rate=rate, held_out=held_out, seed=seed)
    hidden = None if progress else True
    try:
        if workers == 1:
            for job in tqdm(jobs, unit="video", disable=hidden):
                do(job)
            return
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            working = [pool.submit(do, job) for job in jobs]
            try:
                for future in tqdm(
                    as_completed(working), total=len(jobs), unit="video", disable=hidden
                ):
                    future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    except OSError as error:
        raise AnimateError(
            f"{dest} can't be written to ({error.strerror}): free some space; the same command "
            "goes on"
        ) from error


def jobs_from_folder(source: Path, rights: str) -> list[Job]:
    """A job for each video in a folder and its sub-folders; a sub-folder is a person."""
    source = existing(Path(source))
    paths = sorted(p for p in source.rglob("*") if files.kind_in_folder(p) == files.CLIP)
    if not paths:
        raise AnimateError(f"no videos in {source}: give a folder of videos, or a list of them")
    jobs = []
    for path in paths:
        inside = path.relative_to(source)
        person = inside.parts[0] if len(inside.parts) > 1 else identity_of(source, path.name)
        key = "__".join(inside.with_suffix("").parts) + path.suffix.lower().replace(".", "_")
        jobs.append(Job(key, path, person, rights))
    return jobs


def jobs_from_csv(source: Path, videos: Path | None, rights: str) -> list[Job]:
    """A job for each video of a metadata CSV; those that aren't there are dropped later."""
    if videos is None:
        raise AnimateError(f"{source} is a list: name the folder of its videos with videos=")
    needed = {"video_id", "start", "end", "bbox", "fps", "width", "height"}
    columns, table = read_table(source, f"use columns {', '.join(sorted(needed))}")
    if lacking := needed - set(columns):
        raise AnimateError(f"{source} lacks the columns {', '.join(sorted(lacking))}")
    rows: dict[str, list[dict[str, str]]] = {}
    for row in table:
        rows.setdefault(row["video_id"], []).append(row)
    if not rows:
        raise AnimateError(f"{source} lists no videos: give one with rows")
    jobs = []
    for name, own in rows.items():
        video, _, person = name.partition("#")  # VoxCeleb's: video#person
        named = sorted(Path(videos).glob(f"{escape(video)}.*"))
        path = next(
            (p for p in named if files.kind_in_folder(p) == files.CLIP),
            Path(videos) / f"{video}.mp4",
        )
        jobs.append(Job(name, path, person or video, rights, tuple(own)))
    return jobs


def process_video(
    job: Job, dest: Path, wanted: Wanted, rate: int, held_out: float, seed: int
) -> None:
    """Work on one video in a process of its own: write its shard, then what became of it."""
    import cv2

    cv2.setNumThreads(1)
    rows: list[dict[str, Any]] = []
    dropped: Counter[str] = Counter()
    why = None
    split = partition(job, held_out, seed)
    path = dest / split / f"{job.key}.tar"
    draft = path.with_suffix(".part")
    try:
        with tarfile.open(draft, "w") as tar:
            for piece, frames, of in cut_out(job, wanted, rate, dropped):
                name = piece.name or f"{job.key}_{len(rows):03d}"
                data = io.BytesIO()
                np.save(data, frames)
                member = tarfile.TarInfo(f"{name}.npy")
                member.size = data.tell()
                data.seek(0)
                tar.addfile(member, data)
                rows.append(manifest_row(job, name, f"{job.key}.tar", piece, frames, of))
    except AnimateError as error:  # what was cut before it broke is kept
        dropped["unreadable"] += 1
        why = str(error).replace(str(job.path), job.path.name)
    if rows:
        os.replace(draft, path)
    else:
        draft.unlink()
    note = dest / "done" / f"{job.key}.json"
    text = json.dumps({"split": split, "rows": rows, "dropped": dropped, "why": why})
    note.with_suffix(".part").write_text(text)
    os.replace(note.with_suffix(".part"), note)


def partition(job: Job, held_out: float, seed: int) -> str:
    """train or val: what the list says, else by chance that depends on the person alone."""
    said = job.listed[0].get("partition") if job.listed else None
    if said:
        return "train" if said == "train" else "val"
    drawn = hashlib.sha256(f"{seed}:{job.identity}".encode()).digest()
    return "val" if int.from_bytes(drawn[:8], "big") < held_out * 2**64 else "train"


@dataclass(frozen=True)
class Pace:
    """A video at the rate of training: every `step`-th frame."""

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
    """The pieces of a video that are wanted, with their frames (T, S, S, 3); one is held at a time.

    The video is read twice: to see where the face goes, then to cut.
    """
    clip = clips.open_clip(job.path, truncated="accept")
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
    """Up to frame `end`, which stays in the stream."""
    for t, frame in stream:
        yield t, frame
        if t + 1 >= end:
            return


def from_list(job: Job, pace: Pace) -> list[Piece]:
    """The pieces that a metadata list names, in frames and pixels of the video at hand."""
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
    """A clip's line in the manifest, and its fingerprint."""
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
    """The manifests of train and val without duplicates, the summary, the contact sheet.

    A clip that isn't in its manifest isn't read in training, though its shard holds it.
    """
    summary = Summary()
    seen: list[tuple[str, str, str]] = []  # video, clip, fingerprint; those of one don't overlap
    rows: dict[str, list[dict[str, Any]]] = {"train": [], "val": []}
    for key in keys:
        told = json.loads((dest / "done" / f"{key}.json").read_text())
        summary.dropped.update(told["dropped"])
        summary.notes += [told["why"]] if told["why"] else []
        for line in told["rows"]:
            print_of = line.pop("fingerprint")
            like = [c for video, c, other in seen if video != key and alike(print_of, other)]
            if like:
                summary.dropped["duplicate"] += 1
                summary.notes.append(f"{line['file']} is a copy of {like[0]}")
                continue
            seen.append((key, line["file"], print_of))
            rows[told["split"]].append(line)
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
    """A marked picture of the middle frames of some clips, six in a row; their names."""
    cells = {}
    for split, line in chosen:
        frames = shard(dest / split / line["shard"])[line["file"]]
        cells[line["file"]] = np.array(frames[len(frames) // 2])
    rows = [list(cells)[i : i + 6] for i in range(0, len(cells), 6)]
    grid = sheets.grid([[cells[name] for name in row] for row in rows], cell=160)
    sheets.show(dest / "preview.png", grid, model="none", model_sha256="none")
    return rows
