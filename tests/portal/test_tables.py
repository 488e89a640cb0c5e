"""CSV, JSON and Parquet hold the records, and CSV runs nothing in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.tables import to_csv, to_json, to_parquet

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
    first, second = read_csv(to_csv(ROWS))
    assert first == {
        "model": ROWS[0]["model"], "value": "0.123456789012345", "asked": "", "valid": "True",
    }  # fmt: skip
    assert (second["model"], second["value"], second["asked"]) == (ROWS[1]["model"], "", "100")


@given(RECORDS)
@settings(deadline=None, max_examples=50)
def test_json_and_parquet_come_back_as_they_were(rows: list[dict[str, Any]]) -> None:
    from pyarrow import parquet

    assert json.loads(to_json(rows)) == rows
    assert parquet.read_table(io.BytesIO(to_parquet(rows))).to_pylist() == rows


def test_no_records_are_still_a_file() -> None:
    from pyarrow import parquet

    assert read_csv(to_csv([])) == []
    assert json.loads(to_json([])) == []
    assert parquet.read_table(io.BytesIO(to_parquet([]))).num_rows == 0


@given(start=st.sampled_from(["=", "+", "-", "@", "\t", "\r"]), rest=TEXT)
@settings(deadline=None, max_examples=50)
def test_no_cell_of_a_csv_starts_a_formula(start: str, rest: str) -> None:
    (row,) = read_csv(to_csv([{"model": start + rest}]))
    assert row["model"] == f"'{start}{rest}"


@pytest.mark.parametrize("number", [-0.25, -3, 1.5e-7])
def test_numbers_stay_numbers(number: float) -> None:
    (row,) = read_csv(to_csv([{"value": number}]))
    assert float(row["value"]) == number
