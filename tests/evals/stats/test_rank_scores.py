"""Rank scores: worked by hand, by definition, and what must hold whatever the scores are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from evals.stats.rank_scores import Place, anchored, board, distances, overall

SCORES = st.lists(st.floats(0, 1), min_size=10, max_size=10)


def test_it_measures_the_distance_to_the_best_in_deviations_of_all_raw_scores() -> None:
    raw = [[0.8, 0.6], [0.5, 0.5], [0.2, 0.4]]
    spread = np.std([0.8, 0.6, 0.5, 0.5, 0.2, 0.4])
    assert distances(raw) == pytest.approx([1, 1 + 0.2 / spread, 1 + 0.4 / spread])


def test_it_gives_everyone_the_first_rank_where_all_scores_are_the_same() -> None:
    assert list(distances([[0.5, 0.5], [0.5, 0.5]])) == [1, 1]


def test_a_model_that_was_not_run_stands_at_infinity_and_moves_nobody() -> None:
    assert list(distances([[0.5], None])) == [1, math.inf]
    assert list(anchored([[0.5, 0.5], None])) == [1, math.inf]
    assert list(anchored([None, None])) == [math.inf, math.inf]


def test_the_older_form_shares_a_rank_until_welchs_test_parts_it() -> None:
    wave = 0.02 * np.resize([1, -1], 10)
    best, alike, worse = 0.7 + wave, 0.695 + wave, 0.5 + wave
    assert ttest_ind(best, alike, equal_var=False, alternative="greater").pvalue > 0.05
    means = [r.mean() for r in (best, alike, worse)]
    ranks = anchored([worse, best, alike])
    assert ranks[1] == ranks[2] == 1
    assert ranks[0] == pytest.approx(1 + (max(means[:2]) - means[2]) / np.std(means))


def test_the_older_form_needs_no_luck_where_nothing_varies() -> None:
    assert list(anchored([[0.4] * 10, [0.6] * 10])) == [pytest.approx(1 + 0.2 / 0.1), 1]


def test_tasks_and_languages_weigh_alike_however_many_data_sets_they_have() -> None:
    places = [Place("ner", "de"), Place("ner", "de"), Place("know", "de"), Place("ner", "da")]
    # German: ner (1 + 3) / 2 = 2, know 4 → 3; Danish: 5; both: 4
    assert overall(np.array([[1.0, 3.0, 4.0, 5.0]]), places) == pytest.approx([4])


def test_a_missing_data_set_leaves_no_overall_rank() -> None:
    assert list(overall(np.array([[1.0, math.inf]]), [Place("a", "de"), Place("b", "de")])) == [
        math.inf
    ]


def test_places_must_be_as_many_as_data_sets() -> None:
    with pytest.raises(ValueError, match="2 data sets, but places for 1"):
        overall(np.ones((1, 2)), [Place("a", "de")])
    with pytest.raises(ValueError, match="1 data sets, but places for 2"):
        board([[[0.5]]], [Place("a", "de"), Place("b", "de")])


def test_models_that_replicates_cannot_tell_apart_share_a_place() -> None:
    rng = np.random.default_rng(3)
    places = [Place(task, "de") for task in ("ner", "know", "sent")]
    alike = [[rng.normal(0.6, 0.03, 10) for _ in places] for _ in range(2)]
    worse = [rng.normal(0.3, 0.03, 10) for _ in places]
    found = board([worse, *alike], places, seed=4)
    assert [score.place for score in found] == [2, 1, 1]
    assert all(score.low <= score.value <= score.high for score in found)
    assert found == board([worse, *alike], places, seed=4)


def test_a_model_without_all_data_sets_comes_last() -> None:
    places = [Place("ner", "de"), Place("know", "de")]
    found = board([[[0.9] * 10, None], [[0.1] * 10, [0.2] * 10]], places)
    assert found[0].value == math.inf and found[0].place == 2 and found[1].place == 1


@pytest.mark.parametrize("seed", range(8))
def test_a_missing_data_set_is_missed_in_every_replicate_even_beside_others_of_its_task(
    seed: int,
) -> None:
    places = [Place("ner", "de")] * 2
    found = board([[[0.9] * 10, None], [[0.1] * 10, [0.2] * 10]], places, seed=seed)
    assert found[0].value == math.inf and found[1].value < math.inf


@given(st.lists(SCORES, min_size=2, max_size=5), st.floats(0.1, 5), st.floats(-2, 2))
def test_neither_the_scale_nor_the_zero_of_a_metric_moves_a_rank(
    raw: list[list[float]], scale: float, shift: float
) -> None:
    table = np.round(np.array(raw), 3)
    moved = table * scale + shift
    assert (
        np.allclose(distances(list(table)), distances(list(moved)), atol=1e-6)
        or np.ptp(table) < 1e-9
    )


@given(st.lists(SCORES, min_size=1, max_size=5))
def test_the_best_has_one_and_a_higher_mean_never_ranks_behind(raw: list[list[float]]) -> None:
    means = np.mean(raw, axis=1)
    for ranks in (distances(raw), anchored(raw)):
        assert ranks.min() == 1
        order = np.argsort(-means, kind="stable")
        assert all(np.diff(ranks[order]) >= -1e-12)
