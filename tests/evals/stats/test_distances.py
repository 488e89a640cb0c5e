from __future__ import annotations

from math import inf, log

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import log_softmax

from evals.stats.distance import distances

loglikelihood = st.floats(-2000, 0, allow_subnormal=False)


@st.composite
def choices(draw: st.DrawFn, impossible: bool = True) -> tuple[list[float], int]:
    option = st.one_of(loglikelihood, st.just(-inf)) if impossible else loglikelihood
    scores = draw(st.lists(option, min_size=1, max_size=8))
    return scores, draw(st.integers(0, len(scores) - 1))


def test_it_works_out_a_choice_as_by_hand() -> None:
    found = distances([log(0.1), log(0.2), log(0.1)], gold=0)
    assert found.p_gold == pytest.approx(0.25)
    assert found.nll == pytest.approx(log(4))
    assert found.brier == pytest.approx(0.75**2 + 0.5**2 + 0.25**2)
    assert found.margin == pytest.approx(log(0.5))
    assert found.rank == 2
    assert found.margin_norm is None


def test_it_divides_by_the_lengths_of_the_options() -> None:
    found = distances([-6.0, -4.0], gold=0, lengths=[6, 2])
    assert (found.margin, found.margin_norm) == (-2.0, pytest.approx(1.0))
    assert found.rank == 2


@given(choices(impossible=False))
def test_it_agrees_with_scipys_softmax(choice: tuple[list[float], int]) -> None:
    scores, gold = choice
    found = distances(scores, gold)
    logs = log_softmax(scores)
    shares = np.exp(logs)
    assert found.nll == pytest.approx(-logs[gold], abs=1e-9)
    assert found.p_gold == pytest.approx(shares[gold], abs=1e-12)
    assert found.brier == pytest.approx(((shares - np.eye(len(scores))[gold]) ** 2).sum(), abs=1e-9)


@given(choices())
def test_it_keeps_each_distance_in_its_range_and_in_step_with_the_others(
    choice: tuple[list[float], int],
) -> None:
    scores, gold = choice
    found = distances(scores, gold)
    assert 0 <= found.p_gold <= 1
    assert found.nll >= 0
    assert 0 <= found.brier <= 2 + 1e-12
    assert 1 <= found.rank <= len(scores)
    assert (found.margin >= 0) == (found.rank == 1)
    if found.p_gold > 1e-300:  # below it doubles lose digits, the NLL does not
        assert found.nll == pytest.approx(-log(found.p_gold), abs=1e-9)


@given(choices(impossible=False), st.integers(-500, 500))
def test_it_ignores_what_all_options_have_in_common(
    choice: tuple[list[float], int], shift: int
) -> None:
    scores, gold = choice
    moved = distances([score + shift for score in scores], gold)
    # Adding a number can swallow the smallest differences between options.
    assume(moved.rank == distances(scores, gold).rank)
    assert moved[:4] == pytest.approx(distances(scores, gold)[:4], abs=1e-6)


@given(choices().flatmap(lambda c: st.tuples(st.just(c), st.permutations(range(len(c[0]))))))
def test_it_does_not_depend_on_the_order_of_the_options(case) -> None:
    (scores, gold), order = case
    moved = distances([scores[place] for place in order], order.index(gold))
    assert moved[:5] == pytest.approx(distances(scores, gold)[:5], abs=1e-9)


@given(st.lists(loglikelihood, min_size=1, max_size=6))
def test_it_gives_all_options_together_the_probability_one(scores: list[float]) -> None:
    total = sum(distances(scores, gold).p_gold for gold in range(len(scores)))
    assert total == pytest.approx(1)


def test_it_takes_an_impossible_right_answer_as_infinitely_far() -> None:
    assert distances([-inf, -1.0], gold=0) == (0.0, inf, 2.0, -inf, 2, None)


def test_it_takes_the_only_possible_answer_as_certain() -> None:
    assert distances([-3.0, -inf], gold=0) == (1.0, 0.0, 0.0, inf, 1, None)


def test_it_takes_options_that_are_all_impossible_as_equally_likely() -> None:
    found = distances([-inf, -inf], gold=1, lengths=[2, 3])
    assert found == (0.5, pytest.approx(log(2)), 0.5, 0.0, 1, 0.0)


def test_it_takes_a_single_option_as_certain() -> None:
    assert distances([-7.0], gold=0, lengths=[4]) == (1.0, 0.0, 0.0, inf, 1, inf)
    assert distances([-inf], gold=0).p_gold == 1.0


def test_it_does_not_underflow_far_from_the_answer() -> None:
    found = distances([-5000.0, -1.0], gold=0)
    assert found.nll == pytest.approx(4999.0)
    assert (found.p_gold, found.margin) == (0.0, -4999.0)


@pytest.mark.parametrize(
    ("scores", "gold", "lengths"),
    [
        ([], 0, None),
        ([-1.0], 1, None),
        ([-1.0, -2.0], -1, None),
        ([float("nan"), -1.0], 0, None),
        ([inf, -1.0], 0, None),
        ([-1.0, -2.0], 0, [1]),
        ([-1.0, -2.0], 0, [1, 0]),
    ],
)
def test_it_refuses_what_is_no_choice(
    scores: list[float], gold: int, lengths: list[int] | None
) -> None:
    with pytest.raises(ValueError):
        distances(scores, gold, lengths)
