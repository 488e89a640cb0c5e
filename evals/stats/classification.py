"""Scores of a whole set of labelled answers: MCC, macro-F1 and accuracy, with their interval.

These are no means over samples, so each works on the confusion counts of the set.
Sources: J. Gorodkin, Comput. Biol. Chem. 28 (2004), 367–374 (MCC for many classes); Efron,
Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from evals.stats.bootstrap import REPLICATES, percentiles
from evals.stats.intervals import Interval

Metric = Callable[[np.ndarray], np.ndarray]


def confusion(gold: Sequence[int], answered: Sequence[int], classes: int) -> np.ndarray:
    """Counts, shape (classes, classes): row = right class, column = the class answered.

    Give answers in which no label was found a class of their own, so that they count as wrong.
    ValueError for no samples, lengths that differ, or a class outside 0…classes − 1.
    """
    right, said = np.asarray(gold, dtype=int), np.asarray(answered, dtype=int)
    if right.shape != said.shape or right.ndim != 1 or not right.size:
        raise ValueError("Right and answered classes must be as many, and at least one.")
    if min(right.min(), said.min()) < 0 or max(right.max(), said.max()) >= classes:
        raise ValueError(f"A class is a number from 0 to {classes - 1}.")
    cells = np.bincount(right * classes + said, minlength=classes**2)
    return cells.reshape(classes, classes)


def accuracy(counts: np.ndarray) -> np.ndarray:
    """The share of right answers, 0…1, of each table in ``counts`` (…, K, K)."""
    return _trace(counts) / counts.sum(axis=(-2, -1))


def mcc(counts: np.ndarray) -> np.ndarray:
    """Matthews' correlation, −1…1, of each table in ``counts`` (…, K, K).

    0 where only one class is right or only one was answered: nothing can correlate there.
    """
    table = counts.astype(float)
    n = table.sum(axis=(-2, -1))
    right, said = table.sum(axis=-1), table.sum(axis=-2)
    covariance = _trace(table) * n - (right * said).sum(axis=-1)
    spread = (n**2 - (said**2).sum(axis=-1)) * (n**2 - (right**2).sum(axis=-1))
    return np.where(spread > 0, covariance / np.sqrt(np.where(spread > 0, spread, 1)), 0.0)


def macro_f1(counts: np.ndarray) -> np.ndarray:
    """The unweighted mean of the classes' F1, 0…1, of each table in ``counts`` (…, K, K).

    The mean goes over the classes that are right or answered at least once in that table.
    """
    met = counts.sum(axis=-1) + counts.sum(axis=-2)
    hits = 2 * np.diagonal(counts, axis1=-2, axis2=-1)
    scores = np.where(met > 0, hits / np.where(met > 0, met, 1), 0.0)
    return scores.sum(axis=-1) / (met > 0).sum(axis=-1)


def bootstrap(
    metric: Metric,
    counts: np.ndarray,
    replicates: int = REPLICATES,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """``metric`` of one confusion table (K, K) with its percentile interval.

    Samples in the same cell are alike, so a resample of them is one multinomial draw of cells.
    """
    n = int(counts.sum())
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n, counts.ravel() / n, size=replicates)
    low, high = percentiles(metric(drawn.reshape(replicates, *counts.shape)), level)
    value = float(metric(counts))
    return Interval(value, min(value, float(low)), max(value, float(high)), n, "bootstrap")


def _trace(counts: np.ndarray) -> np.ndarray:
    return np.trace(counts, axis1=-2, axis2=-1)
