from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.stats.adjust import benjamini_hochberg, holm

p_values = st.lists(st.floats(0, 1), max_size=30)


def test_it_agrees_with_figures_worked_out_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert benjamini_hochberg([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.04, 0.04])


def test_it_does_not_count_pairs_that_cannot_be_compared() -> None:
    for adjust in (holm, benjamini_hochberg):
        found = adjust([0.01, float("nan"), 0.02])

        assert np.isnan(found[1])
        assert found[[0, 2]].tolist() == adjust([0.01, 0.02]).tolist()


@given(p_values)
def test_it_never_makes_a_value_smaller_and_holm_is_the_stricter(p: list[float]) -> None:
    strict, mild = holm(p), benjamini_hochberg(p)

    assert (mild >= np.array(p)).all()
    assert (strict >= mild - 1e-12).all()
    assert (strict <= 1).all()


@given(p_values, st.integers(0, 1000))
def test_it_does_not_depend_on_the_order(p: list[float], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(p))
    for adjust in (holm, benjamini_hochberg):
        assert adjust([p[at] for at in order]).tolist() == adjust(p)[order].tolist()


def test_it_refuses_what_is_no_p_value() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, 1.5])
