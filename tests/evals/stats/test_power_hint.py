from __future__ import annotations

import numpy as np
import pytest

from evals.stats.paired import mcnemar_exact
from evals.stats.power import more_samples


def answers(both: int, first: int, second: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of two candidates: right on both, by the first alone, by the second alone."""
    a = np.repeat([1.0, 1.0, 0.0], [both, first, second])
    b = np.repeat([1.0, 0.0, 1.0], [both, first, second])
    return a, b


def test_it_agrees_with_connors_formula() -> None:
    # 20 % differ, by 5 points: (1.960·√0.2 + 0.842·√0.1975)² / 0.0025 = 626 in all
    assert more_samples(*answers(160, 25, 15)) == pytest.approx(626 - 200, abs=2)


def test_the_number_it_names_does_tell_them_apart_four_times_in_five() -> None:
    a, b = answers(160, 25, 15)
    n = 200 + (more_samples(a, b) or 0)
    drawn = np.random.default_rng(0).multinomial(n, [0.8, 0.125, 0.075], size=2000)
    found = np.mean([mcnemar_exact(int(x), int(y)) <= 0.05 for _, x, y in drawn])

    assert found == pytest.approx(0.8, abs=0.04)


def test_it_asks_for_nothing_more_where_the_samples_suffice() -> None:
    assert more_samples(*answers(100, 100, 10)) == 0


def test_it_names_no_number_that_nobody_could_collect() -> None:
    assert more_samples(*answers(160, 20, 20)) is None
    assert more_samples(*answers(9000, 501, 499)) is None
    assert more_samples([1.0], [0.0]) is None


def test_it_needs_more_the_more_graded_scores_scatter() -> None:
    rng = np.random.default_rng(0)
    gaps = rng.normal(0, 1, 200)
    gaps -= gaps.mean() - 0.05

    calm, wild = (more_samples(gaps * [scale] + 0.05 * (1 - scale), 0 * gaps) for scale in (1, 2))
    assert calm is not None
    assert wild is not None
    assert wild + 200 == pytest.approx(4 * (calm + 200), rel=0.01)
