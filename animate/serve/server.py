"""Run the server: an address at once, the page as soon as it is loaded."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from animate.errors import AnimateError
from animate.options import Serve

NEEDED = ("starlette", "uvicorn", "multipart", "websockets")
CONNECTIONS = 200  # at once; the next ones are told that the server is busy
WAITING = 64  # connections that wait until the server has loaded
PREFIX, LOCK = "animate-serve-", "lock"  # names of a server's folder, and of a file in it
LARGEST_MESSAGE = 32 << 20  # bytes of a WebSocket's message


def run(serve: Serve, overrides: Sequence[str], announce: Callable[[str], None]) -> None:
    """Serve until interrupted; `announce` is called with the address, before anything is loaded.

    Raises AnimateError where a package is missing, and where the address can't be used.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise AnimateError(
            f"the page needs the package {missing[0]}: pip install 'animate[page]', or use "
            "bash scripts/page.sh"
        )
    token = chosen_token(serve)
    with listening(serve) as listener:
        announce(address(serve, listener.getsockname()[1], token))
        _serve(serve, overrides, listener, token)


def chosen_token(serve: Serve) -> str | None:
    """What visitors must show: given, or random, or nothing."""
    if serve.token == "none" or (serve.token == "auto" and serve.private):
        return None
    return secrets.token_urlsafe(24) if serve.token == "auto" else serve.token


def listening(serve: Serve) -> socket.socket:
    """A socket that takes connections at the address; they wait until the server has loaded."""
    family = socket.AF_INET6 if ":" in serve.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((serve.host, serve.port))
        listener.listen(WAITING)
    except OSError as error:
        listener.close()
        raise AnimateError(
            f"{serve.host} port {serve.port} can't be used ({error.strerror or error}): use "
            "another, or --port 0 for a free one"
        ) from error
    return listener


def address(serve: Serve, port: int, token: str | None) -> str:
    """The address to open, with the token."""
    if serve.name:
        place = f"https://{serve.name}"
    else:
        host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(
            serve.host, f"[{serve.host}]" if ":" in serve.host else serve.host
        )
        place = f"http://{host}:{port}"
    return f"{place}/" + (f"?token={token}" if token else "")


def _serve(
    serve: Serve, overrides: Sequence[str], listener: socket.socket, token: str | None
) -> None:
    import uvicorn

    from animate.serve.app import application

    with private_folder() as private:
        kept, tempfile.tempdir = tempfile.tempdir, str(private)  # for large uploads
        try:
            app = application(serve, private / "files", token, overrides)
            config = uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                ws_max_size=LARGEST_MESSAGE,
                ws_per_message_deflate=False,  # pictures are compressed already
                limit_concurrency=CONNECTIONS,
                timeout_keep_alive=15,
                timeout_graceful_shutdown=2,
                proxy_headers=False,
            )
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            tempfile.tempdir = kept


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder (0700) for all files of this server, deleted at the end.

    First deletes those that servers left behind which were killed: nobody holds their lock.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            if left.lstat().st_uid == os.getuid() and not left.is_symlink():
                with (left / LOCK).open("rb") as file:
                    _lock(file.fileno())
                    shutil.rmtree(left)
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as place,
        (Path(place) / LOCK).open("wb") as file,
    ):
        _lock(file.fileno())
        yield Path(place)


def _lock(number: int) -> None:
    """Take a file's lock. Raises OSError where another process holds it."""
    import fcntl

    fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
