"""Ranks as ranges: which places a candidate may truly hold, given the samples.

Best place = 1 + the number of candidates surely better, worst = n − the number surely worse.
Each pair is tested by `evals.stats.pairs`, and the p-values are corrected for the number of
pairs on the board (`evals.stats.adjust`). Under Holm all ranges together hold the true ranks
with the level's probability; under Benjamini–Hochberg ranges are narrower, and a share of
1 − level of the verdicts behind them may be false.
Source: M. Mogstad, J. P. Romano, A. M. Shaikh, D. Wilhelm, Rev. Econ. Stud. 91 (2024), 476–518.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from evals.stats.adjust import benjamini_hochberg, holm
from evals.stats.paired import stack
from evals.stats.pairs import Clusters, Tests, pair_tests

CORRECTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "holm": holm,
    "bh": benjamini_hochberg,
}
DEFAULT = "holm"


class RankRange(NamedTuple):
    """The best and the worst place a candidate may hold; 1 is the top of the board."""

    best: int
    worst: int


class Verdicts(NamedTuple):
    """All pairs of a board: ``left[k]`` − ``right[k]``, tested."""

    left: np.ndarray
    right: np.ndarray
    tests: Tests

    def ranges(self, candidates: int, correction: str, level: float = 0.95) -> list[RankRange]:
        """The range of each of ``candidates`` after ``correction`` over all pairs."""
        best, worst = np.full(candidates, 1), np.full(candidates, candidates)
        # NaN compares as False, so a pair that shares no sample moves nobody.
        sure = CORRECTIONS[correction](self.tests.p) <= 1 - level
        for won, winner, loser in (
            (sure & (self.tests.delta > 0), self.left, self.right),
            (sure & (self.tests.delta < 0), self.right, self.left),
        ):
            np.add.at(best, loser[won], 1)
            np.subtract.at(worst, winner[won], 1)
        return [RankRange(int(b), int(w)) for b, w in zip(best, worst, strict=True)]


def verdicts(board: Sequence[Sequence[np.ndarray]], clusters: Clusters | None = None) -> Verdicts:
    """Every pair of ``board`` tested, see `rank_ranges`."""
    pairs = np.array(list(combinations(range(len(board)), 2)), dtype=int).reshape(-1, 2)
    left, right = pairs.T
    return Verdicts(left, right, pair_tests(stack(board), left, right, clusters))


def rank_ranges(
    board: Sequence[Sequence[np.ndarray]],
    correction: str = DEFAULT,
    level: float = 0.95,
    clusters: Clusters | None = None,
) -> list[RankRange]:
    """One range per candidate, in the order of ``board``; higher scores are better.

    ``board[candidate][benchmark]`` is an array of scores aligned by sample, NaN = not answered
    (all NaN = benchmark not run). A pair without a common sample on some benchmark is left
    undecided. ``clusters`` names of each benchmark the cluster of every sample, or None.
    """
    if not board:
        return []
    return verdicts(board, clusters).ranges(len(board), correction, level)
