from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.stats.clusters import clustered_difference, clustered_mean, robust_mean
from evals.stats.intervals import mean_interval
from evals.stats.paired import NotComparable

samples = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from("abcdef")), min_size=1, max_size=40
).map(lambda pairs: ([value for value, _ in pairs], [name for _, name in pairs]))


@given(samples)
@settings(max_examples=50)
def test_it_holds_its_mean_and_stays_among_the_scores(data: tuple[list[float], list[str]]) -> None:
    values, names = data
    found = clustered_mean(values, names, replicates=50)

    assert found.value == pytest.approx(np.mean(values))
    assert found.low <= found.value <= found.high
    assert min(values) - 1e-9 <= found.low
    assert found.high <= max(values) + 1e-9


def test_it_is_wider_when_answers_to_a_passage_go_together() -> None:
    values = np.repeat([1.0, 0.0] * 20, 5)
    passages = np.repeat(np.arange(40), 5).tolist()
    alone = list(range(200))

    for interval in (clustered_mean, robust_mean):
        together, apart = interval(values, passages), interval(values, alone)
        assert together.high - together.low > 2 * (apart.high - apart.low)


def test_it_agrees_with_the_plain_interval_where_each_sample_stands_alone() -> None:
    values = np.random.default_rng(0).random(500)
    plain, robust = mean_interval(values), robust_mean(values, list(range(500)))

    assert robust.low == pytest.approx(plain.low, abs=1e-3)
    assert robust.high == pytest.approx(plain.high, abs=1e-3)


def test_it_compares_only_what_both_answered() -> None:
    nan = float("nan")
    found = clustered_difference([1, nan, 1, 0], [0, 1, 1, nan], ["p", "p", "q", "r"])

    assert (found.delta, found.n, found.discordant) == (0.5, 2, 1)
    assert not found.significant
    with pytest.raises(NotComparable):
        clustered_difference([nan, 1], [1, nan], ["p", "q"])


def test_one_passage_full_of_wins_is_no_evidence() -> None:
    wins = [1.0] * 30

    assert not clustered_difference(wins, [0.0] * 30, ["p"] * 30).significant


def test_it_refuses_names_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="aligned"):
        clustered_mean([1.0, 0.0], ["p"])
    with pytest.raises(ValueError, match="at least two"):
        robust_mean([1.0, 0.0], ["p", "p"])
