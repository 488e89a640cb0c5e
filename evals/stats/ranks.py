"""Ranks as ranges: which places a candidate may truly hold, given the samples.

Best place = 1 + the number of candidates significantly better, worst = n − the number
significantly worse, each judged by the paired bootstrap of `evals.stats.paired`. Pairs are not
corrected for their number: a range says what each comparison alone supports.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from evals.stats.bootstrap import REPLICATES
from evals.stats.paired import LEAST_DISCORDANT, pair_differences, stack

PAIRS_AT_ONCE = 2000  # × replicates × 8 bytes: 16 MB per array


class RankRange(NamedTuple):
    """The best and the worst place a candidate may hold; 1 is the top of the board."""

    best: int
    worst: int


def rank_ranges(
    board: Sequence[Sequence[np.ndarray]],
    replicates: int = REPLICATES,
    seed: int = 0,
    level: float = 0.95,
) -> list[RankRange]:
    """One range per candidate, in the order of ``board``; higher scores are better.

    ``board[candidate][benchmark]`` is an array of scores aligned by sample, NaN = not answered
    (all NaN = benchmark not run). A pair without a common sample on some benchmark is left
    undecided. The same ``seed`` gives the verdicts of `paired_difference`.
    """
    if not board:
        return []
    benchmarks = stack(board)
    n = len(board)
    best, worst = np.full(n, 1), np.full(n, n)
    pairs = np.array(list(combinations(range(n), 2)), dtype=int).reshape(-1, 2)
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        left, right = pairs[start : start + PAIRS_AT_ONCE].T
        found = pair_differences(benchmarks, left, right, replicates, seed, level)
        # NaN compares as False both ways, so an undecided pair moves nobody.
        enough = found.discordant >= LEAST_DISCORDANT
        for won, winner, loser in (
            (enough & (found.low > 0), left, right),
            (enough & (found.high < 0), right, left),
        ):
            np.add.at(best, loser[won], 1)
            np.subtract.at(worst, winner[won], 1)
    return [RankRange(int(b), int(w)) for b, w in zip(best, worst, strict=True)]
