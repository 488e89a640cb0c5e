"""Is one candidate better than another on the same samples?

Both answered the same samples, so the difference is taken sample by sample: how hard a sample
is cancels out, and far smaller differences show than by comparing two separate intervals.
Source: Efron, Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; Q. McNemar,
Psychometrika 12 (1947), 153–157.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from evals.stats.bootstrap import CELLS_AT_ONCE, REPLICATES, percentiles, resample_counts

# Fewer samples on which two candidates differ decide nothing: even if all six speak for one
# side, a sign test has p = 2·2⁻⁶ = 0.03, with five p = 0.06. The bootstrap alone would call two
# wins out of two a certainty.
LEAST_DISCORDANT = 6
ROUNDING = 1e-12  # differences below this share of the largest score are rounding, not findings


class NotComparable(ValueError):
    """Two candidates share no answered sample on one of the benchmarks."""


class Difference(NamedTuple):
    """Score of A minus score of B with its interval, in the unit of the scores.

    ``n`` counts the samples both answered, ``discordant`` those scored differently.
    ``p_value`` is McNemar's exact one, known for one benchmark of right/wrong scores.
    """

    delta: float
    low: float
    high: float
    n: int
    discordant: int
    p_value: float | None
    method: str

    @property
    def significant(self) -> bool:
        """Whether the interval excludes "no difference", on enough samples that differ.

        A handful of samples that all point one way leave the interval no width (see
        `evals.stats.bootstrap`), so at least ``LEAST_DISCORDANT`` must differ.
        """
        return self.discordant >= LEAST_DISCORDANT and (self.low > 0 or self.high < 0)


class Differences(NamedTuple):
    """Many pairs at once: arrays of one entry per pair, NaN where not comparable."""

    delta: np.ndarray
    low: np.ndarray
    high: np.ndarray
    discordant: np.ndarray


def paired_difference(
    a: Sequence[np.ndarray],
    b: Sequence[np.ndarray],
    replicates: int = REPLICATES,
    seed: int = 0,
    level: float = 0.95,
) -> Difference:
    """The unweighted mean over benchmarks of (score of A − score of B), percentile bootstrap.

    ``a`` and ``b`` hold one array per benchmark, aligned by sample, NaN = not answered. Only
    samples answered by both count; the same resamples are used for both. `NotComparable` where
    a benchmark has no such sample, ValueError where the shapes do not fit.
    """
    benchmarks = stack([a, b])
    shared = [scores[~np.isnan(scores).any(axis=1)] for scores in benchmarks]
    if not all(scores.size for scores in shared):
        raise NotComparable("The two candidates share no answered sample on a benchmark.")
    first, second = np.array([0]), np.array([1])
    found = pair_differences(benchmarks, first, second, replicates, seed, level)
    return Difference(
        float(found.delta[0]),
        float(found.low[0]),
        float(found.high[0]),
        sum(len(scores) for scores in shared),
        int(found.discordant[0]),
        _mcnemar(shared[0]) if len(shared) == 1 else None,
        "paired bootstrap",
    )


def mcnemar_exact(b: int, c: int) -> float:
    """Two-sided p-value that ``b`` wins against ``c`` come from equally good candidates.

    ``b`` and ``c`` count the samples only one of them got right: under equality each falls to
    either side like a coin, p = 2·P(X ≤ min(b, c)) with X ~ Binomial(b + c, ½), at most 1.
    """
    if b < 0 or c < 0:
        raise ValueError("Counts of samples cannot be negative.")
    from scipy.special import bdtr  # 30 MB, which a web process should not pay at start

    return min(1.0, 2 * float(bdtr(min(b, c), b + c, 0.5)))


def stack(board: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """One array (samples × candidates) per benchmark from each candidate's list of arrays.

    ValueError where candidates differ in benchmarks or samples, or a score is infinite.
    """
    if not board or not len(board[0]):
        raise ValueError("A comparison needs at least one benchmark.")
    if len({len(row) for row in board}) > 1:
        raise ValueError("All candidates need the same benchmarks in the same order.")
    benchmarks = []
    for columns in zip(*board, strict=True):
        if len({len(column) for column in columns}) > 1:
            raise ValueError("Scores on one benchmark must be aligned by sample.")
        scores = np.column_stack([np.asarray(column, dtype=float) for column in columns])
        if np.isinf(scores).any():
            raise ValueError("A comparison needs finite scores (NaN = not answered).")
        benchmarks.append(scores)
    return benchmarks


def pair_differences(
    benchmarks: Sequence[np.ndarray],
    left: np.ndarray,
    right: np.ndarray,
    replicates: int,
    seed: int,
    level: float,
) -> Differences:
    """The differences of many pairs: candidates ``left[k]`` − ``right[k]``, see `stack`.

    A replicate draws positions among all samples of the benchmark, for all pairs the same; a
    pair's difference is the mean over the drawn samples that both answered.
    """
    # The first row is the sample as it was asked, which gives the estimate itself.
    rows = np.zeros((replicates + 1, left.size))
    for stream, scores in enumerate(benchmarks):
        rows += _benchmark_rows(scores, left, right, replicates, seed, stream)
    rows /= len(benchmarks)
    delta = rows[0]
    low, high = np.full_like(delta, np.nan), np.full_like(delta, np.nan)
    known = ~np.isnan(delta)
    if known.any():
        low[known], high[known] = percentiles(rows[1:, known], level)
    largest = max(float(np.nanmax(np.abs(s), initial=0.0)) for s in benchmarks)
    delta, low, high = (
        np.where(np.abs(x) <= ROUNDING * largest, 0.0, x) for x in (delta, low, high)
    )
    discordant = np.sum([_discordant(scores, left, right) for scores in benchmarks], axis=0)
    return Differences(delta, np.minimum(low, delta), np.maximum(high, delta), discordant)


def _discordant(scores: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """How many samples both of a pair answered with different scores, one entry per pair."""
    counts = np.zeros(left.size, dtype=int)
    width = max(1, CELLS_AT_ONCE // max(1, len(scores)))
    for start in range(0, left.size, width):
        part = slice(start, start + width)
        # NaN is not above zero, so a sample that one did not answer does not count
        gaps = np.abs(scores[:, left[part]] - scores[:, right[part]])
        counts[part] = (gaps > 0).sum(axis=0)
    return counts


def _benchmark_rows(
    scores: np.ndarray, left: np.ndarray, right: np.ndarray, replicates: int, seed: int, stream: int
) -> np.ndarray:
    """Differences of mean scores on one benchmark, shape (1 + replicates, pairs)."""
    n = len(scores)
    rows = np.full((replicates + 1, left.size), np.nan)
    if not n:
        return rows
    answered = ~np.isnan(scores)
    filled = np.where(answered, scores, 0.0)
    complete = answered.all(axis=0)
    whole = np.flatnonzero(complete[left] & complete[right])
    gappy = np.flatnonzero(~(complete[left] & complete[right]))
    width = max(1, CELLS_AT_ONCE // n)
    resampled = (
        (slice(r.start + 1, r.stop + 1), c) for r, c in resample_counts(n, replicates, seed, stream)
    )
    for at, counts in chain([(slice(0, 1), np.ones((1, n)))], resampled):
        if whole.size:
            means = counts @ filled / n
            rows[at, whole] = means[:, left[whole]] - means[:, right[whole]]
        for start in range(0, gappy.size, width):
            pairs = gappy[start : start + width]
            one, other = left[pairs], right[pairs]
            both = answered[:, one] & answered[:, other]
            gaps = np.where(both, filled[:, one] - filled[:, other], 0.0)
            with np.errstate(invalid="ignore"):  # 0/0: nothing both answered was drawn
                rows[at, pairs] = (counts @ gaps) / (counts @ both.astype(float))
    return rows


def _mcnemar(scores: np.ndarray) -> float | None:
    """McNemar's p-value for right/wrong scores (samples × 2), None for other scores."""
    if not np.isin(scores, (0.0, 1.0)).all():
        return None
    gaps = scores[:, 0] - scores[:, 1]
    return mcnemar_exact(int((gaps > 0).sum()), int((gaps < 0).sum()))
