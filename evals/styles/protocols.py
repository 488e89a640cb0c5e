"""How often a question is asked and what the interval says: two protocols.

B, the default: each question once, with the same examples; percentile bootstrap over questions.
A, as EuroEval 16.11: ten resamples of the questions, each with examples of its own. The score is
the mean of the ten, and its half-width 1.96·sd/√10 is the Monte-Carlo error of that mean: it
does not say how the score would move with other questions, and holds the true score far less
often than 95 %. Source: EuroEval 16.11, ``scores.aggregate_scores``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from evals.stats.intervals import Interval

ONCE, RESAMPLED = "B", "A"
PROTOCOLS = (ONCE, RESAMPLED)
ITERATIONS = 10
SEED = 4242  # EuroEval's
METHOD = "monte carlo"


class Asked(NamedTuple):
    """One question as asked: with the examples of ``iteration``, counted ``times`` there."""

    iteration: int
    row: int
    times: int


class _Once(Sequence[Asked]):
    def __init__(self, rows: range) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: Any) -> Any:
        found = self._rows[at]
        return _Once(found) if isinstance(found, range) else Asked(0, found, 1)


def plan(protocol: str, rows: int, seed: int) -> Sequence[Asked]:
    """Everything that is asked, in order; a sample's ``doc_id`` is its place here."""
    if protocol == ONCE:
        return _Once(range(rows))
    drawn = np.random.default_rng(seed).integers(0, rows, size=(ITERATIONS, rows))
    return [
        Asked(iteration, int(row), int(times))
        for iteration, mine in enumerate(drawn)
        for row, times in zip(*np.unique(mine, return_counts=True), strict=True)
    ]


def resampled(
    asked: Sequence[Asked], table: np.ndarray, metric: Callable[[np.ndarray, np.ndarray], float]
) -> Interval | None:
    """The mean of ``metric(rows, times)`` over the iterations, with its half-width.

    ``table`` has a row for each of ``asked``, NaN where there is no answer; None where an
    iteration has no answer at all.
    """
    iterations = np.array([each.iteration for each in asked])
    times = np.array([each.times for each in asked], dtype=float)
    there = ~np.isnan(table).any(axis=1)
    scores = []
    for iteration in range(ITERATIONS):
        mine = there & (iterations == iteration)
        if not mine.any():
            return None
        scores.append(metric(table[mine], times[mine]))
    mean = float(np.mean(scores))
    reach = 1.96 * float(np.std(scores, ddof=1)) / sqrt(ITERATIONS)
    return Interval(mean, mean - reach, mean + reach, int(there.sum()), METHOD)
