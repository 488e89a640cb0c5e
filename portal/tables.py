"""Write flat records as CSV, JSON, JSON lines and Parquet. No Django."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any, NamedTuple

# A cell that starts like this is run as a formula by spreadsheet programs.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\0")


class Writer(NamedTuple):
    content_type: str
    write: Callable[[list[dict[str, Any]]], bytes]


def to_csv(rows: list[dict[str, Any]]) -> bytes:
    """UTF-8 with BOM (spreadsheets need it), missing values empty, formulas made harmless."""
    buffer = io.StringIO()
    if rows:
        writer = csv.DictWriter(buffer, fieldnames=list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _harmless(value) for name, value in row.items()})
    return buffer.getvalue().encode("utf-8-sig")


def to_json(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps(rows, ensure_ascii=False, indent=1, allow_nan=False).encode()


def to_jsonl(rows: list[dict[str, Any]]) -> bytes:
    lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode()


def to_parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


WRITERS = {
    "csv": Writer("text/csv; charset=utf-8", to_csv),
    "json": Writer("application/json", to_json),
    "jsonl": Writer("application/jsonl; charset=utf-8", to_jsonl),
    "parquet": Writer("application/vnd.apache.parquet", to_parquet),
}


def _harmless(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
