"""Metrics of a whole set: equal to scikit-learn, paired on the same resamples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from evals.stats import corpus

labelled = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40)


@given(labelled)
def test_it_equals_scikit_learn(pairs):
    gold, said = zip(*pairs, strict=True)
    (table,) = corpus.rows("mcc", pairs)
    sums = table.sum(axis=0)
    assert corpus.value("mcc", sums) == pytest.approx(metrics.matthews_corrcoef(gold, said))
    assert corpus.value("macro_f1", sums) == pytest.approx(
        metrics.f1_score(gold, said, average="macro", zero_division=0)
    )


@given(labelled)
def test_pseudo_values_have_the_score_as_their_mean(pairs):
    (table,) = corpus.rows("mcc", [*pairs, None])
    found = corpus.interval("mcc", table)
    numbers = corpus.pseudo_values("mcc", table)
    assert np.isnan(numbers[-1])
    assert np.nanmean(numbers) == pytest.approx(found.value)
    assert found.low <= found.value <= found.high
    assert found.n == len(pairs)


@given(labelled)
def test_a_candidate_does_not_differ_from_itself(pairs):
    one, other = corpus.rows("macro_f1", pairs, pairs)
    assert corpus.difference("macro_f1", one, other)[:3] == (0, 0, 0)


def test_pairing_shows_what_separate_intervals_hide():
    rng = np.random.default_rng(3)
    gold = rng.integers(0, 2, 400)
    said = np.where(rng.random(400) < 0.7, gold, 1 - gold)
    better = np.where(np.arange(400) < 24, gold, said)
    one, other = corpus.rows(
        "mcc", list(zip(gold, better, strict=True)), list(zip(gold, said, strict=True))
    )
    found = corpus.difference("mcc", one, other)
    alone = [corpus.interval("mcc", table) for table in (one, other)]
    assert found.low > 0
    assert alone[1].high > alone[0].low
    assert found.value == pytest.approx(alone[0].value - alone[1].value)


def test_only_samples_that_both_answered_are_compared():
    one, other = corpus.rows("mcc", [(0, 0), None, (1, 1)], [(0, 0), (1, 0), None])
    assert corpus.difference("mcc", one, other).n == 1
    nothing = corpus.rows("mcc", [(0, 0), None], [None, (0, 0)])
    assert corpus.difference("mcc", *nothing) is None


def test_pseudo_values_spread_as_the_bootstrap_does():
    rng = np.random.default_rng(1)
    gold = rng.integers(0, 3, 600)
    said = np.where(rng.random(600) < 0.6, gold, rng.integers(0, 3, 600))
    (table,) = corpus.rows("mcc", list(zip(gold, said, strict=True)))
    numbers = corpus.pseudo_values("mcc", table)
    found = corpus.interval("mcc", table)
    error = numbers.std(ddof=1) / np.sqrt(600)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(error, rel=0.1)


def test_f1_of_entities_counts_spans_of_all_sentences_together():
    (table,) = corpus.rows("micro_f1", [(1, 3, 1, 2), (0, 2, 0, 0), None])
    sums = np.nansum(table, axis=0)
    assert corpus.value("micro_f1", sums) == pytest.approx(2 * 1 / 5)
    assert corpus.value("micro_f1_no_misc", sums) == pytest.approx(2 * 1 / 2)
    (nothing,) = corpus.rows("micro_f1", [(0, 0, 0, 0)])
    assert corpus.value("micro_f1", nothing.sum(axis=0)) == 1.0


def test_texts_are_drawn_whole_where_samples_share_them():
    rng = np.random.default_rng(2)
    right = np.repeat(rng.random(40) < 0.5, 10).astype(int)
    pairs = [(at % 2, (at % 2) if ok else 1 - at % 2) for at, ok in enumerate(right)]
    (table,) = corpus.rows("mcc", pairs)
    alone = corpus.interval("mcc", table)
    texts = corpus.interval("mcc", table, [at // 10 for at in range(400)])
    assert texts.value == alone.value
    assert texts.high - texts.low > 2 * (alone.high - alone.low)
