"""Write flat records as CSV, JSON, JSON lines and Parquet. No Django.

Numbers keep every digit, what is missing is empty or null (never 0), times are ISO 8601.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain, islice
from typing import IO, Any, NamedTuple

# A cell that starts like this is run as a formula by spreadsheet programs.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\0")
BATCH = 2_000  # rows that are held at once

Rows = Iterable[Mapping[str, Any]]
# Each column with the type of its values: str, int, float, bool or datetime.
Columns = Mapping[str, type]


class Writer(NamedTuple):
    """``write(file, rows, columns)``; without columns the rows are held and their names joined."""

    content_type: str
    write: Callable[[IO[bytes], Rows, Columns | None], None]


def write_csv(file: IO[bytes], rows: Rows, columns: Columns | None = None) -> None:
    """UTF-8 with BOM (spreadsheets need it), missing values empty, formulas made harmless."""
    names, rows = _named(rows, columns)
    text = io.TextIOWrapper(file, "utf-8-sig", newline="", write_through=True)
    writer = csv.DictWriter(text, names, restval="")
    if names:
        writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(row.get(name)) for name in names})
    text.detach()


def write_json(file: IO[bytes], rows: Rows, columns: Columns | None = None) -> None:
    """A list of objects, each with every column."""
    names, rows = _named(rows, columns)
    before = "[\n"
    for row in rows:
        file.write((before + _object(row, names)).encode())
        before = ",\n"
    file.write(b"[]" if before == "[\n" else b"\n]")


def write_jsonl(file: IO[bytes], rows: Rows, columns: Columns | None = None) -> None:
    names, rows = _named(rows, columns)
    for row in rows:
        file.write((_object(row, names) + "\n").encode())


def write_parquet(file: IO[bytes], rows: Rows, columns: Columns | None = None) -> None:
    """With columns, one row group a batch and the types told; without, types as the values'."""
    import pyarrow as pa
    from pyarrow import parquet

    if columns is None:
        names, rows = _named(rows, None)
        parquet.write_table(pa.Table.from_pylist([_full(row, names) for row in rows]), file)
        return
    types = {
        str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(),
        datetime: pa.timestamp("us", tz="UTC"),
    }  # fmt: skip
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    with parquet.ParquetWriter(file, schema) as writer:
        for batch in _batches(rows):
            whole = [_full(row, columns) for row in batch]
            writer.write_table(pa.Table.from_pylist(whole, schema))


WRITERS = {
    "csv": Writer("text/csv; charset=utf-8", write_csv),
    "json": Writer("application/json", write_json),
    "jsonl": Writer("application/jsonl; charset=utf-8", write_jsonl),
    "parquet": Writer("application/vnd.apache.parquet", write_parquet),
}


def to_bytes(kind: str, rows: Rows, columns: Columns | None = None) -> bytes:
    """A small table, whole."""
    buffer = io.BytesIO()
    WRITERS[kind].write(buffer, rows, columns)
    return buffer.getvalue()


def _named(rows: Rows, columns: Columns | None) -> tuple[list[str], Rows]:
    """The names of the columns in the order of their first sight, and the rows."""
    if columns is not None:
        return list(columns), rows
    held = list(rows)
    return list(dict.fromkeys(chain.from_iterable(held))), held


def _batches(rows: Rows) -> Iterator[list[Mapping[str, Any]]]:
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch


def _full(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: row.get(name) for name in names}


def _object(row: Mapping[str, Any], names: Iterable[str]) -> str:
    return json.dumps(_full(row, names), ensure_ascii=False, allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no cell")


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
