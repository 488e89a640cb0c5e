"""Is one candidate better than another on the same samples?

Both answered the same samples, so the difference is taken sample by sample: how hard a sample
is cancels out, and far smaller differences show than by comparing two separate intervals.
Source: Efron, Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; Q. McNemar,
Psychometrika 12 (1947), 153–157.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from evals.stats.bootstrap import CELLS_AT_ONCE, REPLICATES, percentiles, resample_counts

# Fewer samples on which two candidates differ decide nothing: even if all six speak for one
# side, a sign test has p = 2·2⁻⁶ = 0.03, with five p = 0.06. The bootstrap alone would call two
# wins out of two a certainty.
LEAST_DISCORDANT = 6
IN_CACHE = 2**18  # numbers worked on at a time: 2 MB per array
FEW_GONE = 0.1  # share of a candidate's samples without an answer that is quickly put right
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


class Pairs(NamedTuple):
    """Which candidates of a board to compare: ``left[k]`` − ``right[k]``; see `stack`.

    ``clusters`` names of each benchmark the cluster of every sample, None where each stands
    for itself; clusters are drawn whole, and they are what ``discordant`` counts.
    """

    benchmarks: Sequence[np.ndarray]
    left: np.ndarray
    right: np.ndarray
    clusters: Sequence[Sequence[Hashable] | None] | None = None

    def cluster_of(self, benchmark: int) -> Sequence[Hashable] | None:
        return self.clusters[benchmark] if self.clusters else None


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
    [[found]] = differences_to_first([[b, a]], replicates, seed, level)
    if found is None:
        raise NotComparable("The two candidates share no answered sample on a benchmark.")
    return found


def differences_to_first(
    boards: Sequence[Sequence[Sequence[np.ndarray]]],
    replicates: int = REPLICATES,
    seed: int = 0,
    level: float = 0.95,
    clusters: Sequence[Sequence[Sequence[Hashable] | None]] | None = None,
) -> list[list[Difference | None]]:
    """`paired_difference` of each further candidate of many boards to the first one there.

    ``boards[board][candidate][benchmark]``; None where two share no answered sample on one of
    the benchmarks. Far quicker than one after the other: each resample is drawn once.
    ``clusters[board]`` is what `Pairs` takes.
    """
    asked = []
    for number, board in enumerate(boards):
        others = np.arange(1, len(board))
        names = clusters[number] if clusters else None
        asked.append(Pairs(stack(board), others, np.zeros_like(others), names))
    found = _differences(asked, replicates, seed, level)
    return [_told(pairs, differences) for pairs, differences in zip(asked, found, strict=True)]


def _told(pairs: Pairs, found: Differences) -> list[Difference | None]:
    out: list[Difference | None] = []
    for at, columns in enumerate(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)):
        shared = [scores[:, columns] for scores in pairs.benchmarks]
        shared = [scores[~np.isnan(scores).any(axis=1)] for scores in shared]
        if not all(scores.size for scores in shared):
            out.append(None)
            continue
        difference = Difference(
            float(found.delta[at]),
            float(found.low[at]),
            float(found.high[at]),
            sum(len(scores) for scores in shared),
            int(found.discordant[at]),
            _mcnemar(shared[0]) if len(shared) == 1 else None,
            "clustered paired bootstrap" if any(pairs.clusters or ()) else "paired bootstrap",
        )
        out.append(difference)
    return out


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
    clusters: Sequence[Sequence[Hashable] | None] | None = None,
) -> Differences:
    """The differences of many pairs: candidates ``left[k]`` − ``right[k]``, see `Pairs`.

    A replicate draws positions among all samples of the benchmark, for all pairs the same; a
    pair's difference is the mean over the drawn samples that both answered.
    """
    return _differences([Pairs(benchmarks, left, right, clusters)], replicates, seed, level)[0]


def _differences(
    boards: Sequence[Pairs], replicates: int, seed: int, level: float
) -> list[Differences]:
    """`pair_differences` of several boards; what they draw alike is drawn once."""
    # The first column is the sample as it was asked, which gives the estimate itself.
    rows = [np.zeros((board.left.size, replicates + 1)) for board in boards]
    uses: dict[tuple[int, int], list[tuple[Pairs, np.ndarray]]] = {}
    for board, mine in zip(boards, rows, strict=True):
        for stream, scores in enumerate(board.benchmarks):
            names = board.cluster_of(stream)
            size = len(scores) if names is None else len(set(names))
            uses.setdefault((stream, size), []).append((board, mine))
    for (stream, n), together in sorted(uses.items(), key=lambda use: use[0]):
        if not n:
            for _board, mine in together:
                mine[:] = np.nan
            continue
        ready = [(_ready(board, stream), mine) for board, mine in together]
        resampled = (
            (slice(r.start + 1, r.stop + 1), counts)
            for r, counts in resample_counts(n, replicates, seed, stream)
        )
        for at, counts in chain([(slice(0, 1), np.ones((1, n)))], resampled):
            for benchmark, mine in ready:
                benchmark.add(mine[:, at], counts)
    return [_ends(board, mine, level) for board, mine in zip(boards, rows, strict=True)]


def _ends(board: Pairs, rows: np.ndarray, level: float) -> Differences:
    """Estimates and intervals from the sums over benchmarks, shape (pairs, 1 + replicates)."""
    rows /= len(board.benchmarks)
    delta = rows[:, 0]
    low, high = np.full_like(delta, np.nan), np.full_like(delta, np.nan)
    known = ~np.isnan(delta)
    if known.any():
        low[known], high[known] = percentiles(rows[known, 1:].T, level)
    largest = max(float(np.nanmax(np.abs(s), initial=0.0)) for s in board.benchmarks)
    delta, low, high = (
        np.where(np.abs(x) <= ROUNDING * largest, 0.0, x) for x in (delta, low, high)
    )
    found = [
        _discordant(scores, board.left, board.right)
        if (names := board.cluster_of(at)) is None
        else _discordant_clusters(scores, board.left, board.right, names)
        for at, scores in enumerate(board.benchmarks)
    ]
    return Differences(
        delta, np.minimum(low, delta), np.maximum(high, delta), np.sum(found, axis=0)
    )


def _discordant(scores: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """How many samples both of a pair answered with different scores, one entry per pair."""
    counts = np.zeros(left.size, dtype=int)
    by_candidate = np.ascontiguousarray(scores.T)
    width = max(1, IN_CACHE // max(1, len(scores)))
    for start in range(0, left.size, width):
        part = slice(start, start + width)
        one, other = by_candidate[left[part]], by_candidate[right[part]]
        # NaN is neither above nor below, so a sample that one did not answer does not count
        counts[part] = np.count_nonzero((one > other) | (one < other), axis=1)
    return counts


def numbered(clusters: Sequence[Hashable]) -> tuple[np.ndarray, int]:
    """The number of each sample's cluster, in the order they first appear, and how many."""
    numbers: dict[Hashable, int] = {}
    at = np.array([numbers.setdefault(name, len(numbers)) for name in clusters], dtype=int)
    return at, len(numbers)


