"""Drafts: hidden files beside the result, which get its name at once or vanish."""

from __future__ import annotations

import errno
import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from animate.errors import AnimateError
from animate.media.files import shortened


def new_draft(out: Path) -> Path:
    """An empty hidden file beside `out`, named after it, this machine and this process."""
    name = f".{shortened(out.name)}.{host()}-{os.getpid()}-{secrets.token_hex(4)}.part"
    draft = out.parent / name
    with writing(out):
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return draft


class Drafts:
    """Drafts beside `out`; all but the one that was renamed vanish when the with-block ends."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.made: list[Path] = []

    def __enter__(self) -> Drafts:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove those made so far."""
        for path in self.made:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def new(self) -> Path:
        self.made.append(new_draft(self.out))
        return self.made[-1]


def host() -> str:
    return re.sub(r"[^A-Za-z0-9]", "", socket.gethostname())[:40] or "localhost"


def sweep(folder: Path) -> None:
    """Remove the drafts that processes of this machine left here when they were killed."""
    with suppress(OSError):
        for draft in folder.glob(f".*.{host()}-*-*.part"):
            process = re.search(r"-(\d+)-[0-9a-f]{8}\.part$", draft.name)
            if process and not alive(int(process[1])):
                draft.unlink(missing_ok=True)


def alive(process: int) -> bool:
    if os.name == "nt":  # there os.kill would end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Turn an OSError into an AnimateError that says in one line what the disk refused."""
    try:
        yield
    except FileExistsError as error:
        raise AnimateError(f"{out} exists: use --force to replace it, or another name") from error
    except OSError as error:
        raise AnimateError(trouble(out, error.errno, error.strerror or str(error))) from error


def trouble(out: Path, number: int | None, words: str) -> str:
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"{out} can't be written, the disk is full ({words}): free some space, or use another"
        )
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{out.parent} can't be written to ({words}): use another folder"
    return f"{out} can't be written ({words}): use another place"


def rename(draft: Path, out: Path, force: bool) -> None:
    """Give the draft its name at once; without `force` not over a file that came meanwhile."""
    if force:
        os.replace(draft, out)
        return
    try:
        os.link(draft, out)  # atomic, and fails where `out` exists
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(out):
            raise FileExistsError(errno.EEXIST, "it exists", str(out)) from None
        os.rename(draft, out)
