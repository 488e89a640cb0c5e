"""The short version of ``python -m tests.benchmarks.coverage``: seeded, so it cannot flicker."""

from __future__ import annotations

import pytest

from tests.benchmarks import coverage

NOT_ABOVE = 0.07  # 5 % and twice the standard error of 400 repeats


@pytest.mark.parametrize("n", [50, 200, 1000])
def test_it_holds_the_true_share_in_95_of_100_intervals(n: int) -> None:
    assert coverage.wilson_coverage(n, 0.6, repeats=2000) == pytest.approx(0.95, abs=0.02)
    assert coverage.bootstrap_coverage(n, 0.6, repeats=500) == pytest.approx(0.95, abs=0.02)


def test_it_holds_the_true_share_where_questions_share_a_passage() -> None:
    found = coverage.clustered_coverage(60, 5, icc=0.3, repeats=300)

    assert found["clustered"] == pytest.approx(0.95, abs=0.02)
    assert found["robust"] == pytest.approx(0.95, abs=0.02)
    assert found["unclustered"] < 0.9


@pytest.mark.parametrize(("n", "share"), [(50, 0.6), (200, 0.6), (200, 0.98)])
def test_it_seldom_tells_equal_candidates_apart(n: int, share: float) -> None:
    found = coverage.false_claims(n, share, repeats=400)

    assert found["paired bootstrap"] <= NOT_ABOVE
    assert found["mcnemar"] <= NOT_ABOVE
    assert found["paired t"] <= NOT_ABOVE


def test_it_seldom_tells_equal_candidates_apart_on_shared_passages() -> None:
    found = coverage.clustered_false_claims(60, 5, icc=0.3, repeats=1000)

    assert found["clustered bootstrap"] <= NOT_ABOVE
    assert found["clustered t"] <= NOT_ABOVE
    assert found["unclustered mcnemar"] > 0.1


def test_holm_keeps_a_whole_board_free_of_false_claims() -> None:
    found = coverage.familywise_error(8, 200, repeats=300)

    assert found["holm"] <= 0.05
    assert found["unadjusted"] > 0.15


def test_benjamini_hochberg_keeps_false_claims_a_small_share() -> None:
    assert coverage.false_discoveries(200, repeats=200) <= 0.05


def test_rank_ranges_hold_the_true_rank() -> None:
    found = coverage.rank_coverage(300, repeats=200)

    assert found["holm, all"] >= 0.95
    assert found["bh, each"] >= 0.95


def test_it_holds_the_true_mcc_and_f1() -> None:
    found = coverage.corpus_coverage(500, repeats=500)

    assert found == pytest.approx(dict.fromkeys(found, 0.95), abs=0.025)


def test_a_serving_worse_by_the_margin_is_seldom_called_not_worse() -> None:
    assert coverage.false_reassurance(500, 0.03, repeats=2000) <= 0.04
    assert coverage.change_coverage(200, 0.06, 0.03, repeats=2000) == pytest.approx(0.95, abs=0.02)
