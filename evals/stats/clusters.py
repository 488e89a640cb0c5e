"""Means and differences where samples come in clusters, such as questions about one passage.

Who misreads a passage misses several of its questions, so a hundred questions on ten passages
say less than a hundred on a hundred. Clusters are drawn (or counted) whole; with one sample per
cluster everything here agrees with `evals.stats.bootstrap` up to the draws.
Source: A. C. Davison, D. V. Hinkley, Bootstrap Methods and their Application (1997), 3.8;
K.-Y. Liang, S. L. Zeger, Biometrika 73 (1986), 13–22.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import sqrt

import numpy as np

from evals.stats.bootstrap import REPLICATES, percentiles, resample_counts
from evals.stats.intervals import Interval, tails
from evals.stats.paired import Difference, NotComparable, numbered


def clustered_mean(
    values: Sequence[float] | np.ndarray,
    clusters: Sequence[Hashable],
    replicates: int = REPLICATES,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """The mean over samples with its percentile interval, clusters drawn with replacement.

    ``clusters`` names the cluster of each value. ValueError for no values, one that is not
    finite, or a number of names that differs from that of the values.
    """
    scores = _finite(values)
    sums, sizes = _by_cluster(scores, clusters)
    value = float(scores.mean())
    low, high = _ends(sums, sizes, replicates, seed, level)
    return Interval(value, min(value, low), max(value, high), scores.size, "clustered bootstrap")


def macro_mean(
    groups: Sequence[np.ndarray],
    clusters: Sequence[Sequence[Hashable] | None],
    replicates: int = REPLICATES,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """`evals.stats.bootstrap.macro_mean` where the samples of some groups come in clusters.

    ``clusters`` names of each group the cluster of every score, None: each for itself.
    """
    value, means = 0.0, np.zeros(replicates)
    for stream, (group, names) in enumerate(zip(groups, clusters, strict=True)):
        scores = _finite(group)
        each = names if names is not None else range(scores.size)
        value += float(scores.mean()) / len(groups)
        means += _means(*_by_cluster(scores, each), replicates, seed, stream) / len(groups)
    low, high = (float(end) for end in percentiles(means, level))
    n = sum(len(group) for group in groups)
    return Interval(value, min(value, low), max(value, high), n, "clustered bootstrap")


def robust_mean(
    values: Sequence[float] | np.ndarray, clusters: Sequence[Hashable], level: float = 0.95
) -> Interval:
    """The mean ± t·s, s the cluster-robust standard error with G − 1 degrees of freedom.

    ValueError as `clustered_mean`, and with fewer than two clusters (no spread is known).
    """
    scores = _finite(values)
    sums, sizes = _by_cluster(scores, clusters)
    count = sums.size
    if count < 2:
        raise ValueError("The spread between clusters needs at least two of them.")
    from scipy.special import stdtrit  # 30 MB, which a web process should not pay at start

    mean = float(scores.mean())
    rest = sums - mean * sizes
    error = sqrt(count / (count - 1) * float(rest @ rest)) / scores.size
    reach = float(stdtrit(count - 1, tails(level)[1])) * error
    return Interval(mean, mean - reach, mean + reach, scores.size, "cluster-robust")


def clustered_difference(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    clusters: Sequence[Hashable],
    replicates: int = REPLICATES,
    seed: int = 0,
    level: float = 0.95,
) -> Difference:
    """Mean of (score of A − score of B) on one benchmark, clusters drawn with replacement.

    Only samples answered by both count (NaN = not answered). ``discordant`` counts clusters
    whose sums differ: they, not the samples, are the independent evidence. `NotComparable`
    where no sample was answered by both.
    """
    one, other = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if one.shape != other.shape or len(clusters) != one.size:
        raise ValueError("Scores and clusters must be aligned by sample.")
    both = ~(np.isnan(one) | np.isnan(other))
    if not both.any():
        raise NotComparable("The two candidates share no answered sample.")
    gaps = _finite(one[both] - other[both])
    sums, sizes = _by_cluster(gaps, [clusters[at] for at in np.flatnonzero(both).tolist()])
    delta = float(gaps.mean())
    low, high = _ends(sums, sizes, replicates, seed, level)
    return Difference(
        delta,
        min(delta, low),
        max(delta, high),
        gaps.size,
        int(np.count_nonzero(sums)),
        None,
        "clustered paired bootstrap",
    )


def _finite(values: Sequence[float] | np.ndarray) -> np.ndarray:
    scores = np.asarray(values, dtype=float)
    if not scores.size:
        raise ValueError("A mean needs at least one score.")
    if not np.isfinite(scores).all():
        raise ValueError("A mean needs finite scores; leave unanswered samples out.")
    return scores


def _by_cluster(scores: np.ndarray, clusters: Sequence[Hashable]) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of the scores of each cluster, in the order they first appear."""
    if len(clusters) != scores.size:
        raise ValueError("Scores and clusters must be aligned by sample.")
    at, _count = numbered(clusters)
    return np.bincount(at, weights=scores), np.bincount(at).astype(float)


def _ends(
    sums: np.ndarray, sizes: np.ndarray, replicates: int, seed: int, level: float
) -> tuple[float, float]:
    low, high = percentiles(_means(sums, sizes, replicates, seed, stream=0), level)
    return float(low), float(high)


def _means(
    sums: np.ndarray, sizes: np.ndarray, replicates: int, seed: int, stream: int
) -> np.ndarray:
    """The mean over samples in each replicate of drawn clusters, shape (replicates,)."""
    means = np.empty(replicates)
    for rows, drawn in resample_counts(sums.size, replicates, seed, stream):
        means[rows] = (drawn @ sums) / (drawn @ sizes)
    return means
