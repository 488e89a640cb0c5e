"""Percentile bootstrap over samples: seeded, vectorised, in bounded memory.

Source: B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
The candidate answered each sample once; drawing samples again with replacement shows how the
score would move with other samples of the same kind. The interval has no width where all
scores are equal (one sample, or all right): show `intervals.wilson` for a single accuracy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from evals.stats.intervals import Interval, tails

REPLICATES = 1000
CELLS_AT_ONCE = 2**20  # replicates × samples held in memory: 8 MB per array
IN_CACHE = 2**15  # of them drawn together: faster, and takes no memory to speak of
FEW_DISTINCT = 0.05  # share of distinct scores below which drawing by score is faster


def resample_counts(
    n: int, replicates: int, seed: int, stream: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """How often each of ``n`` samples is drawn in each replicate, in chunks.

    Yields the rows a chunk stands for and its counts (rows × n, each row sums to n). The same
    ``n``, ``seed`` and ``stream`` (the number of the benchmark) give the same draws, so all
    candidates are measured on the same resamples.
    """
    rng = np.random.default_rng([seed, stream])
    step = max(1, CELLS_AT_ONCE // n)
    few = max(1, IN_CACHE // n)
    for start in range(0, replicates, step):
        rows = min(step, replicates - start)
        counts = np.empty((rows, n))
        for first in range(0, rows, few):
            some = counts[first : first + few]
            drawn = rng.integers(0, n, size=some.shape) + n * np.arange(len(some))[:, None]
            some[:] = np.bincount(drawn.ravel(), minlength=some.size).reshape(some.shape)
        yield slice(start, start + rows), counts


def percentiles(replicates: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """The lower and upper end of the percentile interval along the first axis.

    A NaN is a replicate in which nothing could be measured; it is left out.
    """
    # nanquantile goes through columns one by one, so it is kept for those that need it.
    gaps = np.isnan(replicates).any(axis=0)
    ends = np.quantile(replicates, tails(level), axis=0)
    if gaps.any():
        ends[:, gaps] = np.nanquantile(replicates[:, gaps], tails(level), axis=0)
    return ends[0], ends[1]


def bootstrap_mean(
    values: Sequence[float] | np.ndarray,
    replicates: int = REPLICATES,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """The mean of ``values`` with its percentile interval; the order of values is irrelevant.

    ValueError for no values or where one is not finite.
    """
    return macro_mean([np.asarray(values, dtype=float)], replicates, seed, level)


def macro_mean(
    groups: Sequence[np.ndarray],
    replicates: int = REPLICATES,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """The unweighted mean of the groups' means, resampled inside each group.

    A group holds the scores of one benchmark; ``n`` is the number of scores in all groups.
    ValueError for no groups, an empty group or scores that are not finite.
    """
    if not len(groups):
        raise ValueError("A mean over benchmarks needs at least one benchmark.")
    # Sorted, so that the same scores give the same interval in whatever order they arrive.
    scores = [np.sort(np.asarray(group, dtype=float)) for group in groups]
    for group in scores:
        if not group.size:
            raise ValueError("A mean needs at least one score.")
        if not np.isfinite(group).all():
            raise ValueError("A mean needs finite scores; leave unanswered samples out.")
    value = float(np.mean([group.mean() for group in scores]))
    means = [_means(group, replicates, seed, stream) for stream, group in enumerate(scores)]
    low, high = percentiles(np.mean(means, axis=0), level)
    # Rounding must not push the interval off its estimate nor past the scores themselves.
    floor = min(value, float(np.mean([group[0] for group in scores])))
    ceiling = max(value, float(np.mean([group[-1] for group in scores])))
    return Interval(
        value,
        max(floor, min(value, float(low))),
        min(ceiling, max(value, float(high))),
        sum(group.size for group in scores),
        "bootstrap",
    )


def _means(scores: np.ndarray, replicates: int, seed: int, stream: int) -> np.ndarray:
    """The mean of each replicate, shape (replicates,); ``scores`` sorted."""
    n = scores.size
    distinct, counts = np.unique(scores, return_counts=True)
    if distinct.size <= max(2, FEW_DISTINCT * n):
        # How often each distinct score is drawn is multinomial: the same distribution,
        # for right/wrong scores some fifty times faster than drawing sample by sample.
        rng = np.random.default_rng([seed, stream])
        return rng.multinomial(n, counts / n, size=replicates) @ distinct / n
    means = np.empty(replicates)
    for rows, drawn in resample_counts(n, replicates, seed, stream):
        means[rows] = drawn @ scores / n
    return means
