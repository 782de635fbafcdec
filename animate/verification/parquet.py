"""Verdicts as a Parquet file: a row for each file, and the whole report in its last column."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from animate.errors import AnimateError
from animate.system.atomic import replacing

ROWS = 4096  # in memory at a time
REPORT = "report"


def check() -> None:
    """Raise AnimateError where Parquet files can't be written."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise AnimateError(
            "verdicts in Parquet need pyarrow: pip install 'animate[parquet]', or use .jsonl"
        ) from error


def lines(path: Path) -> Iterator[str]:
    """The reports in a file as lines of JSON; AnimateError for a file without any."""
    import pyarrow
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(ROWS, columns=[REPORT]):
                yield from (str(each) for each in batch.column(0).to_pylist())
    except (pyarrow.ArrowException, OSError, IndexError) as error:
        raise AnimateError(f"{path} holds no verdicts: name another file") from error


def write(path: Path, reports: Iterable[str]) -> None:
    """Write reports, as lines of JSON, which may come from the file itself; all or nothing."""
    import pyarrow
    import pyarrow.parquet as pq

    from animate.system.parallel import chunks

    schema = _schema()
    with replacing(path) as draft, pq.ParquetWriter(draft, schema) as writer:
        for rows in chunks(map(_row, reports), ROWS):
            writer.write_table(pyarrow.Table.from_pylist(rows, schema))


def _schema() -> Any:
    import pyarrow as pa

    texts = ("path", "verdict", "error", "payload", "key", "signature", "signer")
    return pa.schema([
        *((name, pa.string()) for name in texts[:3]),
        ("reasons", pa.list_(pa.string())), ("marked", pa.bool_()), ("p_value", pa.float64()),
        *((name, pa.string()) for name in (*texts[3:], REPORT)),
    ])  # fmt: skip


def _row(line: str) -> dict[str, Any]:
    """The columns of a report; those of the mark and the signature are null if it has none."""
    report = json.loads(line)
    mark, signature = report.get("mark") or {}, report.get("signature") or {}
    return {
        "path": _text(report["path"]),
        "verdict": report["verdict"],
        "error": _text(report.get("error")),
        "reasons": None if "reasons" not in report else [_text(r) for r in report["reasons"]],
        "marked": mark.get("found"),
        "p_value": mark.get("p_value"),
        "payload": mark.get("payload"),
        "key": _text((mark.get("key") or {}).get("name")),
        "signature": signature.get("state"),
        "signer": _text(signature.get("name")),
        REPORT: line.rstrip("\n"),
    }


def _text(value: str | None) -> str | None:
    """A text that UTF-8 can hold."""
    return value and value.encode("utf-8", "backslashreplace").decode()
