"""The animations: one after the other, until their files are deleted."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from animate.errors import AnimateError
from animate.options import Serve
from animate.serve.form import command
from animate.serve.uploads import BusyError, Upload
from animate.serve.workers import Worker

WAITING, WORKING, DONE, FAILED = "waiting", "working", "done", "failed"
KEPT = 100  # jobs whose files are kept at a time
FASTEST = 60  # frames a second: with `seconds`, what a result may have
ID_BYTES = 16


@dataclass
class Job:
    """An animation. Whoever knows its `id` may see and delete it, nobody else."""

    folder: Path
    photos: list[Upload]
    drivers: list[Upload]
    settings: dict[str, Any]
    id: str = field(default_factory=lambda: secrets.token_urlsafe(ID_BYTES))
    state: str = WAITING
    stage: str = ""
    made: float = field(default_factory=time.time)
    began: float | None = None  # time.monotonic() of the first frame
    done: int = 0
    total: int | None = None
    preview: bytes | None = None
    shown: int = 0  # number of the frame in the preview
    notes: list[str] = field(default_factory=list)
    error: str | None = None
    result: dict[str, Any] | None = None

    @property
    def out(self) -> Path | None:
        """The published file."""
        return self.folder / self.result["name"] if self.result else None

    def update(self, head: dict[str, Any], body: bytes) -> None:
        """Take what the worker reports."""
        if "note" in head:
            self.notes.append(head["note"])
        elif "preview" in head:
            self.preview, self.shown = body, head["preview"]
        elif "stage" in head:
            self.stage = head["stage"]
        else:
            self.done, self.total, self.stage = head["done"], head["total"], "animating"
            self.began = self.began or time.monotonic()

    def left(self) -> float | None:
        """Estimated seconds until all frames are done; None if unknown."""
        if self.began is None or not self.total or self.done < 2 or self.state != WORKING:
            return None
        pace = (time.monotonic() - self.began) / (self.done - 1)
        return round(max(0, self.total - self.done) * pace, 1)

    def described(self, before: int, keep: float) -> dict[str, Any]:
        """The job as JSON values; `before` jobs are done first, and it is kept `keep` minutes."""
        result = self.result or {}
        out = result.get("name", "result.mp4")
        names = [photo.name for photo in self.photos], [clip.name for clip in self.drivers]
        return {
            "id": self.id,
            "state": self.state,
            "stage": self.stage,
            "before": before,
            "photos": names[0],
            "clip": names[1][0] if names[1] else None,
            "settings": self.settings,
            "command": command(names[0], names[1][0], out, self.settings) if names[1] else None,
            "done": self.done,
            "total": self.total,
            "left": self.left(),
            "preview": self.shown,
            "notes": [*self.notes, *result.get("notes", [])],
            "error": self.error,
            "result": None
            if self.result is None
            else {key: result[key] for key in ("name", "frames", "words", "report")},
            "made": self.made,
            "deleted": self.made + 60 * keep,
        }


class Queue:
    """Jobs in order; one worker does one at a time."""

    def __init__(self, serve: Serve, folder: Path, worker: Worker) -> None:
        self.serve, self.folder, self.worker = serve, folder, worker
        self.jobs: dict[str, Job] = {}
        self.current: Job | None = None
        self.wake = asyncio.Event()

    @property
    def open(self) -> list[Job]:
        """The jobs that wait or are worked on, in order."""
        return [job for job in self.jobs.values() if job.state in (WAITING, WORKING)]

    def check_room(self) -> None:
        """Raise BusyError where no further job is taken."""
        if len(self.open) >= self.serve.jobs:
            raise BusyError("there are enough animations in the queue: come again soon", 30)
        self.check_kept()

    def check_kept(self) -> None:
        """Raise BusyError where no further files are kept."""
        if len(self.jobs) >= KEPT:
            raise BusyError("enough results are kept: delete some, or come again later", 60)

    def new_folder(self) -> Path:
        """A folder for a job's files."""
        folder = self.folder / secrets.token_hex(ID_BYTES)
        folder.mkdir(mode=0o700)
        return folder

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder that is deleted at the end, without awaiting, so that a cancelled task deletes
        it too."""
        folder = self.new_folder()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def add(
        self, folder: Path, photos: Sequence[Upload], driver: Upload, settings: dict[str, Any]
    ) -> Job:
        """A new job at the end of the queue. Raises BusyError."""
        self.check_room()
        return self._keep(Job(folder, list(photos), [driver], settings))

    def add_done(self, folder: Path, photos: Sequence[Upload], result: dict[str, Any]) -> Job:
        """A finished file, such as a recording, which is kept like a job's result."""
        return self._keep(Job(folder, list(photos), [], {}, state=DONE, result=result))

    def _keep(self, job: Job) -> Job:
        self.jobs[job.id] = job
        self.wake.set()
        return job

    def described(self, job: Job) -> dict[str, Any]:
        before = self.open.index(job) if job.state == WAITING else 0
        return job.described(before, self.serve.keep)

    async def work(self) -> None:
        """Do the jobs one after the other, for ever."""
        while True:
            job = next((job for job in self.jobs.values() if job.state == WAITING), None)
            if job is None:
                self.wake.clear()
                await self.wake.wait()
                continue
            self.current, job.state, job.stage = job, WORKING, "preparing"
            try:
                job.result, _ = await self.worker.ask(
                    "animate", self._request(job), self.serve.patience, job.update
                )
                job.state = DONE
            except AnimateError as error:
                job.state, job.error = FAILED, str(error)
            finally:
                self.current = None
                if job.id not in self.jobs:
                    _delete(job.folder)

    def _request(self, job: Job) -> dict[str, Any]:
        uploads = [*job.photos, *job.drivers]
        return {
            "photos": [str(photo.path) for photo in job.photos],
            "drivers": [str(clip.path) for clip in job.drivers],
            "names": {str(upload.path): upload.name for upload in uploads},
            "out": str(job.folder / "result"),
            "settings": job.settings,
            "pixels": self.serve.pixels,
            "seconds": self.serve.seconds,
            "frames": round(self.serve.seconds * FASTEST),
        }

    async def remove(self, job: Job) -> None:
        """Stop a job and delete its files."""
        self.jobs.pop(job.id, None)
        if job is self.current:
            await asyncio.to_thread(self.worker.stop)  # `work` deletes the files
            await asyncio.to_thread(self.worker.start)
        else:
            await asyncio.to_thread(_delete, job.folder)

    async def tidy(self, every: float = 20.0) -> None:
        """Delete what was kept for long enough, for ever."""
        while True:
            await asyncio.sleep(every)
            await self.tidy_once()

    async def tidy_once(self) -> None:
        """Delete the jobs that are `keep` minutes old; one that is worked on is left alone."""
        now = time.time()
        for job in list(self.jobs.values()):
            if job is not self.current and now > job.made + 60 * self.serve.keep:
                await self.remove(job)


def _delete(folder: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(folder)
