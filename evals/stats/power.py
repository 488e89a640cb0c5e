"""How many more samples would tell two candidates apart, if the difference stays as it is.

Source: R. J. Connor, Biometrics 43 (1987), 207–211 (right/wrong scores); the usual formula for
a paired mean otherwise. A plan, not a promise: the difference seen is itself uncertain.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt
from statistics import NormalDist

import numpy as np

from evals.stats.intervals import tails

MOST_SAMPLES = 100_000  # beyond that nobody collects questions for one comparison


def more_by_error(
    delta: float, error: float, n: int, power: float = 0.8, level: float = 0.95
) -> int | None:
    """The same from a difference and its standard error, known from ``n`` samples.

    For means over benchmarks and for clustered samples: the new ones come as the old ones did,
    in the same shares of benchmarks and as many to a cluster.
    """
    z = NormalDist().inv_cdf(tails(level)[1]) + NormalDist().inv_cdf(power)
    if not delta or not z * error * sqrt(n) < abs(delta) * sqrt(MOST_SAMPLES):  # or not known
        return None
    return max(0, ceil(n * (z * error / delta) ** 2) - n)


def more_samples(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    power: float = 0.8,
    level: float = 0.95,
) -> int | None:
    """How many samples beyond those both answered (NaN = not answered); 0 where these suffice.

    None where the difference is nil or so small that no realistic number would do, and where
    fewer than two samples tell nothing about the spread.
    """
    one, other = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if one.shape != other.shape:
        raise ValueError("Scores must be aligned by sample.")
    both = ~(np.isnan(one) | np.isnan(other))
    one, other = one[both], other[both]
    gaps = one - other
    if gaps.size < 2:
        return None
    delta = float(gaps.mean())
    z_level, z_power = NormalDist().inv_cdf(tails(level)[1]), NormalDist().inv_cdf(power)
    if np.isin([one, other], (0.0, 1.0)).all():
        rate = float(np.count_nonzero(gaps)) / gaps.size
        reach = z_level * sqrt(rate) + z_power * sqrt(max(0.0, rate - delta**2))
    else:
        reach = (z_level + z_power) * float(gaps.std(ddof=1))
    if reach >= abs(delta) * sqrt(MOST_SAMPLES):
        return None
    return max(0, ceil((reach / delta) ** 2) - gaps.size)
