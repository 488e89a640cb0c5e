"""Rank scores over many data sets, as the EuroEval boards count them: 1 is best, smaller is better.

Two definitions are in use and give different numbers, so a page says which one it shows. Both
depend on the set of models compared: a rank score belongs to a board, never to a model alone.
Source: the public EuroEval project, its board code of versions 16.x and 18.0; B. L. Welch,
Biometrika 34 (1947), 28–35 (the test in the 16.x form).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evals.stats.bootstrap import percentiles

REPLICATES = 100
LEVEL = 0.95
NOTHING = 1e-12  # of a mean: what varies less than this differs by rounding alone

Raw = Sequence[Sequence[Sequence[float] | np.ndarray | None]]


class Place(NamedTuple):
    """Where one data set stands in the means: first over its task, then over its language."""

    task: str
    language: str


class RankScore(NamedTuple):
    """One model's rank score: the median over replicates with its percentile interval.

    ``place`` is the dense rank: models that the replicates cannot tell apart share it.
    """

    value: float
    low: float
    high: float
    place: int


def anchored(raw: Sequence[Sequence[float] | np.ndarray | None], alpha: float = 0.05) -> np.ndarray:
    """Rank scores of 16.x on one data set, in the order of ``raw``.

    ``raw[model]`` are the scores of its repetitions (EuroEval: 10), None = not run, which ranks
    at infinity. Going down by mean, a model shares the rank above it until Welch's one-sided
    test says that the first of that rank is better; then the rank grows by the distance of the
    two means, in standard deviations of all models' means.
    """
    means = np.array([np.nan if r is None else np.mean(r) for r in raw], dtype=float)
    out = np.full(len(raw), np.inf)
    order = [int(i) for i in np.argsort(-means, kind="stable") if not np.isnan(means[i])]
    if not order:
        return out
    spread = float(np.std(means[order]))
    anchor, rank = order[0], 1.0
    for model in order:
        if _better(raw[anchor], raw[model], alpha):
            rank += (means[anchor] - means[model]) / spread
            anchor = model
        out[model] = rank
    return out


def distances(raw: Sequence[Sequence[float] | np.ndarray | None]) -> np.ndarray:
    """Rank scores of 18.0 on one data set: 1 + distance to the best mean in standard deviations.

    The deviation is that of all raw scores of all models there; where all are the same, everyone
    has 1. None = not run, which ranks at infinity.
    """
    means = np.array([np.nan if r is None else np.mean(r) for r in raw], dtype=float)
    given = [np.asarray(r, float) for r in raw if r is not None]
    return _to_the_best(means, float(np.std(np.concatenate(given))) if given else 0.0)


def _to_the_best(means: np.ndarray, spread: float) -> np.ndarray:
    missing = np.isnan(means)
    if spread <= 0 or missing.all():
        return np.where(missing, np.inf, 1.0)
    return np.where(missing, np.inf, 1 + (np.nanmax(means) - means) / spread)


def overall(ranks: np.ndarray, places: Sequence[Place]) -> np.ndarray:
    """The mean rank score of each model: data sets → task → language → all, none weighted.

    ``ranks`` has the shape (…, models, data sets); ``places`` names each data set's task and
    language. A model with a data set missing (infinity) stays at infinity.
    """
    if ranks.shape[-1] != len(places):
        raise ValueError(f"{ranks.shape[-1]} data sets, but places for {len(places)}.")
    languages = []
    for language in dict.fromkeys(place.language for place in places):
        tasks = dict.fromkeys(p.task for p in places if p.language == language)
        means = [
            ranks[..., [i for i, p in enumerate(places) if p == Place(task, language)]].mean(-1)
            for task in tasks
        ]
        languages.append(np.mean(means, axis=0))
    return np.mean(languages, axis=0)


def board(
    raw: Raw, places: Sequence[Place], replicates: int = REPLICATES, seed: int = 0
) -> list[RankScore]:
    """Rank scores of 18.0 over ``raw[model][data set]`` with intervals and shared places.

    Each replicate draws data sets anew within their task and raw scores anew within each data
    set, the same draw for every model. With one data set a task and language only the raw scores
    vary. A new place begins where the replicates put the lower end of a model's distance to the
    first of the place above it over 0.
    """
    columns = list(zip(*raw, strict=True))
    if len(columns) != len(places):
        raise ValueError(f"{len(columns)} data sets, but places for {len(places)}.")
    rng = np.random.default_rng(seed)
    strata, tables = _strata(places), [_by_length(column) for column in columns]
    draws = np.empty((replicates, len(raw)))
    for i in range(replicates):
        chosen = np.concatenate([rng.choice(s, size=len(s)) for s in strata])
        ranks = np.stack([_redrawn(tables[d], len(raw), rng) for d in chosen], axis=-1)
        draws[i] = overall(ranks, [places[d] for d in chosen])
    # A replicate may leave out the very data set that a model lacks: it has no score all the same.
    known = np.array([all(each is not None for each in mine) for mine in raw], dtype=bool)
    draws[:, ~known] = np.inf
    low, high, middle = (np.full(len(raw), np.inf) for _ in range(3))
    if known.any():
        low[known], high[known] = percentiles(draws[:, known], LEVEL)
        middle[known] = np.median(draws[:, known], axis=0)
    return [
        RankScore(float(m), float(lo), float(hi), place)
        for m, lo, hi, place in zip(middle, low, high, _dense(draws, middle), strict=True)
    ]


def _better(anchor: Sequence[float], other: Sequence[float], alpha: float) -> bool:
    a, b = np.asarray(anchor, float), np.asarray(other, float)
    if a.mean() <= b.mean():
        return False
    if max(np.ptp(a), np.ptp(b)) <= NOTHING * max(abs(a.mean()), abs(b.mean())):
        return True  # the test divides by zero here, and nothing varies: the means decide
    from scipy.stats import ttest_ind_from_stats  # heavy: a web process pays it when it must

    sides = [number for each in (a, b) for number in (each.mean(), each.std(ddof=1), len(each))]
    test = ttest_ind_from_stats(*sides, equal_var=False, alternative="greater")
    return bool(test.pvalue < alpha)


def _strata(places: Sequence[Place]) -> list[np.ndarray]:
    return [
        np.array([i for i, p in enumerate(places) if p == place]) for place in dict.fromkeys(places)
    ]


def _by_length(
    column: Sequence[Sequence[float] | np.ndarray | None],
) -> list[tuple[list[int], np.ndarray]]:
    """Models with as many scores together: their places, and their scores as one table."""
    groups: dict[int, list[int]] = {}
    for place, scores in enumerate(column):
        if scores is not None:
            groups.setdefault(len(scores), []).append(place)
    return [(at, np.array([column[place] for place in at], float)) for at in groups.values()]


def _redrawn(
    groups: Sequence[tuple[list[int], np.ndarray]], models: int, rng: np.random.Generator
) -> np.ndarray:
    """`distances` of raw scores drawn anew; models with as many scores get the same draw."""
    means, drawn = np.full(models, np.nan), [np.empty(0)]
    for at, table in groups:
        mine = table[:, rng.integers(0, table.shape[1], table.shape[1])]
        means[at] = mine.mean(axis=1)
        drawn.append(mine.ravel())
    scores = np.concatenate(drawn)
    return _to_the_best(means, float(np.std(scores)) if scores.size else 0.0)


def _dense(draws: np.ndarray, middle: np.ndarray) -> list[int]:
    places, place, anchor = [0] * len(middle), 0, -1
    for model in np.argsort(middle, kind="stable"):
        if np.isinf(middle[model]):
            continue
        if anchor < 0 or np.percentile(draws[:, model] - draws[:, anchor], 2.5) > 0:
            place, anchor = place + 1, int(model)
        places[model] = place
    return [p or place + 1 for p in places]
