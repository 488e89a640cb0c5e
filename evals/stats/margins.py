"""Is one serving of a model as good as another, up to a margin that a person names?

An interval of no width, as the bootstrap leaves it where no answer changed, would prove too
much on few samples. So right/wrong scores get the Laplace-adjusted interval, which adds one
sample to each way of differing; other scores the t interval on paired differences, of clusters
where samples come in them; a mean over benchmarks is put together from theirs.
Source: D. G. Bonett, R. M. Price, J. Educ. Behav. Stat. 37 (2012), 479–488; G. Y. Zou,
A. Donner, Statistics in Medicine 27 (2008), 1693–1702 (means over benchmarks).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import sqrt
from statistics import NormalDist

import numpy as np

from evals.stats.clusters import robust_mean
from evals.stats.intervals import Interval, tails

WORSE, NOT_WORSE, UNSURE = "worse", "not_worse", "unsure"


def change(
    before: Sequence[float] | np.ndarray,
    after: Sequence[float] | np.ndarray,
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> Interval | None:
    """Mean of (after − before) over the samples both answered (NaN = not answered).

    ``clusters`` names the text of each sample. None with fewer than two such samples (texts),
    which tell nothing about the spread.
    """
    one, other = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    if one.shape != other.shape:
        raise ValueError("Scores must be aligned by sample.")
    both = ~(np.isnan(one) | np.isnan(other))
    gaps = other[both] - one[both]
    names = [clusters[at] for at in np.flatnonzero(both)] if clusters is not None else None
    if len(set(names) if names is not None else gaps) < 2:
        return None
    if names is None and np.isin([one[both], other[both]], (0.0, 1.0)).all():
        return adjusted(int((gaps > 0).sum()), int((gaps < 0).sum()), gaps.size, level)
    return robust_mean(gaps, names if names is not None else range(gaps.size), level)


def adjusted(gained: int, lost: int, n: int, level: float = 0.95) -> Interval:
    """(gained − lost) / n with the Laplace-adjusted interval of Bonett and Price."""
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    reach = NormalDist().inv_cdf(tails(level)[1]) * sqrt((up + down - (up - down) ** 2) / (n + 2))
    value = (gained - lost) / n
    low, high = max(-1.0, up - down - reach), min(1.0, up - down + reach)
    return Interval(value, min(value, low), max(value, high), n, "bonett-price")


def verdict(found: Interval, margin: float) -> str:
    """`NOT_WORSE` where a loss above ``margin`` is excluded, `WORSE` where any gain is.

    A loss that is sure but surely within the margin is one that the person said not to mind.
    """
    if found.low > -margin:
        return NOT_WORSE
    return WORSE if found.high < 0 else UNSURE
