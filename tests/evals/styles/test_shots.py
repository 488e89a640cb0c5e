"""Examples are drawn by seed with labels in balance; protocols plan what is asked."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.styles import protocols, shots

KINDS = [("a",)] * 30 + [("b",)] * 5 + [("c",)] * 10


@given(st.integers(0, 2**31), st.integers(1, 15))
def test_labels_are_balanced_as_far_as_there_are_examples(seed, count):
    chosen = [KINDS[at][0] for at in shots.ordered(KINDS, seed)[:count]]
    found = Counter(chosen)
    assert max(found[k] for k in "abc") - min(found[k] for k in "abc") <= 1


@given(st.lists(st.sets(st.sampled_from("abc"), min_size=1), min_size=1, max_size=30))
def test_every_example_is_in_the_order_once(kinds):
    kinds = [tuple(sorted(each)) for each in kinds]
    assert sorted(shots.ordered(kinds, 7)) == list(range(len(kinds)))


def test_the_same_seed_draws_the_same_and_another_does_not():
    assert shots.ordered(KINDS, 4242) == shots.ordered(KINDS, 4242)
    assert shots.ordered(KINDS, 4242)[:12] != shots.ordered(KINDS, 4243)[:12]


@given(st.integers(0, len(KINDS) - 1), st.integers(1, 12))
def test_a_question_is_never_its_own_example_and_the_balance_stays(asked, count):
    order = shots.ordered(KINDS, 1)
    found = shots.draw(order, count, KINDS, asked)
    assert asked not in found
    assert len(set(found)) == count
    plain = shots.draw(order, count, KINDS, -1)
    assert sum(a != b for a, b in zip(found, plain, strict=True)) <= 1
    assert Counter(KINDS[at] for at in found) == Counter(KINDS[at] for at in plain)


def test_protocol_b_asks_each_question_once():
    assert list(protocols.plan("B", 3, 4242)) == [(0, 0, 1), (0, 1, 1), (0, 2, 1)]


def test_protocol_a_asks_ten_resamples_each_question_of_one_once():
    found = protocols.plan("A", 100, 4242)
    for iteration in range(10):
        mine = [each for each in found if each.iteration == iteration]
        assert sum(each.times for each in mine) == 100
        assert len({each.row for each in mine}) == len(mine)
    assert len(found) == pytest.approx(632, abs=30)
    assert found == protocols.plan("A", 100, 4242)


def test_protocol_a_gives_mean_and_monte_carlo_half_width_of_the_ten():
    asked = protocols.plan("A", 50, 1)
    right = np.random.default_rng(0).random(50) < 0.6
    table = np.array([[float(right[each.row])] for each in asked])
    found = protocols.resampled(asked, table, lambda rows, times: float(times @ rows[:, 0]) / 50)
    drawn = np.random.default_rng(1).integers(0, 50, size=(10, 50))
    scores = right[drawn].mean(axis=1)
    assert found.value == pytest.approx(scores.mean())
    assert found.high - found.value == pytest.approx(1.96 * scores.std(ddof=1) / np.sqrt(10))
    assert found.method == "monte carlo"
    assert protocols.resampled(asked, np.full_like(table, np.nan), lambda *_: 1.0) is None
