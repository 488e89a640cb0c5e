"""Files of others are read as they are, whatever is wrong in them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evals.formats import boards, euroeval
from evals.formats.given import LONGEST_LINE, Fault, Result, bounded

PATIENT = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
OLD = {
    "dataset": "germeval", "task": "ner", "dataset_languages": ["de"], "model": "some/model",
    "results": {
        "raw": {"test": [{"test_micro_f1": 0.4}]},
        "total": {"test_micro_f1": 41.25, "test_micro_f1_se": 1.5, "test_micro_f1_no_misc": 44.0},
    },
    "scandeval_version": "12.1.0", "few_shot": True, "validation_split": False,
}  # fmt: skip
NEW = {
    "dataset": "sb10k", "task": "sentiment-classification", "languages": ["de"],
    "model": "our-model", "num_model_parameters": -1, "generative": True,
    "generative_type": "instruction_tuned", "few_shot": None, "validation_split": None,
    "results": {
        "raw": [{"test_mcc": 0.5, "num_failed_instances": 2.0}, {"test_mcc": 0.6}],
        "total": {"test_mcc": 55.0, "test_mcc_se": 0.98, "test_macro_f1": 61.0,
                  "test_macro_f1_se": 0.7},
    },
    "euroeval_version": "16.11.0",
}  # fmt: skip
EEE = {
    "schema_version": "0.2.1", "evaluation_id": "x", "evaluation_timestamp": "1750000000",
    "model_info": {"id": "our/model", "name": "model", "additional_details": {}},
    "eval_library": {
        "name": "euroeval", "version": "17.2.0",
        "additional_details": {"task": "ner", "languages": '["de", "nl"]', "few_shot": "true"},
    },
    "evaluation_results": [
        {
            "evaluation_name": "test_mcc",
            "source_data": {"dataset_name": "conll-nl"},
            "score_details": {
                "score": 41.5, "details": {"num_failed_instances": "3"},
                "uncertainty": {
                    "confidence_interval": {"lower": 40.0, "upper": 43.0,
                                            "confidence_level": 0.95},
                    "num_samples": 1024,
                },
            },
        }
    ],
}  # fmt: skip


def read(*records: Any) -> list[Result | Fault]:
    lines = [each if isinstance(each, str) else json.dumps(each) for each in records]
    return list(euroeval.read(bounded(io.BytesIO("\n".join(lines).encode()))))


def test_a_record_up_to_15_gives_its_totals() -> None:
    first, second = read(OLD)
    assert (first.model, first.benchmark, first.languages) == ("some/model", "germeval", ["de"])
    assert (first.metric, first.value, first.spread) == ("micro_f1", 41.25, 1.5)
    assert (second.metric, second.value, second.spread) == ("micro_f1_no_misc", 44.0, None)
    assert (first.engine, first.few_shot, first.split) == ("ScandEval 12.1.0", True, "test")


def test_a_record_of_16_gives_its_totals_and_failures_and_names_the_half_width() -> None:
    first, second = read("", NEW)
    assert (first.line, first.metric, first.value, first.spread) == (2, "mcc", 55.0, 0.98)
    assert (second.metric, second.value, second.spread) == ("macro_f1", 61.0, 0.7)
    assert (first.spread_kind, first.failed, first.few_shot) == ("resampling", 2, None)


def test_a_record_that_euroeval_16_11_wrote_here_gives_its_totals() -> None:
    """Eighty sentences of ours, asked of a server of ours; the spread is what the label says."""
    import statistics

    path = Path(__file__).parent / "data" / "euroeval_16_11_results.jsonl"
    with path.open("rb") as file:
        mcc, f1 = euroeval.read(bounded(file))
    raw = json.loads(path.read_text())["results"]["raw"]
    for found in (mcc, f1):
        values = [100 * row[found.metric] for row in raw]
        assert found.value == pytest.approx(statistics.mean(values), abs=1e-9)
        half = 1.96 * statistics.stdev(values) / len(values) ** 0.5
        assert (found.spread, found.spread_kind) == (pytest.approx(half, abs=1e-9), "resampling")
    assert (mcc.engine, mcc.languages, mcc.few_shot) == ("EuroEval 16.11.0", ["de"], True)


def test_a_record_of_17_gives_its_interval() -> None:
    (found,) = read(EEE)
    assert (found.value, found.low, found.high, found.samples) == (41.5, 40.0, 43.0, 1024)
    assert (found.model, found.benchmark, found.metric) == ("our/model", "conll-nl", "mcc")
    assert (found.failed, found.few_shot, found.languages) == (3, True, ["de", "nl"])
    assert found.engine == "euroeval 17.2.0"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("[1]", "not_object"),
        ("{", "not_json"),
        ('{"a": 1, "a": 2}', "twice"),
        ('{"a":' * 100_000, "too_deep"),
        ('{"n": ' + "9" * 5000 + "}", "not_json"),
        (json.dumps(NEW | {"model": "a\0b"}), "wrong"),
        (json.dumps(NEW | {"model": ["x"]}), "wrong"),
        (json.dumps(NEW | {"languages": "de"}), "wrong"),
        (json.dumps(NEW | {"results": {"raw": [], "total": {}}}), "missing"),
        (json.dumps(NEW | {"results": {"total": {"test_mcc": float("nan")}}}), "no_number"),
        ('{"model":"m","dataset":"d","results":{"total":{"test_mcc":1e999}}}', "no_number"),
        (json.dumps(EEE | {"evaluation_results": {}}), "wrong"),
        (json.dumps(EEE | {"model_info": None}), "missing"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line_and_the_rest_is_read(
    line: str, code: str
) -> None:
    fault, *rest = read(line, NEW)
    assert (fault.line, fault.code) == (1, code)
    assert [each.value for each in rest] == [55.0, 61.0]


def test_a_huge_line_is_refused_and_the_next_is_read() -> None:
    fault, *rest = read('{"a": "' + "x" * (2 * LONGEST_LINE) + '"}', NEW)
    assert (fault.code, len(rest)) == ("too_long", 2)


@PATIENT
@given(st.dictionaries(st.text(max_size=8), st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
)))  # fmt: skip
def test_nothing_in_a_record_ends_the_reading(mixed: dict[str, Any]) -> None:
    for base in (NEW, EEE):
        assert read(json.dumps(base | mixed))
        assert read(json.dumps(dict.fromkeys(base, mixed) | {"results": {"total": mixed}}))


def board(text: str) -> tuple[dict[str, str], list[Result | Fault]]:
    found = boards.table(text.encode(), 1000)
    roles = boards.guess(found)
    assert boards.faults_of(roles, found.columns) == []
    return roles, list(boards.read(found, roles))


def test_a_wide_board_has_a_benchmark_a_score_column() -> None:
    roles, found = board('\ufeffModel;ARC;MMLU;Licence\n"A;1";79,15;60;MIT\nB;;61,2 %;MIT\n')
    assert roles == {"Model": "model", "ARC": "score", "MMLU": "score", "Licence": "ignore"}
    assert [(each.line, each.model, each.benchmark, each.value) for each in found] == [
        (2, "A;1", "ARC", 79.15), (2, "A;1", "MMLU", 60.0), (3, "B", "MMLU", 61.2),
    ]  # fmt: skip


def test_a_long_board_has_its_intervals() -> None:
    _roles, (found,) = board("model,benchmark,score,low,high,n\nA,Arena,1200,1190,1211,5000\n")
    assert (found.benchmark, found.value, found.low, found.high) == ("Arena", 1200, 1190, 1211)
    assert (found.samples, found.spread_kind) == (5000, "told")


def test_cells_that_cannot_be_used_are_told_with_their_lines() -> None:
    _roles, found = board('model,score\nA,1\nB,12,3\nC,nan\nD,x\n,5\nE,"1,234"\nF,1_0\n')
    assert [(each.line, each.code) for each in found if isinstance(each, Fault)] == [
        (3, "cells"), (4, "no_number"), (5, "no_number"), (6, "missing"), (7, "two_ways"),
        (8, "no_number"),
    ]  # fmt: skip


def test_an_interval_that_cannot_be_makes_its_row_unusable() -> None:
    _roles, found = board(
        "model,score,low,high\nA,5,4,6\nB,5,6,4\nC,7,4,6\nD,3,4,6\nE,1200,4,5\nF,4,4,4\n"
        "G,3,4,\nH,7,,6\n"
    )
    assert [each.model for each in found if isinstance(each, Result)] == ["A", "F"]
    assert [(each.line, each.code, each.field, each.value) for each in found
            if isinstance(each, Fault)] == [
        (3, "turned", "", "[6, 4]"), (4, "outside", "7", "[4, 6]"), (5, "outside", "3", "[4, 6]"),
        (6, "outside", "1200", "[4, 5]"), (8, "outside", "3", "[4, –]"),
        (9, "outside", "7", "[–, 6]"),
    ]  # fmt: skip


@PATIENT
@given(st.tuples(*[st.integers(-9, 9)] * 3))
def test_every_score_that_is_read_lies_in_its_interval(figures: tuple[int, int, int]) -> None:
    low, score, high = figures
    _roles, (found,) = board(f"model,score,low,high\nA,{score},{low},{high}\n")
    assert isinstance(found, Result) == (low <= score <= high)


def test_the_same_score_given_twice_is_told_with_both_lines() -> None:
    _roles, found = board(
        "model,benchmark,metric,language,score\nA,ARC,acc,de,x\nA,ARC,acc,de,1\nA,ARC,acc,fr,2\n"
        "A,ARC,f1,de,3\nB,ARC,acc,de,4\nA,ARC,acc,de,5\n"
    )
    assert [each.value for each in found if isinstance(each, Result)] == [1, 2, 3, 4]
    *_others, twice = (each for each in found if isinstance(each, Fault))
    assert (twice.line, twice.code, twice.value) == (7, "again", "3")  # line 2 gave no score
    _roles, wide = board("Model,ARC,MMLU\nA,1,2\nA,3,\n")
    assert [(each.line, each.code) for each in wide if isinstance(each, Fault)] == [(3, "again")]


FIGURE = st.floats(-1e6, 1e6)
NAME = st.text("abcÄ ;,\"'=", min_size=1, max_size=8).filter(lambda name: name.strip() == name)


@PATIENT
@given(st.lists(st.tuples(NAME, FIGURE), min_size=1, max_size=8, unique_by=lambda row: row[0]))
def test_any_board_that_is_written_is_read(rows: list[tuple[str, float]]) -> None:
    import csv

    text = io.StringIO()
    csv.writer(text).writerows([("model", "score"), *rows])
    found = list(boards.read(boards.table(text.getvalue().encode(), 1000),
                             {"model": "model", "score": "score"}))  # fmt: skip
    assert [(each.model, each.value) for each in found] == rows