def _by_cluster(values: np.ndarray, clusters: Sequence[Hashable]) -> np.ndarray:
    """``values`` (samples × pairs) added up within each cluster (clusters × pairs)."""
    if len(clusters) != len(values):
        raise ValueError("Scores and clusters must be aligned by sample.")
    at, count = numbered(clusters)
    out = np.zeros((count, values.shape[1]))
    np.add.at(out, at, values)
    return out


def _discordant_clusters(
    scores: np.ndarray, left: np.ndarray, right: np.ndarray, clusters: Sequence[Hashable]
) -> np.ndarray:
    """How many clusters came out differently: they are the independent evidence."""
    gaps = np.nan_to_num(scores[:, left] - scores[:, right])
    return np.count_nonzero(_by_cluster(gaps, clusters), axis=0)


class _Repair(NamedTuple):
    """The samples one candidate did not answer, and what they change in its pairs."""

    away: np.ndarray
    pairs: np.ndarray
    scores: np.ndarray
    """What the other one scored there, with the sign of its absent partner (pairs × away)."""
    both: np.ndarray
    """Pairs on whose left it stands that share such samples, which were taken off twice."""
    neither: np.ndarray


def _ready(board: Pairs, stream: int) -> _Benchmark | _Clustered:
    scores, names = board.benchmarks[stream], board.cluster_of(stream)
    if names is None:
        return _Benchmark(scores, board.left, board.right)
    return _Clustered(scores, board.left, board.right, names)


