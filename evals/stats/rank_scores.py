"""Rank scores over many data sets, as the EuroEval boards count them: 1 is best, smaller is better.

Two definitions are in use and give different numbers, so a page says which one it shows. Both
depend on the set of models compared: a rank score belongs to a board, never to a model alone.
Source: the public EuroEval project, its board code of versions 16.x and 18.0; B. L. Welch,
Biometrika 34 (1947), 28–35 (the test in the 16.x form).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from evals.stats.bootstrap import percentiles

REPLICATES = 100
LEVEL = 0.95

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
    if np.isnan(means).all():
        return np.full(len(raw), np.inf)
    spread = float(np.std(np.concatenate([np.asarray(r, float) for r in raw if r is not None])))
    if spread <= 0:
        return np.where(np.isnan(means), np.inf, 1.0)
    return np.where(np.isnan(means), np.inf, 1 + (np.nanmax(means) - means) / spread)


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
    strata = _strata(places)
    draws = np.empty((replicates, len(raw)))
    for i in range(replicates):
        chosen = np.concatenate([rng.choice(s, size=len(s)) for s in strata])
        ranks = np.stack([distances(_resampled(columns[d], rng)) for d in chosen], axis=-1)
        draws[i] = overall(ranks, [places[d] for d in chosen])
    known = ~np.isinf(draws[0])
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
    if np.ptp(a) == 0 and np.ptp(b) == 0:
        return True  # the test divides by zero here, and nothing varies: the means decide
    from scipy.stats import ttest_ind  # heavy: a web process should not pay it at start

    return bool(ttest_ind(a, b, equal_var=False, alternative="greater").pvalue < alpha)


def _strata(places: Sequence[Place]) -> list[np.ndarray]:
    return [
        np.array([i for i, p in enumerate(places) if p == place]) for place in dict.fromkeys(places)
    ]


def _resampled(column: Sequence[Sequence[float] | None], rng: np.random.Generator) -> list:
    """The raw scores drawn anew; models with as many scores get the same draw."""
    drawn: Mapping[int, np.ndarray] = {}
    for scores in column:
        if scores is not None and len(scores) not in drawn:
            drawn[len(scores)] = rng.integers(0, len(scores), len(scores))
    return [None if s is None else np.asarray(s, float)[drawn[len(s)]] for s in column]


def _dense(draws: np.ndarray, middle: np.ndarray) -> list[int]:
    places, place, anchor = [0] * len(middle), 0, -1
    for model in np.argsort(middle, kind="stable"):
        if np.isinf(middle[model]):
            continue
        if anchor < 0 or np.percentile(draws[:, model] - draws[:, anchor], 2.5) > 0:
            place, anchor = place + 1, int(model)
        places[model] = place
    return [p or place + 1 for p in places]
