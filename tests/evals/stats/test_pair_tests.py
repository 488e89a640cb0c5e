from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evals.stats.clusters import robust_mean
from evals.stats.paired import mcnemar_exact, paired_difference
from evals.stats.pairs import pair_tests

LEFT, RIGHT = np.array([0]), np.array([1])
NAN = float("nan")


def graded(seed: int, n: int, missing: float = 0.0) -> np.ndarray:
    """Scores between 0 and 1 of two candidates, some not answered."""
    rng = np.random.default_rng(seed)
    scores = np.clip(rng.normal([0.5, 0.45], 0.2, (n, 2)), 0, 1)
    scores[rng.random((n, 2)) < missing] = NAN
    return scores


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(20, 200), st.sampled_from([0.0, 0.2]))
def test_it_agrees_with_the_paired_t_test(seed: int, n: int, missing: float) -> None:
    scores = graded(seed, n, missing)
    found = pair_tests([scores], LEFT, RIGHT)
    both = scores[~np.isnan(scores).any(axis=1)]
    expected = stats.ttest_rel(both[:, 0], both[:, 1])
    assert found.p[0] == pytest.approx(float(expected.pvalue), rel=1e-6, abs=1e-9)
    assert found.delta[0] == pytest.approx(float((both[:, 0] - both[:, 1]).mean()))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 80))
def test_it_is_mcnemars_exact_test_for_right_and_wrong(seed: int, n: int) -> None:
    scores = (np.random.default_rng(seed).random((n, 2)) < [0.7, 0.4]).astype(float)
    found = pair_tests([scores], LEFT, RIGHT)
    b, c = ((scores[:, 0] > scores[:, 1]).sum(), (scores[:, 0] < scores[:, 1]).sum())
    assert found.p[0] == pytest.approx(mcnemar_exact(int(b), int(c)))
    assert found.discordant[0] == b + c


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 60))
def test_a_cluster_of_one_each_changes_nothing(seed: int, n: int) -> None:
    scores = graded(seed, n, 0.1)
    plain = pair_tests([scores, scores[:2]], LEFT, RIGHT)
    each = pair_tests([scores, scores[:2]], LEFT, RIGHT, [list(range(n)), None])
    for one, other in zip(plain, each, strict=True):
        assert one == pytest.approx(other, nan_ok=True)


def test_its_error_is_that_of_the_clusters() -> None:
    scores, names = graded(3, 60), [at // 6 for at in range(60)]
    found = pair_tests([scores], LEFT, RIGHT, [names])
    interval = robust_mean(scores[:, 0] - scores[:, 1], names)
    reach = float(stats.t.ppf(0.975, 9)) * found.error[0]
    assert interval.high - interval.value == pytest.approx(reach)
    assert found.p[0] > pair_tests([scores], LEFT, RIGHT).p[0] * 0.1


def test_a_handful_of_samples_that_agree_is_no_certainty() -> None:
    """All gaps equal leave no variance; then p is that of a sign test."""
    scores = np.column_stack([np.full(5, 0.9), np.full(5, 0.4)])
    assert pair_tests([scores], LEFT, RIGHT).p[0] == pytest.approx(2 * 2**-5)
    assert pair_tests([scores[:, [0, 0]]], LEFT, RIGHT).p[0] == 1


def test_without_a_common_sample_there_is_no_p() -> None:
    scores = np.array([[1.0, NAN], [NAN, 0.0]])
    assert np.isnan(pair_tests([scores], LEFT, RIGHT).p[0])


def test_it_speaks_the_same_language_as_the_interval_on_many_samples() -> None:
    rng = np.random.default_rng(4)
    benchmarks = [graded(seed, 300) for seed in range(3)] + [rng.random((300, 2)).round()]
    found = pair_tests(benchmarks, LEFT, RIGHT)
    interval = paired_difference([b[:, 0] for b in benchmarks], [b[:, 1] for b in benchmarks])
    reach = 1.96 * float(found.error[0])
    assert interval.low == pytest.approx(float(found.delta[0]) - reach, abs=0.1 * reach)
    assert interval.high == pytest.approx(float(found.delta[0]) + reach, abs=0.1 * reach)
