"""End the command with its own exit code when standard output or error can't be written.

Python ignores SIGPIPE and exits with 1 or 120 if its output can't be written, but 1 is a verdict of
`verify`. Here the command ends with 128 + 13, as by SIGPIPE, if the reader has gone. After any
other failure it prints a line on standard error and ends with `UNWRITTEN`.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress

GONE = 128 + 13  # exit code that a shell reports after SIGPIPE (signal 13)
UNWRITTEN = 74  # exit code EX_IOERR of sysexits.h


class Stream(io.RawIOBase):
    """A file descriptor for writing; the first failed write ends the program."""

    def __init__(self, number: int, reports: bool):
        self.number = number
        self.reports = reports  # whether to print a failure: False for standard error itself

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
            if self.reports:
                why = "it is closed" if error.errno == errno.EBADF else error.strerror
                print(f"animate: the output can't be written: {why}", file=sys.stderr)
                sys.exit(UNWRITTEN)
            return len(data)  # dropped: there is no stream left to report on

    def _silence(self) -> None:
        """Send buffered and later output to os.devnull, so that no other write fails."""
        null = os.open(os.devnull, os.O_WRONLY)
        if null != self.number:
            os.dup2(null, self.number)
            os.close(null)


def guard() -> None:
    """Put a `Stream` under the standard output and the standard error of this process.

    First opens any closed descriptor below 3, so that no file opened later gets its number.
    """
    reserved = []
    while (number := os.open(os.devnull, os.O_RDONLY)) < 3:  # writing to it fails: EBADF
        reserved.append(number)
    os.close(number)
    for name, number in (("stdout", 1), ("stderr", 2)):
        old = getattr(sys, name)
        raw = Stream(number, reports=name == "stdout")
        encoding = old.encoding if old is not None else "utf-8"
        setattr(
            sys,
            name,
            io.TextIOWrapper(
                io.BufferedWriter(raw),
                encoding=encoding,
                errors="backslashreplace",  # for file names that the encoding can't express
                line_buffering=name == "stderr" or raw.isatty(),
            ),
        )


def flush() -> None:
    """Write the buffers while the exit code can still report a failure."""
    sys.stdout.flush()
    with suppress(ValueError):
        sys.stderr.flush()
