"""Read CSV tables with commas, semicolons or tabs, in UTF-8 or UTF-16."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from animate.errors import AnimateError
from animate.media.files import existing
from animate.media.pipes import through_pipes
from animate.system.text import safe

LARGEST = 256 << 20  # bytes of the largest table that is read
# Encoding for each byte order mark at the start of a file.
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class Row:
    """The cells of a row by column name, and the line of the file where the row begins."""

    line: int
    cells: dict[str, str]


@through_pipes("path")
def read_table(path: Path, wanted: str) -> tuple[list[str], list[Row]]:
    """The column names and the rows of a CSV, with cells stripped of surrounding spaces.

    The first line that isn't blank names the columns and shows the separator. Rows of blank cells
    are left out. Raises AnimateError, ending in the advice `wanted`, for an unreadable table, for
    two columns of one name, and for a row with more cells than columns.
    """
    path = existing(path)
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise csv.Error("it is too large")
        text = data.decode(_encoding(data))
        if "\0" in text:
            raise csv.Error("it holds a NUL character")
        records = list(_records(text))
    except UnicodeDecodeError as error:
        raise AnimateError(
            f"{path} is in neither UTF-8 nor UTF-16: save it as CSV UTF-8; {wanted}"
        ) from error
    except (OSError, csv.Error) as error:
        raise AnimateError(f"{path} can't be read as a CSV ({error}): {wanted}") from error
    columns = records[0][1] if records else []
    twice = next((name for name in columns if name and columns.count(name) > 1), None)
    if twice is not None:
        raise AnimateError(f"{path} has two columns {safe(twice)}: delete or rename one")
    return columns, [_row(path, line, columns, cells) for line, cells in records[1:]]


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """The first line, counted from 1, and the cells of each record that is not blank."""
    lines = list(io.StringIO(text, newline=""))
    start, by = 0, ""
    while start < len(lines) and not lines[start].strip(",; \t\r\n"):
        start += 1
    first = lines[start] if start < len(lines) else ""
    if re.fullmatch(r"sep=[,;\t]\s*", first):  # Excel's line that declares the separator
        start, by = start + 1, first[4]
    reader = csv.reader(lines[start:], delimiter=by or max(",;\t", key=first.count), strict=True)
    before = 0
    for cells in reader:
        cells = [cell.strip() for cell in cells]
        if any(cells):
            yield start + before + 1, cells
        before = reader.line_num


def _row(path: Path, line: int, columns: list[str], cells: list[str]) -> Row:
    if any(cells[len(columns) :]):
        raise AnimateError(
            f"line {line} of {path} has more cells than there are columns: put quotes around a "
            "cell that holds the separator"
        )
    filled = [*cells, *[""] * (len(columns) - len(cells))]
    return Row(line, dict(zip(columns, filled, strict=False)))


def _encoding(data: bytes) -> str:
    """The encoding by the byte order mark, else UTF-16 if one of the first two bytes is 0."""
    for mark, name in MARKS.items():
        if data.startswith(mark):
            return name
    if b"\0" in data[:2]:
        return "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    return "utf-8"
