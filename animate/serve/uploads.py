"""Take uploads into a private folder, within limits; nothing that a client names becomes a path."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from animate.errors import AnimateError
from animate.system.text import safe

FILES, TEXTS, TEXT = 12, 8, 64 << 10  # most files and other fields of a form; bytes of one of these
PATIENCE = 300.0  # seconds for one upload
LONGEST = 100  # letters of a file's name that are shown


class BusyError(Exception):
    """The server is too busy: the client may try again after `seconds`."""

    def __init__(self, what: str, seconds: int = 10) -> None:
        super().__init__(what)
        self.seconds = seconds


@dataclass(frozen=True)
class Upload:
    """An uploaded file, and its owner's name for it."""

    path: Path
    name: str


def limited(request: Request, most: int) -> Request:
    """The request, whose body may have `most` bytes. Raises HTTPException 413 for a larger one."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > most:
        raise too_large(most)
    return Request(request.scope, counted(request.receive, most))


def counted(receive: Receive, most: int) -> Receive:
    """The body's pieces; raises HTTPException 413 as soon as they exceed `most` bytes."""
    seen = 0

    async def piece() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise too_large(most)
        return message

    return piece


def too_large(most: int) -> HTTPException:
    return HTTPException(413, f"an upload may have at most {most >> 20} MiB: use smaller files")


@asynccontextmanager
async def form(request: Request, most: int) -> AsyncIterator[FormData]:
    """The fields and files of a multipart form of at most `most` bytes."""
    reading = limited(request, most).form(max_files=FILES, max_fields=TEXTS, max_part_size=TEXT)
    try:
        data = await asyncio.wait_for(reading, PATIENCE)
    except asyncio.TimeoutError as error:
        raise HTTPException(408, "the upload took too long: use smaller files") from error
    try:
        yield data
    finally:
        await data.close()


def files(data: FormData, field: str) -> list[UploadFile]:
    """The files of a field."""
    return [part for part in data.getlist(field) if isinstance(part, UploadFile)]


def texts(data: FormData) -> Mapping[str, str]:
    """The fields that are no files."""
    return {key: value for key, value in data.items() if isinstance(value, str)}


async def keep(part: UploadFile, path: Path) -> Upload:
    """Copy a file of a form to `path`. Raises AnimateError for an empty one."""
    name = shown_name(part.filename or "")
    if not part.size:
        raise AnimateError(f"{name} is empty: use a whole file")
    await asyncio.to_thread(_copy, part, path)
    return Upload(path, name)


def _copy(part: UploadFile, path: Path) -> None:
    part.file.seek(0)
    with path.open("xb") as file:
        shutil.copyfileobj(part.file, file)


def shown_name(name: str) -> str:
    """A client's file name as words: without folders and odd characters, not too long."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return safe(last, LONGEST) or "file"
