import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from evals.stats import classification

PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(PAIRS)
def test_it_agrees_with_scikit_learn(pairs):
    gold, said = zip(*pairs, strict=True)
    counts = classification.confusion(gold, said, 4)

    assert classification.accuracy(counts) == pytest.approx(accuracy_score(gold, said))
    assert classification.mcc(counts) == pytest.approx(matthews_corrcoef(gold, said))
    wanted = f1_score(gold, said, average="macro", zero_division=0)
    assert classification.macro_f1(counts) == pytest.approx(wanted)


@given(PAIRS, st.sampled_from([classification.mcc, classification.macro_f1]))
def test_it_gives_an_interval_around_the_score(pairs, metric):
    gold, said = zip(*pairs, strict=True)
    found = classification.bootstrap(metric, classification.confusion(gold, said, 4), 50)

    assert found.low <= found.value <= found.high
    assert found.n == len(pairs)


def test_it_has_the_interval_of_resampling_sample_by_sample():
    rng = np.random.default_rng(1)
    gold = rng.integers(0, 3, 400)
    said = np.where(rng.random(400) < 0.7, gold, rng.integers(0, 3, 400))
    found = classification.bootstrap(
        classification.mcc, classification.confusion(gold, said, 3), 4000
    )

    rows = rng.integers(0, 400, (4000, 400))
    slow = [classification.mcc(classification.confusion(gold[row], said[row], 3)) for row in rows]
    assert [found.low, found.high] == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.01)


def test_it_resamples_two_thousand_answers_a_thousand_times_at_once():
    rng = np.random.default_rng(2)
    counts = classification.confusion(rng.integers(0, 4, 2048), rng.integers(0, 4, 2048), 4)

    begun = time.process_time()
    classification.bootstrap(classification.mcc, counts, 1000)
    assert time.process_time() - begun < 0.5


@pytest.mark.parametrize(("gold", "said"), [([], []), ([0], [0, 1]), ([0], [4]), ([-1], [0])])
def test_it_refuses_classes_that_do_not_fit(gold, said):
    with pytest.raises(ValueError, match="lass"):
        classification.confusion(gold, said, 4)
