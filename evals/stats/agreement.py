"""How far two raters, or all of them, say the same: agreement, Cohen's κ, Krippendorff's α.

Ratings of one question hang together, so intervals draw questions, not ratings.
Sources: J. Cohen, Educ. Psychol. Meas. 20 (1960), 37–46 and Psychol. Bull. 70 (1968), 213–220;
K. Krippendorff, Content Analysis (2004), chapter 11.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from evals.stats.bootstrap import REPLICATES, percentiles, resample_counts
from evals.stats.intervals import Interval
from evals.stats.paired import numbered

Weights = Literal["none", "linear", "quadratic"]
Metric = Literal["nominal", "ordinal", "interval"]


class Agreement(NamedTuple):
    """Two raters on the same things. All shares lie in [0, 1], κ in [−1, 1].

    ``share``: how often both chose the same; ``chance``: how often they would by choosing as
    often as they did, but at random. ``kappa`` is None where chance alone would agree always.
    ``confusion[i][j]`` counts things that the first put into category i and the second into j.
    """

    share: Interval
    kappa: Interval | None
    chance: float
    confusion: list[list[int]]


def agreement(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    categories: Sequence[Hashable],
    clusters: Sequence[Hashable] | None = None,
    weights: Weights = "none",
    replicates: int = REPLICATES,
    seed: int = 0,
    level: float = 0.95,
) -> Agreement:
    """The agreement of two raters over things that both put into one of ``categories``.

    ``clusters`` names the question of each thing. ``weights`` other than none need categories
    in their order and make near misses count in part. ValueError for no things, sequences of
    different length or a category that is not among ``categories``.
    """
    place = {category: number for number, category in enumerate(categories)}
    try:
        pairs = [(place[a], place[b]) for a, b in zip(first, second, strict=True)]
    except KeyError as error:
        raise ValueError(f"{error.args[0]!r} is none of the categories.") from None
    if not pairs:
        raise ValueError("Agreement needs at least one thing that both rated.")
    at, count = numbered(clusters if clusters is not None else range(len(pairs)))
    size = len(categories)
    tables = np.zeros((count, size * size))
    np.add.at(tables, (at, [a * size + b for a, b in pairs]), 1)
    total = tables.sum(axis=0).reshape(1, size, size)
    near = _nearness(size, weights)
    share, kappa, chance = _coefficients(total, near)
    shares, kappas = np.empty(replicates), np.empty(replicates)
    for rows, drawn in resample_counts(count, replicates, seed, 0):
        found = (drawn @ tables).reshape(-1, size, size)
        shares[rows], kappas[rows], _ = _coefficients(found, near)

    def interval(value: float, values: np.ndarray) -> Interval:
        low, high = (float(end[0]) for end in percentiles(values[:, None], level))
        return Interval(value, min(value, low), max(value, high), len(pairs), "clustered bootstrap")

    return Agreement(
        interval(float(share[0]), shares),
        None if np.isnan(kappa[0]) else interval(float(kappa[0]), kappas),
        float(chance[0]),
        total[0].astype(int).tolist(),
    )


def _nearness(size: int, weights: Weights) -> np.ndarray:
    """How much each cell of a confusion matrix counts as agreement, 1 on the diagonal."""
    if weights == "none":
        return np.eye(size)
    gap = np.abs(np.subtract.outer(np.arange(size), np.arange(size))) / max(1, size - 1)
    return 1 - (gap if weights == "linear" else gap**2)


def _coefficients(
    tables: np.ndarray, near: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share, κ and chance of each confusion matrix (… × categories × categories)."""
    shares = tables / tables.sum(axis=(1, 2), keepdims=True)
    share = (shares * near).sum(axis=(1, 2))
    expected = np.einsum("ri,rj,ij->r", shares.sum(axis=2), shares.sum(axis=1), near)
    with np.errstate(invalid="ignore", divide="ignore"):
        kappa = np.where(expected < 1, (share - expected) / (1 - expected), np.nan)
    return share, kappa, expected


def alpha(units: Sequence[Sequence[float]], metric: Metric = "nominal") -> float | None:
    """Krippendorff's α over ``units``, each with the ratings that any number of raters gave.

    Units with fewer than two ratings say nothing and are left out. Ratings are numbers (for
    nominal data, the numbers of categories). None where nothing can be compared or all ratings
    are equal: then there is no variation that raters could agree on.
    """
    rated = [np.asarray(unit, dtype=float) for unit in units if len(unit) >= 2]
    if not rated:
        return None
    values, counts = np.unique(np.concatenate(rated), return_counts=True)
    if values.size < 2:
        return None
    gaps = _gaps(values, counts, metric)
    coincidences = np.zeros((values.size, values.size))
    for unit in rated:
        held = np.bincount(np.searchsorted(values, unit), minlength=values.size).astype(float)
        coincidences += (np.outer(held, held) - np.diag(held)) / (unit.size - 1)
    n = counts.sum()
    observed = (coincidences * gaps).sum() / n
    expected = (np.outer(counts, counts) * gaps).sum() / (n * (n - 1))
    return float(1 - observed / expected)


def _gaps(values: np.ndarray, counts: np.ndarray, metric: Metric) -> np.ndarray:
    if metric == "nominal":
        return 1.0 - np.eye(values.size)
    if metric == "interval":
        gaps: np.ndarray = np.subtract.outer(values, values) ** 2
        return gaps
    # Ordinal: what lies between two ranks, half of each end.
    middles = np.cumsum(counts) - counts / 2
    ranks: np.ndarray = np.subtract.outer(middles, middles) ** 2
    return ranks


def resampled(
    statistic: Callable[[Sequence[int]], float | None],
    questions: Sequence[Hashable],
    replicates: int = REPLICATES,
    seed: int = 0,
    level: float = 0.95,
) -> Interval | None:
    """``statistic`` of things by their places, with an interval from drawing questions.

    For what has no faster form. None where the statistic of all things is None; replicates in
    which it is None are left out.
    """
    value = statistic(range(len(questions)))
    if value is None:
        return None
    at, count = numbered(questions)
    places = [np.flatnonzero(at == number) for number in range(count)]
    rng = np.random.default_rng([seed, 0])
    found = []
    for _ in range(replicates):
        drawn = np.concatenate([places[each] for each in rng.integers(0, count, count)])
        one = statistic(drawn.tolist())
        found.append(np.nan if one is None else one)
    ends = percentiles(np.asarray(found)[:, None], level)
    low, high = (float(end[0]) for end in ends)
    return Interval(value, min(value, low), max(value, high), len(questions), "clustered bootstrap")
