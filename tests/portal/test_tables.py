"""CSV, JSON and Parquet hold the records, and CSV runs nothing in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.tables import BATCH, to_bytes

ROWS: list[dict[str, Any]] = [
    {"model": "Viking 7B, “bf16”", "value": 0.123456789012345, "asked": None, "valid": True},
    {"model": "Zeile\nzwei; \u2028 家", "value": None, "asked": 100, "valid": False},
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "name": TEXT,
            "value": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "count": st.none() | st.integers(-(2**62), 2**62),
        }
    ),
    min_size=1,
    max_size=5,
)


def read_csv(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_csv_holds_the_records_with_nothing_for_missing() -> None:
    first, second = read_csv(to_bytes("csv", ROWS))
    assert first == {
        "model": ROWS[0]["model"], "value": "0.123456789012345", "asked": "", "valid": "True",
    }  # fmt: skip
    assert (second["model"], second["value"], second["asked"]) == (ROWS[1]["model"], "", "100")


@given(RECORDS)
@settings(deadline=None, max_examples=50)
def test_json_and_parquet_come_back_as_they_were(rows: list[dict[str, Any]]) -> None:
    from pyarrow import parquet

    assert json.loads(to_bytes("json", rows)) == rows
    assert parquet.read_table(io.BytesIO(to_bytes("parquet", rows))).to_pylist() == rows


def test_no_records_are_still_a_file() -> None:
    from pyarrow import parquet

    assert read_csv(to_bytes("csv", [])) == []
    assert json.loads(to_bytes("json", [])) == []
    assert parquet.read_table(io.BytesIO(to_bytes("parquet", []))).num_rows == 0


@given(start=st.sampled_from(["=", "+", "-", "@", "\t", "\r"]), rest=TEXT)
@settings(deadline=None, max_examples=50)
def test_no_cell_of_a_csv_starts_a_formula(start: str, rest: str) -> None:
    (row,) = read_csv(to_bytes("csv", [{"model": start + rest}]))
    assert row["model"] == f"'{start}{rest}"


@pytest.mark.parametrize("number", [-0.25, -3, 1.5e-7])
def test_numbers_stay_numbers(number: float) -> None:
    (row,) = read_csv(to_bytes("csv", [{"value": number}]))
    assert float(row["value"]) == number


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_what_only_later_rows_have_is_a_column_too(kind: str) -> None:
    assert b"later" in to_bytes(kind, [{"first": 1}, {"first": None, "later": "x"}])


def test_declared_columns_keep_their_types_where_all_is_missing() -> None:
    from pyarrow import parquet

    columns = {"value": float, "at": datetime}
    empty = parquet.read_table(io.BytesIO(to_bytes("parquet", [{"value": None}], columns)))
    assert [str(field.type) for field in empty.schema] == ["double", "timestamp[us, tz=UTC]"]
    assert to_bytes("csv", [], columns).decode("utf-8-sig") == "value,at\r\n"


def test_many_rows_are_written_without_holding_them() -> None:
    alive: set[int] = set()
    most = 0

    class Held(dict[str, Any]):
        def __del__(self) -> None:
            alive.discard(id(self))

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal most
        for number in range(20_000):
            row = Held(number=number, text="x")
            alive.add(id(row))
            most = max(most, len(alive))
            yield row

    for kind in ("csv", "json", "parquet"):
        most = 0
        to_bytes(kind, rows(), {"number": int, "text": str})
        assert most <= 2 * BATCH
