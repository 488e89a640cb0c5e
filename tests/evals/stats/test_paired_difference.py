from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evals.stats.bootstrap import bootstrap_mean
from evals.stats.paired import (
    NotComparable,
    differences_to_first,
    mcnemar_exact,
    pair_differences,
    paired_difference,
)

NAN = float("nan")
score = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(-50, 50, allow_subnormal=False))
answers = st.lists(st.tuples(score, score, st.sampled_from("ab++++")), min_size=1, max_size=30)


def columns(rows: list[tuple[float, float, str]]) -> tuple[np.ndarray, np.ndarray]:
    """Scores of A and B; a letter says which of the two alone answered."""
    a = np.array([NAN if who == "b" else one for one, _, who in rows])
    b = np.array([NAN if who == "a" else two for _, two, who in rows])
    return a, b


@given(st.integers(0, 400), st.integers(0, 400))
def test_it_agrees_with_the_exact_binomial_test_on_mcnemar(b: int, c: int) -> None:
    exact = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert mcnemar_exact(b, c) == pytest.approx(exact, rel=1e-9)
    assert mcnemar_exact(b, c) == mcnemar_exact(c, b)


def test_it_works_out_mcnemar_as_by_hand() -> None:
    assert mcnemar_exact(1, 9) == pytest.approx(2 * (1 + 10) / 2**10)
    assert mcnemar_exact(5, 5) == 1.0
    assert mcnemar_exact(0, 0) == 1.0


def test_it_refuses_negative_counts() -> None:
    with pytest.raises(ValueError):
        mcnemar_exact(-1, 3)


def test_it_averages_benchmarks_and_leaves_out_what_only_one_answered() -> None:
    a = [np.array([1.0, 1.0, NAN, 0.0]), np.array([0.5, 0.5])]
    b = [np.array([0.0, NAN, 1.0, 0.0]), np.array([0.0, 0.5])]
    found = paired_difference(a, b)
    assert found.delta == pytest.approx((1 / 2 + 0.25) / 2)
    assert found.n == 4
    assert found.method == "paired bootstrap"


@settings(max_examples=60)
@given(st.lists(answers, min_size=1, max_size=3), st.integers(0, 3))
def test_it_turns_the_sign_when_the_candidates_change_places(
    rows: list[list[tuple[float, float, str]]], seed: int
) -> None:
    a, b = zip(*map(columns, rows), strict=True)
    try:
        forth = paired_difference(a, b, replicates=200, seed=seed)
    except NotComparable:
        with pytest.raises(NotComparable):
            paired_difference(b, a, replicates=200, seed=seed)
        return
    back = paired_difference(b, a, replicates=200, seed=seed)
    assert forth.low <= forth.delta <= forth.high
    assert (back.low, back.delta, back.high) == pytest.approx(
        (-forth.high, -forth.delta, -forth.low), abs=1e-9
    )
    assert back.p_value == forth.p_value
    assert forth == paired_difference(a, b, replicates=200, seed=seed)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(answers, min_size=1, max_size=3), min_size=1, max_size=4))
def test_many_boards_at_once_come_to_the_same_as_each_alone(
    boards: list[list[list[tuple[float, float, str]]]],
) -> None:
    asked = [list(zip(*map(columns, rows), strict=True)) for rows in boards]
    for (a, b), [found] in zip(asked, differences_to_first(asked, replicates=100), strict=True):
        try:
            alone = paired_difference(b, a, replicates=100)
        except NotComparable:
            assert found is None
            continue
        assert found == alone


@pytest.mark.parametrize("right_or_wrong", [True, False])
@pytest.mark.parametrize("missing", [0.0, 0.03, 0.09, 0.5])
def test_adding_up_candidates_comes_to_the_same_as_adding_up_the_gaps_of_each_pair(
    missing: float, right_or_wrong: bool
) -> None:
    rng = np.random.default_rng(11)
    benchmarks = []
    for n in (1, 5, 60, 90):
        scores = rng.normal(0, 10, (n, 9))
        scores = (scores > 0).astype(float) if right_or_wrong else scores
        scores[rng.random(scores.shape) < missing] = NAN
        benchmarks.append(scores)
    left, right = np.array(list(combinations(range(9), 2))).T
    for some in (benchmarks, benchmarks[2:], benchmarks[:2]):
        at_once = pair_differences(some, left, right, 150, 3, 0.95)
        for at in range(left.size):
            alone = pair_differences(some, left[[at]], right[[at]], 150, 3, 0.95)
            for many, one in zip(at_once, alone, strict=True):
                assert many[at] == pytest.approx(one[0], abs=1e-12, nan_ok=True)


