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
    drawn = _drawn(rows, seed)
    return [
        Asked(iteration, int(row), int(times))
        for iteration, mine in enumerate(drawn)
        for row, times in zip(*np.unique(mine, return_counts=True), strict=True)
    ]


Metric = Callable[[np.ndarray, np.ndarray], float]


def resampled(asked: Sequence[Asked], table: np.ndarray, metric: Metric) -> Interval | None:
    """The mean of ``metric(rows, times)`` over the iterations, with its half-width.

    ``table`` has a row for each of ``asked``, NaN where there is no answer; None where an
    iteration has no answer at all.
    """
    scores = iterations(asked, table, metric)
    if scores is None:
        return None
    mean = float(np.mean(scores))
    reach = 1.96 * float(np.std(scores, ddof=1)) / sqrt(ITERATIONS)
    answered = int((~np.isnan(table).any(axis=1)).sum())
    return Interval(mean, mean - reach, mean + reach, answered, METHOD)


def replicates(
    asked: Sequence[Asked] | None, table: np.ndarray, metric: Metric, seed: int = SEED
) -> list[float] | None:
    """``metric`` of ten resamples of the questions, as EuroEval's rank scores take them.

    Under protocol A (``asked``) the ten that were asked. Under B (None) the draws of A by the
    same ``seed``, taken among the answers that each question got once; ``table`` has a row a
    question then.
    """
    if asked is not None:
        return iterations(asked, table, metric)
    there = ~np.isnan(table).any(axis=1)
    answered, scores = table[there], []
    for mine in _drawn(len(table), seed):
        times = np.bincount(mine, minlength=len(table))[there].astype(float)
        if not times.any():
            return None
        scores.append(metric(answered, times))
    return scores


def _drawn(rows: int, seed: int) -> np.ndarray:
    """Which rows each iteration draws, with replacement: iterations × rows."""
    return np.random.default_rng(seed).integers(0, rows, size=(ITERATIONS, rows))


def iterations(asked: Sequence[Asked], table: np.ndarray, metric: Metric) -> list[float] | None:
    """``metric`` of each iteration; None where one has no answer at all."""
    numbers = np.array([each.iteration for each in asked])
    times = np.array([each.times for each in asked], dtype=float)
    there = ~np.isnan(table).any(axis=1)
    scores = []
    for iteration in range(ITERATIONS):
        mine = there & (numbers == iteration)
        if not mine.any():
            return None
        scores.append(metric(table[mine], times[mine]))
    return scores
