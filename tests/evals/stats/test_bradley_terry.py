from __future__ import annotations

from math import log10

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from evals.stats.bradley_terry import NotRateable, Verdict, strengths
from tests import conformance

MODELS = ["gpt-4", "claude-v1", "gpt-3.5-turbo", "vicuna-13b-v1.2", "alpaca-13b", "llama-13b"]


def test_the_votes_of_mt_bench_give_the_known_strengths() -> None:
    votes = list(conformance.lines("judge/human/human.jsonl"))
    scores = {"model_a": 1.0, "model_b": 0.0}
    verdicts = [
        Verdict(
            MODELS.index(vote["model_a"]),
            MODELS.index(vote["model_b"]),
            scores.get(vote["winner"], 0.5),
        )
        for vote in votes
    ]
    found = strengths(verdicts, 6, [vote["question_id"] for vote in votes], replicates=300)
    expected = [1177, 1112, 1104, 990, 868, 749]
    assert [round(each.value) for each in found] == pytest.approx(expected, abs=1)
    assert (found[0].low, found[0].high) == pytest.approx((1148, 1207), abs=6)


@given(st.integers(1, 40), st.integers(1, 40))
def test_two_models_differ_by_the_odds(won: int, lost: int) -> None:
    verdicts = [Verdict(0, 1, 1.0)] * won + [Verdict(0, 1, 0.0)] * lost
    found = strengths(verdicts, 2, range(won + lost), replicates=2)
    assert found[0].value - found[1].value == pytest.approx(400 * log10(won / lost), abs=1e-6)
    assert found[0].n == won + lost


def test_it_agrees_with_logistic_regression() -> None:
    rng = np.random.default_rng(4)
    true = np.array([0.8, 0.3, 0.0, -0.4, -0.7])
    verdicts = []
    for _ in range(600):
        one, other = rng.choice(5, 2, replace=False).tolist()
        won = rng.random() < 1 / (1 + np.exp(true[other] - true[one]))
        verdicts.append(Verdict(one, other, float(won)))
    design = np.zeros((600, 5))
    for row, verdict in enumerate(verdicts):
        design[row, verdict.first], design[row, verdict.second] = 1, -1
    fit = LogisticRegression(C=1e9, fit_intercept=False, tol=1e-10, max_iter=10_000)
    theirs = fit.fit(design, [int(verdict.score) for verdict in verdicts]).coef_[0]
    ours = strengths(verdicts, 5, range(600), replicates=2)
    gaps = [(each.value - 1000) * np.log(10) / 400 for each in ours]
    assert gaps == pytest.approx((theirs - theirs.mean()).tolist(), abs=1e-3)


def test_a_model_that_always_won_has_no_strength() -> None:
    verdicts = [Verdict(0, 1, 1.0), Verdict(1, 2, 1.0), Verdict(2, 1, 1.0), Verdict(0, 2, 1.0)]
    with pytest.raises(NotRateable) as refused:
        strengths(verdicts, 3, range(4))
    assert sorted(refused.value.apart) == [[0], [1, 2]]


def test_a_tie_counts_half_for_each() -> None:
    found = strengths([Verdict(0, 1, 0.5)] * 8, 2, range(8), replicates=2)
    assert [each.value for each in found] == pytest.approx([1000, 1000])
