from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evals.stats.bootstrap import bootstrap_mean, macro_mean, resample_counts

scores = st.floats(-100, 100, allow_subnormal=False)
samples = st.lists(scores, min_size=1, max_size=60)


@settings(max_examples=60)
@given(samples, st.integers(0, 5), st.sampled_from([0.1, 0.8, 0.95]))
def test_it_contains_the_mean_and_stays_within_the_scores(
    values: list[float], seed: int, level: float
) -> None:
    found = bootstrap_mean(values, replicates=200, seed=seed, level=level)
    slack = 1e-9  # the mean of equal numbers may differ from them in the last digit
    assert found.value == pytest.approx(np.mean(values))
    assert min(values) - slack <= found.low <= found.value <= found.high <= max(values) + slack
    assert (found.n, found.method) == (len(values), "bootstrap")


@settings(max_examples=40)
@given(samples.flatmap(lambda v: st.tuples(st.just(v), st.permutations(v))))
def test_it_does_not_depend_on_the_order_of_the_samples(
    both: tuple[list[float], list[float]],
) -> None:
    first, second = (bootstrap_mean(values, replicates=200, seed=3) for values in both)
    assert first == second


def test_it_repeats_itself_with_the_same_seed_only() -> None:
    values = np.random.default_rng(0).normal(size=100)
    assert bootstrap_mean(values, seed=7) == bootstrap_mean(values, seed=7)
    assert bootstrap_mean(values, seed=7) != bootstrap_mean(values, seed=8)


def test_it_agrees_with_scipy_within_the_noise_of_the_draws() -> None:
    values = np.random.default_rng(2).exponential(size=200)
    ours = bootstrap_mean(values, replicates=20_000)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=5
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_it_draws_right_and_wrong_scores_from_the_binomial_distribution() -> None:
    found = bootstrap_mean([1.0] * 60 + [0.0] * 40, replicates=50_000)
    exact = stats.binom.ppf([0.025, 0.975], 100, 0.6) / 100
    assert (found.low, found.high) == pytest.approx(tuple(exact), abs=0.0101)


def test_it_draws_the_same_distribution_whether_scores_repeat_or_not() -> None:
    repeated = np.repeat([0.0, 1.0], [200, 300])
    distinct = repeated + np.arange(500) * 1e-9
    few, many = (bootstrap_mean(values, replicates=20_000) for values in (repeated, distinct))
    assert (few.low, few.high) == pytest.approx((many.low, many.high), abs=0.003)


@pytest.mark.parametrize("continuous", [False, True])
def test_it_covers_the_truth_in_about_95_of_100_cases(continuous: bool) -> None:
    rng = np.random.default_rng(11)
    drawn = rng.normal(0.6, 0.2, (600, 150)) if continuous else rng.random((600, 300)) < 0.6
    found = [bootstrap_mean(row, replicates=400, seed=s) for s, row in enumerate(drawn)]
    covered = np.mean([interval.low <= 0.6 <= interval.high for interval in found])
    assert 0.92 <= covered <= 0.975  # 0.95 ± 3 standard errors of 600 cases, less a little bias


def test_it_covers_the_truth_of_a_mean_over_benchmarks_of_unequal_size() -> None:
    rng = np.random.default_rng(12)
    truths, sizes, hits = (0.3, 0.6, 0.9), (50, 100, 400), 0
    for seed in range(500):
        groups = [(rng.random(n) < p).astype(float) for n, p in zip(sizes, truths, strict=True)]
        found = macro_mean(groups, replicates=400, seed=seed)
        hits += found.low <= 0.6 <= found.high
    assert 0.92 <= hits / 500 <= 0.98


def test_it_weighs_benchmarks_alike_whatever_their_size() -> None:
    found = macro_mean([np.ones(10), np.zeros(1000)])
    assert found == (0.5, 0.5, 0.5, 1010, "bootstrap")


def test_it_narrows_as_benchmarks_add_up() -> None:
    rng = np.random.default_rng(4)
    groups = [(rng.random(200) < 0.5).astype(float) for _ in range(9)]
    one, nine = bootstrap_mean(groups[0]), macro_mean(groups)
    assert (nine.high - nine.low) == pytest.approx((one.high - one.low) / 3, rel=0.15)


def test_it_draws_every_benchmark_independently() -> None:
    group = np.random.default_rng(5).normal(size=200)
    one, four = bootstrap_mean(group), macro_mean([group] * 4)
    assert (four.high - four.low) == pytest.approx((one.high - one.low) / 2, rel=0.15)


@pytest.mark.parametrize(
    "groups", [[], [[]], [[1.0], []], [[1.0, float("nan")]], [[float("-inf")]]]
)
def test_it_refuses_what_has_no_mean(groups: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="mean"):
        macro_mean([np.array(group) for group in groups])


def test_it_draws_each_resample_in_full_size_whatever_the_chunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evals.stats.bootstrap.CELLS_AT_ONCE", 64)
    chunks = list(resample_counts(30, 7, seed=0, stream=0))
    assert [(rows.start, rows.stop) for rows, _ in chunks] == [(0, 2), (2, 4), (4, 6), (6, 7)]
    assert all((counts.sum(axis=1) == 30).all() for _, counts in chunks)


def test_it_needs_little_memory_for_twenty_thousand_samples() -> None:
    values = np.random.default_rng(6).normal(size=20_000)
    tracemalloc.start()
    bootstrap_mean(values, replicates=1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 * 2**20  # all draws at once would be 160 MB


def test_the_draws_are_the_same_however_many_are_drawn_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ((_, usual),) = resample_counts(30, 7, seed=3, stream=1)
    monkeypatch.setattr("evals.stats.bootstrap.IN_CACHE", 64)
    ((_, by_two),) = resample_counts(30, 7, seed=3, stream=1)
    assert (usual == by_two).all()
