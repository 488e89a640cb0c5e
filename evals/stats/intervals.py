"""Intervals by formula: a proportion (Wilson) and a mean (normal)."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """An estimate with its confidence interval, all in the unit of the scores.

    ``n`` counts the samples behind it, ``method`` names how the interval was made.
    """

    value: float
    low: float
    high: float
    n: int
    method: str


def tails(level: float) -> tuple[float, float]:
    """Which quantiles bound a two-sided interval of this level (0.95 → 0.025, 0.975)."""
    if not 0 < level < 1:
        raise ValueError(f"The level of an interval lies between 0 and 1, not at {level}.")
    return (1 - level) / 2, (1 + level) / 2


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """The share ``successes / n`` with Wilson's score interval (no continuity correction).

    Unlike the normal interval it stays inside [0, 1] and keeps a width at 0 and at 1.
    Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927), 209–212. ValueError without samples.
    """
    if n <= 0:
        raise ValueError("A share needs at least one sample.")
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes cannot come from {n} samples.")
    z2 = NormalDist().inv_cdf(tails(level)[1]) ** 2
    share = successes / n
    middle = (successes + z2 / 2) / (n + z2)
    reach = sqrt(z2 * (n * share * (1 - share) + z2 / 4)) / (n + z2)
    # In exact arithmetic the interval touches 0 and 1 there; rounding would leave 1e-17.
    low = 0.0 if successes == 0 else middle - reach
    high = 1.0 if successes == n else middle + reach
    return Interval(share, low, high, n, "wilson")


def mean_interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> Interval:
    """The mean of ``values`` ± z·s/√n, the normal approximation (for example of NLL in nats).

    ValueError with fewer than two values (no spread is known) or where one is not finite.
    """
    scores = np.asarray(values, dtype=float)
    if scores.size < 2:
        raise ValueError("The spread of a mean needs at least two samples.")
    if not np.isfinite(scores).all():
        raise ValueError("A mean needs finite scores; leave unanswered samples out.")
    mean = float(scores.mean())
    z = NormalDist().inv_cdf(tails(level)[1])
    reach = z * float(scores.std(ddof=1)) / sqrt(scores.size)
    return Interval(mean, mean - reach, mean + reach, scores.size, "normal")


def mean_of(intervals: Sequence[Interval]) -> Interval:
    """The unweighted mean of independent estimates, its interval recovered from theirs.

    As quick as adding up, where the scores behind the estimates need not be read again: the
    lower end lies √Σ(value − low)² / k below the mean, the upper end likewise.
    Source: G. Y. Zou, A. Donner, Statistics in Medicine 27 (2008), 1693–1702 (MOVER).
    ValueError for no intervals.
    """
    if not intervals:
        raise ValueError("A mean needs at least one estimate.")
    k = len(intervals)
    value = sum(found.value for found in intervals) / k
    below = sqrt(sum((found.value - found.low) ** 2 for found in intervals)) / k
    above = sqrt(sum((found.high - found.value) ** 2 for found in intervals)) / k
    n = sum(found.n for found in intervals)
    return Interval(value, value - below, value + above, n, "mover")
