"""Read pipes as files: spool each once to a private file, and report the pipe's name in errors."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import select
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, ParamSpec, TypeVar

from animate.errors import AnimateError
from animate.media.files import existing

P = ParamSpec("P")
R = TypeVar("R")
PATIENCE = 5.0  # longest wait for the first byte of a named pipe, seconds
OWN = ("/dev/fd/", "/dev/stdin", "/proc/")  # paths that mean something else in another process
STDIN = Path("-")  # standard input, unless a file has that name


class Spool:
    """Temporary copies of pipes; made by `spooling`."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.names: dict[Path, Path] = {}  # path of each copy to the path of its pipe

    def file(self, path: Path) -> Path:
        """The path to read: a copy if `path` is a pipe or `-`, else `path` itself.

        Raises AnimateError for a device, and for a copy that can't be written.
        """
        if not _needs_copy(path):
            return path
        for kept, given in self.names.items():
            if given == path:
                return kept
        if self.folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="animate-"))  # private to its owner
        place = self.folder / str(len(self.names))
        place.mkdir()
        kept = place / ("stdin" if _is_stdin(path) else path.name)
        try:
            with _opened(path) as source, kept.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        except OSError as error:
            raise AnimateError(
                f"{path} can't be read or copied to {self.folder} ({error.strerror}): give a file"
            ) from error
        self.names[kept] = path
        return kept

    def files(self, value: Any) -> Any:
        """`file` for a path, a text, or a sequence of these; returns any other value unchanged."""
        if isinstance(value, (str, Path)):
            kept = self.file(Path(value))
            return kept if kept in self.names else value
        if isinstance(value, Sequence):
            return [self.files(one) for one in value]
        return value

    def named(self, text: str) -> str:
        """A text in which the names of pipes replace those of their copies."""
        for kept, given in self.names.items():
            text = text.replace(str(kept), str(given))
        return text


@contextmanager
def spooling() -> Iterator[Spool]:
    """A spool whose copies are deleted at the end; AnimateErrors name the pipes, not the copies."""
    spool = Spool()
    try:
        yield spool
    except AnimateError as error:
        if not spool.names:
            raise
        raise type(error)(spool.named(str(error))) from error
    finally:
        if spool.folder is not None:
            shutil.rmtree(spool.folder, ignore_errors=True)


def check_given(paths: Iterable[Path]) -> None:
    """Raise AnimateError for a path that nothing can be read from, before slow imports."""
    for path in paths:
        if not _needs_copy(path):
            existing(path)


def through_pipes(*names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function so that the arguments `names` may be pipes (`<(...)`, /dev/stdin)."""

    def decorate(call: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(call)

        @functools.wraps(call)
        def with_files(*args: P.args, **kwargs: P.kwargs) -> R:
            given = signature.bind(*args, **kwargs)
            with spooling() as spool:
                for name in names:
                    if name in given.arguments:
                        given.arguments[name] = spool.files(given.arguments[name])
                result: Any = call(*given.args, **given.kwargs)
            path = getattr(result, "path", None)
            if path in spool.names:
                result = dataclasses.replace(result, path=spool.names[path])
            return result

        return with_files

    return decorate


def _opened(path: Path) -> BinaryIO:
    """Open a pipe for reading.

    Raises AnimateError if a named pipe has no data within PATIENCE seconds; the shell's pipes
    always have a writer.
    """
    if _is_stdin(path):
        return os.fdopen(os.dup(0), "rb")
    if os.path.abspath(path).startswith(OWN):
        return path.open("rb")
    source = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not select.select([source], [], [], PATIENCE)[0]:
        os.close(source)
        raise AnimateError(f"{path} is a pipe that no program writes to: give a file")
    os.set_blocking(source, True)
    return os.fdopen(source, "rb")


def _needs_copy(path: Path) -> bool:
    """Whether a path can be read only once, or only in this process.

    Raises AnimateError for a device.
    """
    if _is_stdin(path):
        return _comes_in(path)
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise AnimateError(f"{path} is a device: give a file")
    if stat.S_ISREG(mode):
        return os.path.abspath(path).startswith(OWN)
    return not stat.S_ISDIR(mode)


def _is_stdin(path: Path) -> bool:
    return path == STDIN and not os.path.lexists(path)


def _comes_in(path: Path) -> bool:
    """True, once it is sure that something comes through standard input."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:  # it is closed
        mode = stat.S_IFCHR
    if stat.S_ISCHR(mode) or stat.S_ISDIR(mode):
        raise AnimateError(
            f"{path} is the standard input, through which nothing comes: give a file, or send one "
            "with `< FILE`"
        )
    return True
