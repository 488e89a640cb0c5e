"""Corrected scores, by judges whose error is known because it is made here."""

from __future__ import annotations

import numpy as np
import pytest

from evals.stats.corrected import NotCorrectable, prediction_powered, rogan_gladen

TRIALS = 4000


@pytest.mark.parametrize(
    ("bias", "noise", "slope"), [(0.0, 0.3, 1.0), (1.5, 1.0, 1.0), (0.5, 2.0, 0.4), (3.0, 4.0, 0.0)]
)
def test_the_estimate_is_right_on_average_and_its_interval_holds_the_truth(
    bias: float, noise: float, slope: float
) -> None:
    """Judges that are good, too kind, lukewarm, and that say nothing: 40 of 200 labelled."""
    rng = np.random.default_rng(11)
    values, held = [], 0
    for _ in range(TRIALS):
        truth = rng.normal(6.0, 1.5, 240)
        judge = slope * truth + bias + rng.normal(0, noise, 240)
        found = prediction_powered(judge[40:], judge[:40], truth[:40])
        values.append(found.value)
        held += found.low <= 6.0 <= found.high
    assert np.mean(values) == pytest.approx(6.0, abs=4 * np.std(values) / TRIALS**0.5)
    assert held / TRIALS == pytest.approx(0.95, abs=0.02)


def test_a_good_judge_saves_people_work_and_a_useless_one_does_no_harm() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(6.0, 1.5, 540)
    good, useless = truth + rng.normal(1, 0.3, 540), rng.normal(5, 2, 540)

    def width(judge: np.ndarray) -> float:
        found = prediction_powered(judge[40:], judge[:40], truth[:40])
        return found.high - found.low

    alone = prediction_powered([], truth[:40], truth[:40])
    assert width(good) < 0.5 * (alone.high - alone.low)
    assert width(useless) < 1.1 * (alone.high - alone.low)
    assert alone.value == pytest.approx(truth[:40].mean())


@pytest.mark.parametrize(
    ("rate", "sensitivity", "specificity"),
    [(0.6, 0.9, 0.8), (0.85, 0.95, 0.7), (0.3, 0.75, 0.9), (0.5, 0.7, 0.7)],
)
def test_a_corrected_share_is_right_on_average_and_its_interval_holds_the_truth(
    rate: float, sensitivity: float, specificity: float
) -> None:
    rng = np.random.default_rng(7)
    values, held = [], 0
    judged, labelled = 400, 120
    passing = rate * sensitivity + (1 - rate) * (1 - specificity)
    for _ in range(TRIALS):
        right = int(rng.binomial(labelled, rate))
        found = rogan_gladen(
            int(rng.binomial(judged, passing)), judged,
            int(rng.binomial(right, sensitivity)), right,
            int(rng.binomial(labelled - right, specificity)), labelled - right,
        )  # fmt: skip
        values.append(found.value)
        held += found.low <= rate <= found.high
    assert np.mean(values) == pytest.approx(rate, abs=0.01)
    assert held / TRIALS == pytest.approx(0.95, abs=0.02)


def test_a_perfect_judge_needs_no_correction() -> None:
    assert rogan_gladen(30, 40, 50, 50, 50, 50).value == 0.75


def test_too_little_or_a_judge_like_a_coin_is_said_and_not_computed() -> None:
    with pytest.raises(NotCorrectable, match="it takes 10"):
        prediction_powered([1.0] * 90, [1.0] * 9, [1.0] * 9)
    with pytest.raises(NotCorrectable, match="some answers right and some wrong"):
        rogan_gladen(5, 10, 3, 3, 0, 0)
    with pytest.raises(NotCorrectable, match="chance"):
        rogan_gladen(5, 10, 5, 10, 5, 10)
    with pytest.raises(ValueError, match="aligned"):
        prediction_powered([1.0], [1.0] * 12, [1.0] * 11)
