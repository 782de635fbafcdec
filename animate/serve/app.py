"""The web application: routes and the state that they share."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from animate import __version__
from animate.config import run_options
from animate.errors import AnimateError
from animate.options import Options, Serve
from animate.serve import form, uploads
from animate.serve.guard import Guard
from animate.serve.jobs import Job, Queue
from animate.serve.openapi import description
from animate.serve.uploads import BusyError, Upload
from animate.serve.workers import Pool, Worker
from animate.system.paths import folder
from animate.verification.names import SCHEMA

PAGE = Path(__file__).parent / "page"
LOOKERS, LOOKS = 2, 8  # processes that look at files, files that may wait for them
LOOK, VERIFY = 30.0, 120.0  # most seconds to find the faces in a photo, to verify a file
LOAD = 120.0  # most seconds to load the model
TILES = 9  # most photos of a grid
VERIFIED = 10  # most files that are verified at once
SHOWN = {  # first bytes of files that browsers show, and that are sent back to their owner
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG": "image/png",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
    b"\x1aE\xdf\xa3": "video/webm",
}


class House:
    """State that the routes share: settings, workers, the queue, the private folder."""

    def __init__(self, serve: Serve, folder: Path, overrides: Sequence[str] = ()) -> None:
        self.serve, self.folder, self.overrides = serve, folder, list(overrides)
        folder.mkdir(mode=0o700, exist_ok=True)
        self.options = run_options(overrides) if overrides else Options()
        self.lookers = Pool("look", overrides, LOOKERS, LOOKS)
        self.animator = Worker("animate", overrides)
        self.queue = Queue(serve, folder, self.animator)
        self.ready = False
        self.sessions = 0  # live ones
        self.error: str | None = None

    @property
    def whole(self) -> bool:
        """Whether animation is offered, not the detector alone."""
        return self.serve.only == "all"

    @property
    def most(self) -> int:
        """The largest upload, bytes."""
        return self.serve.upload << 20

    async def open(self) -> None:
        """Start the workers, and load the model where it is used."""
        try:
            await self.lookers.ask("ready", {}, LOAD)
            if self.whole:
                await self.animator.ask("ready", {}, LOAD)
            self.ready = True
        except AnimateError as error:
            self.error = str(error)

    def close(self) -> None:
        """End the workers and delete all files."""
        for worker in [*self.lookers.workers, self.animator]:
            worker.stop()
        with suppress(OSError):
            shutil.rmtree(self.folder)


def application(
    serve: Serve, private: Path, token: str | None = None, overrides: Sequence[str] = ()
) -> Starlette:
    """The page and its API; `private` is the folder for all files, deleted at the end.

    `token` is what visitors must show, None for nothing. `overrides` are settings of `animate run`.
    Raises AnimateError for wrong ones.
    """
    house = House(serve, private, overrides)

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        tasks = [house.open(), house.queue.work(), house.queue.tidy()]
        running = [asyncio.create_task(task) for task in tasks]
        try:
            yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.to_thread(house.close)

    app = Starlette(
        routes=_routes(house),
        middleware=[Middleware(Guard, serve=serve, token=token)],
        exception_handlers={
            AnimateError: _refused,
            BusyError: _busy,
            HTTPException: _failed,
        },
        lifespan=life,
    )
    app.state.house = house
    return app


def _routes(house: House) -> list[BaseRoute]:
    found: list[BaseRoute] = [
        Route("/api/health", health),
        Route("/api/openapi.json", openapi),
        Route("/api/verify", verify, methods=["POST"]),
    ]
    if house.whole:
        from animate.serve.live import live

        found += [
            Route("/api/settings", settings),
            Route("/api/examples", examples),
            Route("/api/examples/{name}", example),
            Route("/api/faces", faces, methods=["POST"]),
            Route("/api/animate", create, methods=["POST"]),
            Route("/api/animate/{id}", show, methods=["GET"]),
            Route("/api/animate/{id}", delete, methods=["DELETE"]),
            Route("/api/animate/{id}/preview", preview),
            Route("/api/animate/{id}/result", result),
            Route("/api/animate/{id}/photos/{number:int}", photo),
            Route("/api/animate/{id}/clip", clip),
            WebSocketRoute("/api/live", live),
        ]
    return [*found, Mount("/", StaticFiles(directory=PAGE, html=True))]


def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


# ---------------------------------------------------------------- about the server


async def health(request: Request) -> Response:
    """Whether the server is ready, and how much it has to do."""
    house = _house(request)
    return JSONResponse(
        {
            "version": __version__,
            "ready": house.ready,
            "error": house.error,
            "offers": ["animate", "live", "verify"] if house.whole else ["verify"],
            "queue": len(house.queue.open),
            "limits": {
                "bytes": house.most,
                "megapixels": house.serve.pixels,
                "seconds": house.serve.seconds,
                "photos": TILES,
                "files": VERIFIED,
                "minutes": house.serve.keep,
            },
        }
    )


async def openapi(request: Request) -> Response:
    """The description of this API."""
    return JSONResponse(description(__version__, _house(request).whole))


async def settings(request: Request) -> Response:
    """The settings of an animation, by group."""
    return JSONResponse({"groups": form.form(_house(request).options)})


async def examples(request: Request) -> Response:
    """The names of the example photo and drivers."""
    names = [path.name for path in _examples()]
    return JSONResponse({"examples": names})


async def example(request: Request) -> Response:
    """An example file."""
    name = request.path_params["name"]
    path = next((path for path in _examples() if path.name == name), None)
    if path is None:
        raise HTTPException(404, "there is no such example: see /api/examples")
    return FileResponse(path)


def _examples() -> list[Path]:
    home = folder("docs/examples")
    return sorted(path for path in home.glob("*.*") if path.suffix in (".jpg", ".mp4"))


# ---------------------------------------------------------------- verify


async def verify(request: Request) -> Response:
    """The report on each file, as `animate verify --json` prints it; nothing is stored."""
    house = _house(request)
    async with uploads.form(request, house.most) as data:
        parts = uploads.files(data, "file")
        if not 1 <= len(parts) <= VERIFIED:
            raise AnimateError(f"send 1 to {VERIFIED} files as `file`")
        with house.queue.scratch() as place:
            wants = uploads.texts(data).get("evidence") == "true"
            found = [await _verified(house, upload, wants) for upload in await _kept(parts, place)]
    unreadable = sum(each["verdict"] == "unreadable" for each in found)
    return JSONResponse({"schema": SCHEMA, "files": found, "unreadable": unreadable})


async def _kept(parts: Sequence[Any], place: Path) -> list[Upload]:
    """The files to verify; a manifest NAME.c2pa goes beside the file NAME that came with it."""
    names = [uploads.shown_name(part.filename or "") for part in parts]
    kept = []
    for number, (part, name) in enumerate(zip(parts, names, strict=True)):
        of = name.removesuffix(".c2pa")
        beside = of != name and of in names
        path = place / (f"{names.index(of)}.file.c2pa" if beside else f"{number}.file")
        upload = await uploads.keep(part, path)
        if not beside:
            kept.append(upload)
    return kept


async def _verified(house: House, upload: Upload, evidence: bool) -> dict[str, Any]:
    """The report on a file; `evidence` is a drawing of it, a JPEG as a data URL."""
    from base64 import b64encode

    path = str(upload.path)
    ask = {"path": path, "names": {path: upload.name}, "evidence": evidence}
    try:
        report, drawn = await house.lookers.ask("verify", ask, VERIFY)
    except AnimateError as error:
        return {"path": upload.name, "verdict": "unreadable", "error": str(error)}
    if drawn:
        report["evidence"] = "data:image/jpeg;base64," + b64encode(drawn).decode()
    return report


# ---------------------------------------------------------------- animate


async def faces(request: Request) -> Response:
    """The faces in a photo, from the left."""
    house = _house(request)
    async with uploads.form(request, house.most) as data:
        parts = uploads.files(data, "photo")
        if len(parts) != 1:
            raise AnimateError("send one file as `photo`")
        with house.queue.scratch() as place:
            upload = await uploads.keep(parts[0], place / "photo")
            path = str(upload.path)
            ask = {"path": path, "names": {path: upload.name}, "pixels": house.serve.pixels}
            found, _ = await house.lookers.ask("faces", ask, LOOK)
    return JSONResponse(found)


async def create(request: Request) -> Response:
    """Put an animation into the queue."""
    house = _house(request)
    house.queue.check_room()  # before the upload
    async with uploads.form(request, house.most) as data:
        photos, clips = uploads.files(data, "photo"), uploads.files(data, "clip")
        if not 1 <= len(photos) <= TILES or len(clips) != 1:
            raise AnimateError(f"send 1 to {TILES} files as `photo` and one as `clip`")
        chosen = _chosen(house, uploads.texts(data).get("settings", "{}"))
        place = house.queue.new_folder()
        try:
            kept = [
                await uploads.keep(part, place / f"photo-{number}")
                for number, part in enumerate(photos, 1)
            ]
            driver = await uploads.keep(clips[0], place / "clip")
            job = house.queue.add(place, kept, driver, chosen)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)  # not awaited, so not cancelled
            raise
    return JSONResponse(house.queue.described(job), 202, {"Location": f"/api/animate/{job.id}"})


def _chosen(house: House, text: str) -> dict[str, Any]:
    """The settings that a client sent. Raises AnimateError for wrong ones."""
    try:
        chosen = json.loads(text)
    except ValueError as error:
        raise AnimateError("`settings` is no JSON: send an object of settings") from error
    if not isinstance(chosen, dict):
        raise AnimateError("`settings` is no JSON object: send one, such as {}")
    form.changed(house.options, chosen)
    return chosen


def _job(request: Request) -> Job:
    job = _house(request).queue.jobs.get(request.path_params["id"])
    if job is None:
        raise HTTPException(404, "there is no such animation, or its files were deleted")
    return job


async def show(request: Request) -> Response:
    """The state of an animation."""
    return JSONResponse(_house(request).queue.described(_job(request)))


async def delete(request: Request) -> Response:
    """Stop an animation and delete its files."""
    await _house(request).queue.remove(_job(request))
    return Response(status_code=204)


async def preview(request: Request) -> Response:
    """The newest preview of an animation, marked like its result."""
    job = _job(request)
    if job.preview is None:
        raise HTTPException(404, "there is no picture yet: ask again soon")
    return Response(job.preview, media_type="image/jpeg")


async def result(request: Request) -> Response:
    """The published file."""
    job = _job(request)
    if job.out is None:
        raise HTTPException(404, "there is no result yet: ask for the state first")
    media = "image/png" if job.out.suffix == ".png" else "video/mp4"
    stem = Path(job.photos[0].name).stem if job.photos else "live"
    name = f"{stem}-animated{job.out.suffix}"
    return FileResponse(job.out, media_type=media, filename=name)


async def photo(request: Request) -> Response:
    """A photo of an animation, as it was sent."""
    job, number = _job(request), request.path_params["number"]
    if not 1 <= number <= len(job.photos):
        raise HTTPException(404, f"this animation has {len(job.photos)} photos, counted from 1")
    return _sent_back(job.photos[number - 1])


async def clip(request: Request) -> Response:
    """The driver of an animation, as it was sent."""
    job = _job(request)
    if not job.drivers:
        raise HTTPException(404, "there is no clip: this was recorded live")
    return _sent_back(job.drivers[0])


def _sent_back(upload: Upload) -> Response:
    """A file for its owner, if browsers show its kind: nothing that they could run."""
    with upload.path.open("rb") as file:
        head = file.read(12)
    kind = next((media for start, media in SHOWN.items() if head.startswith(start)), None)
    if head[4:8] == b"ftyp":
        kind = "image/avif" if head[8:12] in (b"avif", b"avis") else "video/mp4"
    if kind is None:
        raise HTTPException(415, "browsers don't show files of this kind")
    return FileResponse(
        upload.path, media_type=kind, headers={"Content-Security-Policy": "sandbox"}
    )


# ---------------------------------------------------------------- errors


async def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 422)


async def _busy(request: Request, error: Exception) -> Response:
    assert isinstance(error, BusyError)
    return JSONResponse(
        {"error": str(error), "busy": True}, 503, {"Retry-After": str(error.seconds)}
    )


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
