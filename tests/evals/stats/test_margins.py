from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.stats.intervals import Interval
from evals.stats.margins import NOT_WORSE, UNSURE, WORSE, adjusted, change, verdict

NAN = float("nan")


@given(st.integers(0, 200), st.integers(0, 200), st.integers(1, 400))
def test_it_holds_its_estimate_and_stays_possible(gained: int, lost: int, same: int) -> None:
    found = adjusted(gained, lost, gained + lost + same)
    assert -1 <= found.low <= found.value <= found.high <= 1
    mirrored = adjusted(lost, gained, gained + lost + same)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))


@given(st.integers(2, 1000))
def test_no_change_proves_the_less_the_fewer_samples_there_are(n: int) -> None:
    found, more = adjusted(0, 0, n), adjusted(0, 0, 4 * n)
    assert found.low < more.low < 0 < more.high < found.high


def test_twenty_equal_answers_do_not_exclude_a_loss_of_two_points() -> None:
    same = np.array([1.0, 0.0] * 10)
    found = change(same, same)
    assert found.value == 0 and verdict(found, 0.02) == UNSURE
    many = np.tile(same, 50)
    assert verdict(change(many, many), 0.02) == NOT_WORSE


def test_only_samples_that_both_answered_count() -> None:
    found = change([1.0, 1.0, NAN, 0.0], [0.0, NAN, 1.0, 0.0])
    assert (found.value, found.n) == (-0.5, 2)
    assert change([1.0, NAN], [1.0, 1.0]) is None


def test_a_changed_text_is_one_finding() -> None:
    before, after = np.ones(40), np.ones(40)
    after[:8] = 0.0
    alone = change(before, after)
    texts = change(before, after, [at // 8 for at in range(40)])
    assert alone.high < 0 < texts.high and texts.value == alone.value


def test_the_verdict_follows_interval_and_margin() -> None:
    def told(low: float, high: float) -> str:
        return verdict(Interval((low + high) / 2, low, high, 100, ""), 0.02)

    assert told(-0.01, 0.03) == told(-0.015, -0.005) == NOT_WORSE
    assert told(-0.06, -0.01) == WORSE
    assert told(-0.05, 0.02) == UNSURE
