"""Many runs: rows of a CSV or photos of a folder, side by side, resumed where they stopped."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import asdict, dataclass
from html import escape
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from animate.config import run_options
from animate.errors import AnimateError
from animate.media import files
from animate.media.tables import Row, read_table
from animate.options import settings_of
from animate.publish.drafts import writing
from animate.system.journal import appending, lines
from animate.system.observer import QUIET, Notes, Observer
from animate.system.workers import end_with_parent

PATHS = ("photo", "clip", "out")
JOURNAL, REPORT = "batch.jsonl", "report.html"


@dataclass(frozen=True)
class Job:
    """One run: what `animate run` would be told."""

    photo: Path
    clip: Path
    out: Path
    settings: tuple[str, ...] = ()  # key=value
    wrong: str = ""  # why it is not to be run

    @property
    def key(self) -> str:
        """A hash of paths and settings, by which a later batch knows the job again."""
        text = json.dumps([str(self.photo), str(self.clip), str(self.out), *self.settings])
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """How a job ended; `error` is empty when it was published."""

    key: str
    photo: str
    clip: str
    out: str
    frames: int = 0
    seconds: float = 0.0
    verdict: str = ""
    notes: tuple[str, ...] = ()
    error: str = ""
    kept: bool = False  # from an earlier batch


def read_jobs(
    path: Path,
    folder: Path,
    clip: Path | None = None,
    settings: Sequence[str] = (),
    observer: Observer = QUIET,
) -> list[Job]:
    """The rows of a CSV, or a job for each photo of a folder, which `clip` drives.

    Columns are photo, clip, out and keys of configs/run.yaml; an empty cell is the default, or
    `clip`, or the photo's name. Paths are relative to the CSV, results go to `folder`. `settings`
    hold for every job, before its own. `observer` receives a note if a folder of photos also holds
    clips, which are left out. Raises AnimateError for a row that names no job.
    """
    if path.is_dir():
        if clip is None:
            raise AnimateError(f"{path} is a folder of photos: name what drives them by --clip")
        rows = [Row(0, {"photo": str(photo.absolute())}) for photo in files.files_in(path)]
        moving = [clip.name for clip in files.files_in(path, files.CLIP)]
        if moving:
            observer.note(
                f"{path} holds clips, which are left out: name {moving[0]}"
                f"{f' and {len(moving) - 1} more' if len(moving) > 1 else ''} in a CSV to move the "
                "people in them"
            )
    else:
        rows = _read_rows(path)
    if not rows:
        raise AnimateError(f"{path} holds no photo: give a folder of photos, or a CSV with rows")
    home = path.parent if path.is_file() else Path.cwd()
    if clip is not None and not clip.is_dir() and clip.exists() and not clip.is_file():
        raise AnimateError(f"{clip} is a pipe, and is read for every row: give a file")
    jobs = [_job(row, f"line {row.line} of {path}", home, folder, clip, settings) for row in rows]
    outs = [job.out for job in jobs]
    twice = next((out for out in outs if outs.count(out) > 1), None)
    if twice is not None:
        raise AnimateError(f"two jobs of {path} write to {twice}: name results in a column out")
    return jobs


def _read_rows(path: Path) -> list[Row]:
    columns, rows = read_table(path, "use columns photo, clip, out")
    unknown = [name for name in columns if name and name not in (*PATHS, *settings_of("run"))]
    if unknown or "photo" not in columns:
        what = f"knows no column {unknown[0]}" if unknown else "has no column photo"
        raise AnimateError(f"{path} {what}: use photo, clip, out and settings such as faces.which")
    return rows


def _job(
    row: Row,
    where: str,
    home: Path,
    folder: Path,
    clip: Path | None,
    settings: Sequence[str],
) -> Job:
    filled = {name: text for name, text in row.cells.items() if name and text}
    if "photo" not in filled:
        raise AnimateError(f"{where} names no photo: fill that cell, or delete the line")
    if "clip" not in filled and clip is None:
        raise AnimateError(f"{where} names no clip: fill that cell, or use --clip")
    photo = home / filled["photo"]
    driver = home / filled["clip"] if "clip" in filled else Path(clip or "").absolute()
    out = Path(os.path.normpath(folder / filled.get("out", photo.stem + ".mp4")))
    inside = Path(os.path.abspath(out)).is_relative_to(os.path.abspath(folder))
    wrong = f"{where}: {filled.get('out')} is not in {folder}: name results inside it"
    own = tuple(f"{name}={text}" for name, text in filled.items() if name not in PATHS)
    return Job(photo, driver, out, (*settings, *own), "" if inside else wrong)


def run_jobs(
    jobs: Sequence[Job],
    folder: Path,
    *,
    workers: int = 1,
    force: bool = False,
    observer: Observer = QUIET,
) -> list[Outcome]:
    """Run the jobs, `workers` at a time, and write the report; one that fails stops no other.

    What an earlier batch in `folder` has published is kept, unless `force`; other files that exist
    are never replaced. A journal records each job that starts and each outcome at once, so that the
    same call resumes a batch that was stopped or killed. `observer` watches the outcomes as they
    come, and receives the notes of each run.
    """
    if workers < 1:
        raise AnimateError(f"{workers} workers: use 1 or more")
    if folder.is_file():
        raise AnimateError(f"{folder} is a file: name a folder for the results")
    journal = folder / JOURNAL
    with writing(journal):
        folder.mkdir(parents=True, exist_ok=True)
        journal.touch()
    done, begun = ({}, set()) if force else _before(journal)
    open_jobs = [job for job in jobs if job.key not in done or not job.out.is_file()]
    kept = {job.key: done[job.key] for job in jobs if job not in open_jobs}
    outcomes: dict[str, Outcome] = {}
    threads = max(1, (os.cpu_count() or 1) // workers)
    ours = {job.key for job in open_jobs if force or job.key in begun or not job.out.exists()}
    with appending(journal) as append:
        for key in sorted(ours - begun):
            append({"begun": key})
        new = _recorded(_each(open_jobs, workers, threads, ours), append)
        with closing(observer.watch(chain(kept.values(), new), len(jobs), "photo")) as watched:
            for outcome in watched:
                outcomes[outcome.key] = outcome
                for words in () if outcome.kept else outcome.notes:
                    observer.note(f"{outcome.photo}: {words}")
    results = [outcomes[job.key] for job in jobs]
    with writing(folder / REPORT):
        (folder / REPORT).write_text(_report(results, folder), encoding="utf-8")
    return results


def _before(journal: Path) -> tuple[dict[str, Outcome], set[str]]:
    """The outcomes of an earlier batch, and the keys of jobs that it began and did not end.

    A result of such a job belongs to this batch and may be replaced.
    """
    found: dict[str, Outcome] = {}
    begun: set[str] = set()
    for line in lines(journal) if journal.is_file() else ():
        try:
            fields = json.loads(line)
            if "begun" in fields:
                begun.add(fields["begun"])
                continue
            outcome = Outcome(**{**fields, "notes": tuple(fields["notes"]), "kept": True})
        except (ValueError, TypeError, KeyError):
            continue  # a line of an earlier version, or one that was cut off and written on
        begun.discard(outcome.key)
        if not outcome.error:
            found[outcome.key] = outcome
    return found, begun


def _recorded(
    outcomes: Iterable[Outcome], append: Callable[[dict[str, Any]], None]
) -> Iterator[Outcome]:
    """The outcomes, each written to the journal before anything else is done with it."""
    for outcome in outcomes:
        append(asdict(outcome))
        yield outcome


def _each(jobs: Sequence[Job], workers: int, threads: int, ours: set[str]) -> Iterator[Outcome]:
    """Yield outcomes as jobs end; an existing result is replaced only for jobs of `ours`."""
    if workers == 1:
        for job in jobs:
            yield work(job, None, job.key in ours)
        return
    left = {job.key: job for job in jobs}
    while left:
        crashed = False
        context = get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent) as pool:
            running = {
                pool.submit(work, job, threads, job.key in ours): job for job in left.values()
            }
            for future in as_completed(running):
                try:
                    outcome = future.result()
                except BrokenExecutor:  # a worker was killed, and the others with it
                    crashed = True
                    continue
                del left[outcome.key]
                yield outcome
        if crashed and workers > 1:
            workers = 1  # the one that does it is found one by one
        elif crashed:
            job = left.pop(next(iter(left)))
            yield _failed(job, "its process was killed: is there enough memory?")


def work(job: Job, threads: int | None = None, force: bool = False) -> Outcome:
    """Run one job; whatever goes wrong becomes its outcome."""
    start = time.monotonic()
    try:
        if job.wrong:
            raise AnimateError(job.wrong)
        options = run_options(job.settings)
        import torch

        from animate.inference.portrait import portrait

        if threads is not None:
            torch.set_num_threads(threads)
        job.out.parent.mkdir(parents=True, exist_ok=True)
        observer = Notes()
        done = portrait(job.photo, job.clip, job.out, options, force=force, observer=observer)
    except AnimateError as error:
        return _failed(job, " ".join(str(error).split()))
    except Exception as error:
        return _failed(job, f"{type(error).__name__}: {error}")
    seconds = round(time.monotonic() - start, 2)
    verdict = done.report.verdict
    return Outcome(*_names(job), done.frames, seconds, verdict, (*observer.notes, *done.met))


def _names(job: Job) -> tuple[str, str, str, str]:
    return job.key, str(job.photo), str(job.clip), str(job.out)


def _failed(job: Job, why: str) -> Outcome:
    return Outcome(*_names(job), error=why)


# ---------------------------------------------------------------- the report

PAGE = """<!doctype html><meta charset="utf-8"><title>animate batch</title>
<style>
body{{font:15px sans-serif;margin:2em}}table{{border-collapse:collapse}}
td,th{{padding:.4em .8em;text-align:left;vertical-align:top;border-bottom:1px solid #ccc}}
img,video{{height:120px}}.bad{{color:#b00}}
</style>
<h1>{good} of {total} published</h1>
<table><tr><th>photo<th>clip<th>result<th>frames<th>seconds of work<th>verdict</tr>
{rows}
</table>
"""


def _report(outcomes: Sequence[Outcome], folder: Path) -> str:
    """A page with a row for each job; results show as they are, so that nothing is copied."""
    rows = [_row(outcome, folder) for outcome in outcomes]
    good = sum(not outcome.error for outcome in outcomes)
    return PAGE.format(good=good, total=len(rows), rows="\n".join(rows))


def _row(outcome: Outcome, folder: Path) -> str:
    photo = f"{_shown(outcome.photo, folder)}<br>{escape(Path(outcome.photo).name)}"
    clip = escape(Path(outcome.clip).name)
    if outcome.error:
        return f'<tr><td>{photo}<td>{clip}<td class="bad" colspan="4">{escape(outcome.error)}</tr>'
    notes = "".join(f"<br><small>{escape(note)}</small>" for note in outcome.notes)
    result = f"{_shown(outcome.out, folder)}<br>{escape(Path(outcome.out).name)}{notes}"
    cells = (photo, clip, result, outcome.frames, outcome.seconds, escape(outcome.verdict))
    return "<tr>" + "".join(f"<td>{cell}" for cell in cells) + "</tr>"


def _shown(path: str, folder: Path) -> str:
    from urllib.parse import quote

    try:
        place = quote(os.path.relpath(path, folder).replace(os.sep, "/"))
    except ValueError:  # another drive
        place = Path(path).absolute().as_uri()
    if files.kind_in_folder(Path(path)) == files.PICTURE or Path(path).suffix.lower() == ".gif":
        return f'<img src="{place}" loading="lazy" alt="">'
    return f'<video src="{place}" preload="metadata" controls muted loop></video>'
