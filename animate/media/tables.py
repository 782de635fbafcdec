"""Read CSV tables with commas, semicolons or tabs, in UTF-8 or UTF-16."""

from __future__ import annotations

import codecs
import csv
import io
import re
from pathlib import Path

from animate.errors import AnimateError
from animate.media.files import existing
from animate.media.pipes import through_pipes

LARGEST = 256 << 20  # bytes of the largest table that is read
# Encoding for each byte order mark at the start of a file.
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@through_pipes("path")
def read_table(path: Path, wanted: str) -> tuple[list[str], list[dict[str, str]]]:
    """The column names and the rows of a CSV, with cells stripped of surrounding spaces.

    The first line names the columns and shows the separator. Raises AnimateError, ending in the
    advice `wanted`, for an unreadable table, and for a row with more cells than columns.
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
        first, _, others = text.partition("\n")
        if re.fullmatch(r"sep=[,;\t]\s*", first):  # Excel's line that declares the separator
            by, text = first[4], others
        else:
            by = max(",;\t", key=first.count)
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=by, strict=True)
        columns = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = columns
        rows = list(reader)
    except UnicodeDecodeError as error:
        raise AnimateError(
            f"{path} is in neither UTF-8 nor UTF-16: save it as CSV UTF-8; {wanted}"
        ) from error
    except (OSError, csv.Error) as error:
        raise AnimateError(f"{path} can't be read as a CSV ({error}): {wanted}") from error
    for number, row in enumerate(rows, 2):
        if any(cell.strip() for cell in row.pop(None, None) or ()):  # type: ignore[call-overload]
            raise AnimateError(
                f"row {number} of {path} has more cells than there are columns: put quotes around "
                "a cell that holds the separator"
            )
    return columns, [{k: (v or "").strip() for k, v in row.items()} for row in rows]


def _encoding(data: bytes) -> str:
    """The encoding by the byte order mark, else UTF-16 if one of the first two bytes is 0."""
    for mark, name in MARKS.items():
        if data.startswith(mark):
            return name
    if b"\0" in data[:2]:
        return "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    return "utf-8"