@settings(max_examples=30)
@given(st.lists(score, min_size=1, max_size=40))
def test_it_finds_nothing_between_a_candidate_and_itself(values: list[float]) -> None:
    found = paired_difference([np.array(values)], [np.array(values)], replicates=100)
    assert (found.delta, found.low, found.high) == (0.0, 0.0, 0.0)
    assert not found.significant


def test_it_does_not_take_rounding_for_a_finding() -> None:
    a, b = [np.full(50, 0.1), np.full(50, 0.2)], [np.full(50, 0.3), np.zeros(50)]
    assert not paired_difference(a, b).significant


def test_it_resamples_both_candidates_alike() -> None:
    hard = np.random.default_rng(0).normal(0, 10, size=300)  # how hard a sample is
    gain = np.random.default_rng(1).normal(0.2, 0.5, size=300)
    found = paired_difference([hard + gain], [hard])
    alone = bootstrap_mean(gain, replicates=5000)
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high), abs=0.01)
    assert found.significant  # two separate intervals, each over ± 1, could not show it


def test_it_draws_from_the_common_samples_where_answers_are_missing() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.3, 1, 400), rng.normal(0, 1, 400)
    a[rng.random(400) < 0.1], b[rng.random(400) < 0.1] = NAN, NAN
    common = ~np.isnan(a) & ~np.isnan(b)
    found = paired_difference([a], [b], replicates=10_000)
    alone = bootstrap_mean((a - b)[common], replicates=10_000)
    assert found.n == common.sum()
    assert found.delta == pytest.approx(alone.value)
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high), abs=0.02)


def test_it_measures_a_benchmark_with_a_single_common_sample() -> None:
    a, b = np.array([1.0, NAN, 0.0, NAN]), np.array([0.25, 1.0, NAN, 0.0])
    found = paired_difference([a], [b])
    assert (found.delta, found.low, found.high, found.n) == (0.75, 0.75, 0.75, 1)


def test_it_gives_mcnemar_for_one_benchmark_of_right_and_wrong_only() -> None:
    a, b = np.repeat([1.0, 0.0, 1.0], [9, 1, 20]), np.repeat([0.0, 1.0, 1.0], [9, 1, 20])
    assert paired_difference([a], [b]).p_value == pytest.approx(mcnemar_exact(9, 1))
    assert paired_difference([a, a], [b, b]).p_value is None
    assert paired_difference([a / 2], [b]).p_value is None


def test_it_covers_the_true_difference_in_about_95_of_100_cases() -> None:
    rng = np.random.default_rng(21)
    hits = 0
    for seed in range(400):
        hard = rng.random((2, 200))
        a = [(row < 0.7).astype(float) for row in hard]
        b = [(row + rng.normal(0, 0.1, 200) < 0.6).astype(float) for row in hard]
        found = paired_difference(a, b, replicates=400, seed=seed)
        hits += found.low <= 0.1 <= found.high
    assert 0.92 <= hits / 400 <= 0.98


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([[1.0, NAN]], [[NAN, 1.0]]),
        ([[1.0], [NAN]], [[1.0], [1.0]]),
        ([[]], [[]]),
    ],
)
def test_it_says_when_candidates_share_no_sample(
    a: list[list[float]], b: list[list[float]]
) -> None:
    with pytest.raises(NotComparable):
        paired_difference(list(map(np.array, a)), list(map(np.array, b)))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([], []),
        ([[1.0]], [[1.0], [1.0]]),
        ([[1.0, 0.0]], [[1.0]]),
        ([[float("inf")]], [[1.0]]),
    ],
)
def test_it_refuses_scores_that_do_not_fit(a: list[list[float]], b: list[list[float]]) -> None:
    with pytest.raises(ValueError) as raised:
        paired_difference(list(map(np.array, a)), list(map(np.array, b)))
    assert not isinstance(raised.value, NotComparable)
