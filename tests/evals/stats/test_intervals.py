from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evals.stats.intervals import mean_interval, wilson

levels = st.sampled_from([0.5, 0.9, 0.95, 0.99])


@st.composite
def shares(draw: st.DrawFn) -> tuple[int, int]:
    n = draw(st.integers(1, 5000))
    return draw(st.integers(0, n)), n


@given(shares(), levels)
def test_it_agrees_with_scipy_on_wilson(share: tuple[int, int], level: float) -> None:
    ours = wilson(*share, level)
    theirs = stats.binomtest(*share).proportion_ci(level, method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_it_gives_the_textbook_interval_for_8_of_10() -> None:
    found = wilson(8, 10)
    assert found.value == 0.8
    assert (found.low, found.high) == pytest.approx((0.4902, 0.9433), abs=5e-5)
    assert (found.n, found.method) == (10, "wilson")


@given(shares(), levels)
def test_it_keeps_the_share_inside_and_the_interval_between_0_and_1(
    share: tuple[int, int], level: float
) -> None:
    found = wilson(*share, level)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high > found.low


def test_it_touches_the_edge_exactly_when_all_or_none_are_right() -> None:
    assert wilson(0, 20).low == 0.0
    assert wilson(20, 20).high == 1.0


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 4)])
def test_it_refuses_impossible_counts(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="sample"):
        wilson(successes, n)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_it_refuses_a_level_that_is_no_share(level: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        wilson(1, 2, level)


def test_it_agrees_with_scipy_on_the_mean() -> None:
    values = np.random.default_rng(1).gamma(2.0, size=80)
    found = mean_interval(values)
    theirs = stats.norm.interval(0.95, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(theirs)
    assert (found.value, found.n) == (pytest.approx(values.mean()), 80)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_it_refuses_a_mean_whose_spread_is_unknown(values: list[float]) -> None:
    with pytest.raises(ValueError):
        mean_interval(values)