class _Clustered:
    """The pairs of one board on one benchmark whose samples come in clusters."""

    def __init__(
        self, scores: np.ndarray, left: np.ndarray, right: np.ndarray, names: Sequence[Hashable]
    ) -> None:
        gaps = scores[:, left] - scores[:, right]
        self.sums = _by_cluster(np.nan_to_num(gaps), names)
        self.sizes = _by_cluster((~np.isnan(gaps)).astype(float), names)

    def add(self, rows: np.ndarray, counts: np.ndarray) -> None:
        """Add each pair's difference of means under ``counts`` to ``rows`` (pairs × counts)."""
        rows += _quotient(self.sums.T @ counts.T, self.sizes.T @ counts.T)


class _Benchmark:
    """The pairs of one board on one benchmark, made ready for many resamples."""

    def __init__(self, scores: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
        self.gone = np.isnan(scores)
        self.filled = np.where(self.gone, 0.0, scores)
        self.left, self.right = left, right
        # With many pairs it pays to add up each candidate alone and to put right what one of a
        # pair did not answer; with few pairs, or many such samples, to add up the gaps of each.
        many = left.size > 2 * scores.shape[1]
        patchy = self.gone.sum(axis=0) > FEW_GONE * len(scores)
        by_gap = patchy[left] | patchy[right] if many else np.ones(left.size, dtype=bool)
        self.by_gap, self.by_sum = np.flatnonzero(by_gap), np.flatnonzero(~by_gap)
        self.repairs = self._repairs() if self.by_sum.size else []

    def _repairs(self) -> list[_Repair]:
        """What each candidate with gaps puts wrong in the sums of its pairs."""
        left, right = self.left[self.by_sum], self.right[self.by_sum]
        out = []
        for candidate in np.flatnonzero(self.gone.any(axis=0)).tolist():
            away = np.flatnonzero(self.gone[:, candidate])
            first, second = np.flatnonzero(left == candidate), np.flatnonzero(right == candidate)
            others = self.filled[away].T
            scores = np.vstack([others[right[first]], -others[left[second]]])
            neither = self.gone[away].T[right[first]]
            some = neither.any(axis=1)
            out.append(
                _Repair(
                    away, np.concatenate([first, second]), scores,
                    first[some], neither[some].astype(float),
                )
            )  # fmt: skip
        return out

    def add(self, rows: np.ndarray, counts: np.ndarray) -> None:
        """Add each pair's difference of means under ``counts`` to ``rows`` (pairs × counts)."""
        width = max(1, CELLS_AT_ONCE // counts.shape[1])
        for start in range(0, self.by_gap.size, width):
            pairs = self.by_gap[start : start + width]
            rows[pairs] += self._gaps(counts, self.left[pairs], self.right[pairs])
        if not self.by_sum.size:
            return
        whole = self.by_sum.size == self.left.size
        pairs = slice(None) if whole else self.by_sum
        left, right = self.left[pairs], self.right[pairs]
        width = max(1, IN_CACHE // self.by_sum.size)
        for start in range(0, len(counts), width):
            at = slice(start, start + width)
            rows[pairs, at] += self._sums(counts[at], left, right)

    def _gaps(self, counts: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        both = ~(self.gone[:, left] | self.gone[:, right])
        gaps = np.where(both, self.filled[:, left] - self.filled[:, right], 0.0)
        if both.all():
            return gaps.T @ counts.T / len(both)
        return _quotient(gaps.T @ counts.T, both.T.astype(float) @ counts.T)

    def _sums(self, counts: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        sums = self.filled.T @ counts.T
        total = sums[left]
        total -= sums[right]
        if not self.gone.any():
            total /= len(self.filled)
            return total
        lost = self.gone.T.astype(float) @ counts.T
        number = len(self.filled) - lost[left]
        number -= lost[right]
        for repair in self.repairs:
            drawn = counts[:, repair.away].T
            total[repair.pairs] += repair.scores @ drawn
            if repair.both.size:
                number[repair.both] += repair.neither @ drawn
        return _quotient(total, number)


def _quotient(total: np.ndarray, number: np.ndarray) -> np.ndarray:
    """``total / number`` in place; NaN where nothing that both answered was drawn."""
    if not number.all():
        number[number == 0] = np.nan
    total /= number
    return total


def _mcnemar(scores: np.ndarray) -> float | None:
    """McNemar's p-value for right/wrong scores (samples × 2), None for other scores."""
    if not np.isin(scores, (0.0, 1.0)).all():
        return None
    gaps = scores[:, 0] - scores[:, 1]
    return mcnemar_exact(int((gaps > 0).sum()), int((gaps < 0).sum()))
