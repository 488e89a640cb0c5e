"""p-values for all pairs of a board at once, by formula.

A thousand resamples cannot show a p-value below 0.002, and Holm's level for the 190 pairs of
twenty candidates is 0.0003: so pairs are tested by McNemar's exact test where there is one
benchmark of right/wrong scores, otherwise by t on the paired differences, whose variance is
that of clusters where samples come in them (Welch and Satterthwaite over several benchmarks).
Source: Q. McNemar, Psychometrika 12 (1947), 153–157; F. E. Satterthwaite, Biometrics Bulletin 2
(1946), 110–114; K.-Y. Liang, S. L. Zeger, Biometrika 73 (1986), 13–22.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from evals.stats.paired import numbered

Clusters = Sequence[Sequence[Hashable] | None]
"""Of each benchmark the cluster of every sample; None: each sample stands for itself."""


class Tests(NamedTuple):
    """One entry per pair, in the unit of the scores; NaN where two share no answered sample.

    ``error`` is the standard error of ``delta``, the unweighted mean over the benchmarks.
    ``discordant`` counts samples (clusters where they are named) that differ.
    """

    delta: np.ndarray
    error: np.ndarray
    discordant: np.ndarray
    p: np.ndarray


class _Sums(NamedTuple):
    """What one benchmark adds to each pair (candidates × candidates, row minus column)."""

    delta: np.ndarray
    variance: np.ndarray
    freedom: np.ndarray
    above: np.ndarray
    below: np.ndarray


def pair_tests(
    benchmarks: Sequence[np.ndarray],
    left: np.ndarray,
    right: np.ndarray,
    clusters: Clusters | None = None,
) -> Tests:
    """Candidates ``left[k]`` − ``right[k]`` on ``benchmarks``, as `evals.stats.paired.stack`.

    No pair is surer than a sign test in which all that differ speak for one side: a handful
    of samples decides nothing, however alike they are.
    """
    names = clusters or [None] * len(benchmarks)
    found = [
        _plain(scores) if cluster is None else _clustered(scores, cluster)
        for scores, cluster in zip(benchmarks, names, strict=True)
    ]
    k = len(found)
    delta = sum(one.delta for one in found)[left, right] / k
    variance = sum(one.variance for one in found)[left, right] / k**2
    spread = sum(one.variance**2 / one.freedom for one in found)[left, right] / k**4
    above = sum(one.above for one in found)[left, right]
    below = sum(one.below for one in found)[left, right]
    discordant = above + below
    if k == 1 and names[0] is None and _is_right_wrong(benchmarks[0]):
        p = _sign_tests(above, below)
    else:
        p = np.maximum(_t_tests(delta, variance, spread), np.minimum(1.0, 2.0 ** (1 - discordant)))
    p = np.where(np.isnan(p), 1.0, p)  # one sample tells no spread and decides nothing
    return Tests(delta, np.sqrt(variance), discordant, np.where(np.isnan(delta), np.nan, p))


def _is_right_wrong(scores: np.ndarray) -> bool:
    return bool(np.isin(scores[~np.isnan(scores)], (0.0, 1.0)).all())


def _plain(scores: np.ndarray) -> _Sums:
    """Sums over independent samples, from products of whole columns."""
    there = ~np.isnan(scores)
    filled, both = np.where(there, scores, 0.0), there.astype(float)
    n = both.T @ both
    total = filled.T @ both
    squares = (filled**2).T @ both
    gaps = total - total.T
    powers = squares + squares.T - 2 * filled.T @ filled
    above = _counts(scores)
    with np.errstate(divide="ignore", invalid="ignore"):
        delta = np.where(n > 0, gaps / n, np.nan)
        spread = np.maximum(powers / n - delta**2, 0.0)
        variance = np.where(n > 1, spread / np.maximum(n - 1, 1), np.nan)
    return _Sums(delta, variance, np.maximum(n - 1, 1), above, above.T)


def _counts(scores: np.ndarray) -> np.ndarray:
    """How often the candidate of the row scored more than that of the column."""
    count = scores.shape[1]
    if _is_right_wrong(scores):
        right, wrong = (scores == 1).astype(float), (scores == 0).astype(float)
        return np.rint(right.T @ wrong).astype(int)
    above = np.zeros((count, count), dtype=int)
    for one in range(count):
        above[one] = (scores[:, [one]] > scores).sum(axis=0)  # NaN is above nothing
    return above


def _clustered(scores: np.ndarray, clusters: Sequence[Hashable]) -> _Sums:
    """Sums over clusters: their number, not that of the samples, is the evidence."""
    at, groups = numbered(clusters)
    count = scores.shape[1]
    delta, variance = np.full((count, count), np.nan), np.zeros((count, count))
    freedom = np.ones((count, count))
    above, below = np.zeros((count, count), dtype=int), np.zeros((count, count), dtype=int)
    order = np.argsort(at, kind="stable")
    starts = np.searchsorted(at[order], np.arange(groups))
    for one in range(count):
        gaps = (scores[:, [one]] - scores)[order]
        both = ~np.isnan(gaps)
        sums = np.add.reduceat(np.where(both, gaps, 0.0), starts, axis=0)
        sizes = np.add.reduceat(both.astype(float), starts, axis=0)
        n, g = sizes.sum(axis=0), (sizes > 0).sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            delta[one] = np.where(n > 0, sums.sum(axis=0) / n, np.nan)
            rest = sums - delta[one] * sizes
            variance[one] = np.where(
                g > 1, g / np.maximum(g - 1, 1) * (rest**2).sum(axis=0) / n**2, np.nan
            )
        freedom[one] = np.maximum(g - 1, 1)
        above[one], below[one] = (sums > 0).sum(axis=0), (sums < 0).sum(axis=0)
    return _Sums(delta, variance, freedom, above, below)


def _sign_tests(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Two-sided exact p-values of splits of discordant samples; 1 without any."""
    from scipy.special import bdtr  # 30 MB, which a web process should not pay at start

    number = above + below
    tail = 2 * bdtr(np.minimum(above, below), np.maximum(number, 1), 0.5)
    return np.where(number > 0, np.minimum(1.0, tail), 1.0)


def _t_tests(delta: np.ndarray, variance: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Two-sided p-values; 0 or 1 where there is no variance at all, NaN where none is known."""
    from scipy.special import stdtr  # 30 MB, which a web process should not pay at start

    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.where(spread > 0, variance**2 / spread, 1.0)
        t = np.abs(delta) / np.sqrt(variance)
        p = 2 * stdtr(freedom, -t)
    return np.where(variance == 0, np.where(delta == 0, 1.0, 0.0), p)
