"""Scores of a whole set that are no means over samples: MCC, macro-F1, F1 of entities.

Each is a function of sums: every sample adds its row of counts, so a resample is a weighted
sum of rows. Counts of a labelled sample are (right class, class said); of a sentence with
entities (spans found, spans right + said), then the same without the kind "misc".
Source: B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap (1993), chapters 11 and 13.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from evals.stats import classification
from evals.stats.bootstrap import REPLICATES, percentiles, resample_counts
from evals.stats.intervals import Interval

Counts = Sequence[Sequence[int] | None]
LABELLED = ("mcc", "macro_f1")
ENTITIES = ("micro_f1_no_misc", "micro_f1")
METRICS = frozenset({*LABELLED, *ENTITIES})


def together(metric: str) -> tuple[str, ...]:
    """The metrics that come from the same counts as ``metric``."""
    return LABELLED if metric in LABELLED else ENTITIES


def rows(metric: str, *sets: Counts) -> list[np.ndarray]:
    """What each sample adds, one array (samples × d) a set; NaN where there is no answer."""
    if metric in ENTITIES:
        return [
            np.array([[np.nan] * 4 if each is None else each for each in counts], dtype=float)
            for counts in sets
        ]
    classes = 1 + max((max(each) for counts in sets for each in counts if each), default=0)
    made = []
    for counts in sets:
        table = np.zeros((len(counts), classes**2))
        for place, each in enumerate(counts):
            if each is None:
                table[place] = np.nan
            else:
                table[place, each[0] * classes + each[1]] = 1.0
        made.append(table)
    return made


def value(metric: str, sums: np.ndarray) -> np.ndarray:
    """``metric`` of each sum of rows, shape (…, d) → (…)."""
    if metric not in METRICS:
        raise ValueError(f"{metric} is no metric of a whole set.")
    if metric in ENTITIES:
        at = 0 if metric == "micro_f1" else 2
        hits, met = sums[..., at], sums[..., at + 1]
        return np.where(met > 0, 2 * hits / np.where(met > 0, met, 1.0), 1.0)
    classes = round(sums.shape[-1] ** 0.5)
    table = sums.reshape(*sums.shape[:-1], classes, classes)
    known: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "mcc": classification.mcc,
        "macro_f1": classification.macro_f1,
    }
    return known[metric](table)


def interval(
    metric: str,
    table: np.ndarray,
    clusters: Sequence[int] | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """``metric`` over the answered rows of ``table``, with its percentile interval.

    ``clusters`` numbers the text of each row: texts are drawn whole then.
    """
    there = ~np.isnan(table).any(axis=1)
    answered = table[there]
    found = float(value(metric, answered.sum(axis=0)))
    units = _summed(answered, np.asarray(clusters)[there]) if clusters else answered
    drawn = _replicates(metric, units, replicates, seed)
    low, high = (float(end) for end in percentiles(drawn, level))
    return Interval(found, min(found, low), max(found, high), len(answered), "bootstrap")


def difference(
    metric: str,
    one: np.ndarray,
    other: np.ndarray,
    replicates: int = REPLICATES,
    seed: int = 0,
    level: float = 0.95,
) -> Interval | None:
    """``metric`` of ``one`` minus that of ``other``, paired: both on the same resamples.

    Only samples answered by both count; None where there is none.
    """
    both = ~(np.isnan(one).any(axis=1) | np.isnan(other).any(axis=1))
    if not both.any():
        return None
    one, other = one[both], other[both]
    found = float(value(metric, one.sum(axis=0)) - value(metric, other.sum(axis=0)))
    drawn = _replicates(metric, one, replicates, seed) - _replicates(
        metric, other, replicates, seed
    )
    low, high = (float(end) for end in percentiles(drawn, level))
    return Interval(found, min(found, low), max(found, high), len(one), "paired bootstrap")


def pseudo_values(metric: str, table: np.ndarray, centre: float | None = None) -> np.ndarray:
    """One number a sample whose mean is the score, NaN where there is no answer.

    Jackknife: n·f − (n − 1)·f without the sample, moved so that the mean is ``centre`` (by
    default f itself). With them means over benchmarks and tests of pairs work as for scores
    that are means.
    """
    out = np.full(len(table), np.nan)
    there = ~np.isnan(table).any(axis=1)
    answered = table[there]
    n = len(answered)
    if not n:
        return out
    sums = answered.sum(axis=0)
    whole = float(value(metric, sums))
    kinds, at = np.unique(answered, axis=0, return_inverse=True)
    without = value(metric, sums - kinds) if n > 1 else np.full(len(kinds), whole)
    found = (n * whole - (n - 1) * without)[at.ravel()]
    out[there] = found - found.mean() + (whole if centre is None else centre)
    return out


def _summed(table: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """The rows of each cluster added up."""
    _names, at = np.unique(clusters, return_inverse=True)
    out = np.zeros((at.max() + 1, table.shape[1]))
    np.add.at(out, at, table)
    return out


def _replicates(metric: str, table: np.ndarray, replicates: int, seed: int) -> np.ndarray:
    """``metric`` on each resample of ``table``; the same seed draws the same samples."""
    out = np.empty(replicates)
    for at, drawn in resample_counts(len(table), replicates, seed, stream=0):
        out[at] = value(metric, drawn @ table)
    return out
