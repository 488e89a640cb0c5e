"""What people would have said of all answers, from a judge of all and people's word on some.

The mean of a judge's scores is wrong by the judge's own error. A subset that people scored too
shows the error, and both together give an estimate that is right on average, with an interval
that holds the true value as often as it says, however bad the judge is: a bad one only widens it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist

import numpy as np

from evals.stats.intervals import Interval, tails

FEWEST = 10  # questions that people scored, below which the spread says too little


class NotCorrectable(ValueError):
    """There is too little to correct with, or the judge is no better than chance."""


def prediction_powered(
    judged: Sequence[float] | np.ndarray,
    labelled: Sequence[float] | np.ndarray,
    people: Sequence[float] | np.ndarray,
    level: float = 0.95,
) -> Interval:
    """The mean of people's scores over all questions, in their unit.

    ``judged`` holds the judge's scores of questions that nobody else scored; ``labelled`` and
    ``people`` the judge's and people's scores of one and the same further questions, drawn at
    random. One value is one question: average what hangs together before. ``n`` counts both
    kinds. The judge weighs as much as it predicts people (PPI++), so the interval is hardly
    ever wider than that of people's scores alone. Sources: A. N. Angelopoulos et al., Science
    382 (2023), 669–674; the same, arXiv 2311.01453. NotCorrectable below ten labelled questions.
    """
    many, some, truth = (np.asarray(each, dtype=float) for each in (judged, labelled, people))
    if some.size != truth.size:
        raise ValueError("Scores of judge and people must be aligned by question.")
    if some.size < FEWEST:
        raise NotCorrectable(f"{some.size} questions were scored by people; it takes {FEWEST}.")
    from scipy.special import stdtrit  # 30 MB, which a web process should not pay at start

    n, count = some.size, many.size
    weight = _weight(some, truth, n / count) if count > 1 else 0.0
    value = truth.mean() + (weight * (many.mean() - some.mean()) if weight else 0.0)
    variance = (truth - weight * some).var(ddof=1) / n
    if weight:
        variance += weight**2 * many.var(ddof=1) / count
    reach = float(stdtrit(n - 1, tails(level)[1])) * sqrt(variance)
    value = float(value)
    return Interval(value, value - reach, value + reach, n + count, "prediction-powered")


def rogan_gladen(
    passed: int,
    judged: int,
    confirmed: int,
    right: int,
    refuted: int,
    wrong: int,
    level: float = 0.95,
) -> Interval:
    """The share of answers that people would call right, from a judge that says right or wrong.

    The judge passed ``passed`` of ``judged`` answers. Of those that people scored too, it passed
    ``confirmed`` of ``right`` and failed ``refuted`` of ``wrong`` ones: its sensitivity and
    specificity. Sources: W. J. Rogan, B. Gladen, Am. J. Epidemiol. 107 (1978), 71–76; interval:
    Z. Lang, J. Reiczigel, Prev. Vet. Med. 113 (2014), 13–22. NotCorrectable where people called
    no answer right or none wrong, or where the judge does no better than by chance.
    """
    if not judged:
        raise ValueError("A share needs at least one judged answer.")
    if not right or not wrong:
        raise NotCorrectable("People must have called some answers right and some wrong.")
    if confirmed / right + refuted / wrong <= 1:
        raise NotCorrectable("The judge tells right from wrong no better than chance.")
    value = _corrected(passed / judged, confirmed / right, refuted / wrong)
    z = NormalDist().inv_cdf(tails(level)[1])
    # Shares pulled towards a half, as in the interval of Agresti and Coull.
    share = (passed + z**2 / 2) / (judged + z**2)
    sensitivity, specificity = (confirmed + 1) / (right + 2), (refuted + 1) / (wrong + 2)
    middle = _corrected(share, sensitivity, specificity, clip=False)
    of_right = sensitivity * (1 - sensitivity) / (right + 2)
    of_wrong = specificity * (1 - specificity) / (wrong + 2)
    shift = 2 * z**2 * (middle * of_right - (1 - middle) * of_wrong)
    spread = share * (1 - share) / (judged + z**2)
    spread += middle**2 * of_right + (1 - middle) ** 2 * of_wrong
    reach = z * sqrt(spread) / abs(sensitivity + specificity - 1)
    low, high = max(0.0, middle + shift - reach), min(1.0, middle + shift + reach)
    return Interval(value, min(value, low), max(value, high), judged, "Rogan–Gladen")


def _weight(some: np.ndarray, truth: np.ndarray, ratio: float) -> float:
    """How much of the judge's word lowers the variance most; 0 for one that says nothing."""
    spread = float(some.var(ddof=1))
    if not spread:
        return 0.0
    shared = float(np.cov(some, truth)[0, 1])
    return min(1.0, max(0.0, shared / ((1 + ratio) * spread)))


def _corrected(share: float, sensitivity: float, specificity: float, clip: bool = True) -> float:
    value = (share + specificity - 1) / (sensitivity + specificity - 1)
    return min(1.0, max(0.0, value)) if clip else value
