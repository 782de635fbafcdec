"""Standard output and error that end the command, not its meaning, when nobody can read them.

Python ignores SIGPIPE, and exits with 1 or 120 where its output can't be written: for `verify`, 1
is a verdict. Here a reader that has gone ends the command as a signal would, with 128 + 13; any
other failure of the output with `UNWRITTEN`, after a line on standard error.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress

GONE = 128 + 13  # what a shell says of a program that SIGPIPE ended
UNWRITTEN = 74  # EX_IOERR of sysexits.h


class Stream(io.RawIOBase):
    """A descriptor for writing; the first failure ends the program."""

    def __init__(self, number: int, tells: bool):
        self.number = number
        self.tells = tells  # whether a failure is worth a line: not one of standard error

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.number

    def isatty(self) -> bool:
        return os.isatty(self.number)

    def write(self, data) -> int:  # type: ignore[no-untyped-def, override]
        try:
            return os.write(self.number, data)
        except OSError as error:
            self._silence()
            if error.errno == errno.EPIPE:
                sys.exit(GONE)
            if self.tells:
                why = "it is closed" if error.errno == errno.EBADF else error.strerror
                print(f"animate: the output can't be written: {why}", file=sys.stderr)
                sys.exit(UNWRITTEN)
            return len(data)  # there is nowhere to say so

    def _silence(self) -> None:
        """Let nothing more fail: what is still in buffers goes nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        if nowhere != self.number:
            os.dup2(nowhere, self.number)
            os.close(nowhere)


def guard() -> None:
    """Put `Stream`s under the standard output and error of this process.

    A closed descriptor is taken first, so that no file that is opened later gets its number.
    """
    reserved = []
    while (number := os.open(os.devnull, os.O_RDONLY)) < 3:  # writing to it fails: EBADF
        reserved.append(number)
    os.close(number)
    for name, number in (("stdout", 1), ("stderr", 2)):
        old = getattr(sys, name)
        raw = Stream(number, tells=name == "stdout")
        encoding = old.encoding if old is not None else "utf-8"
        setattr(
            sys,
            name,
            io.TextIOWrapper(
                io.BufferedWriter(raw),
                encoding=encoding,
                errors="backslashreplace",  # names that the encoding lacks
                line_buffering=name == "stderr" or raw.isatty(),
            ),
        )


def flush() -> None:
    """Write what is still in buffers, while a failure can still be told by the exit code."""
    sys.stdout.flush()
    with suppress(ValueError):
        sys.stderr.flush()
