from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.parsing import emotions
from evals.stats import eq_bench
from tests import conformance

REFERENCE = {"Proud": 6.0, "Afraid": 0.0, "Calm": 7.0, "Annoyed": 0.0}
FILES = [
    ("NousResearch__Llama-2-7b-chat-hf", 36.32),
    ("gpt-3.5-turbo-0613", 69.35),
    ("teknium__OpenHermes-2.5-Mistral-7B", 66.89),
]


def reference_of(question: dict[str, Any]) -> dict[str, float]:
    given = question["reference_answer_fullscale"]
    return {given[f"emotion{at}"]: float(given[f"emotion{at}_score"]) for at in range(1, 5)}


@pytest.mark.parametrize(("name", "score"), FILES)
def test_published_results_are_computed_exactly_from_the_raw_answers(
    name: str, score: float
) -> None:
    asked = conformance.data("judge/eqbench/eq_bench_v2_questions_171.json")
    found = conformance.data(f"judge/eqbench/results/{name}_eqbench_v2_results.json")
    assert found["benchmark_score"] == score
    raw = found["raw_results"]["1"]["raw_inference"]
    revision = any("Revised scores:" in text for text in raw.values())
    first, revised = [], []
    for number, question in asked.items():
        passes = emotions.original(raw[number], revision=revision)
        first.append(eq_bench.score_v2(passes.first, reference_of(question)))
        revised.append(eq_bench.score_v2(passes.revised, reference_of(question)))
    result = eq_bench.benchmark(first, revised)
    assert result is not None
    assert round(result, 2) == score


def test_the_reference_itself_has_all_points() -> None:
    assert eq_bench.score_v2(REFERENCE, REFERENCE) == eq_bench.score_v1(
        REFERENCE, {name: value * 10 / 13 for name, value in REFERENCE.items()}
    ) == pytest.approx(10)  # fmt: skip


def test_the_variants_differ_in_a_difference_of_five_and_in_nothing_else() -> None:
    for tenths in range(0, 101):
        same = eq_bench.penalty(tenths / 10) == eq_bench.penalty(tenths / 10, "code")
        assert same == (tenths != 50)
    assert eq_bench.penalty(5, "code") == pytest.approx(4.995, abs=1e-3)


@given(st.floats(0, 10), st.floats(0, 10))
def test_further_off_never_costs_less(one: float, other: float) -> None:
    small, large = sorted([one, other])
    assert eq_bench.penalty(small) <= eq_bench.penalty(large) + 1e-12


@pytest.mark.parametrize(
    "answer",
    [
        {},
        dict.fromkeys(REFERENCE, 0.0),  # the first version, scaled to a sum of 10, has no score
        {**REFERENCE, "Confidence": 8.0},
        {"proud": 6.0, "Afraid": 0.0, "Calm": 7.0, "Annoyed": 0.0},
    ],
)
def test_an_answer_that_cannot_be_scored_has_no_score(answer: dict[str, float]) -> None:
    assert eq_bench.score_v2(answer, REFERENCE) is None
    assert eq_bench.score_v1(answer, REFERENCE) is None


def test_revised_answers_count_where_they_are_better_and_nearly_all_there() -> None:
    assert eq_bench.benchmark([5.0] * 20, [7.0] * 19 + [None]) == 70
    assert eq_bench.benchmark([5.0] * 20, [7.0] * 18 + [None] * 2) == 50
    assert eq_bench.benchmark([5.0, None], [4.0]) == 50
    assert eq_bench.benchmark([None]) is None
