"""Strengths of models out of pairwise verdicts (Bradley–Terry), on the scale of Elo.

Source: R. A. Bradley, M. E. Terry, Biometrika 39 (1952), 324–345; ties count half for each, as
in Chatbot Arena (arXiv 2403.04132). A difference of 400 means odds of 10 to 1.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from evals.stats.bootstrap import REPLICATES, percentiles, resample_counts
from evals.stats.intervals import Interval
from evals.stats.paired import numbered

MIDDLE = 1000.0  # the mean of all strengths
PER_NAT = 400 / np.log(10)
STEPS = 100
CLOSE = 1e-9  # nats


class Verdict(NamedTuple):
    """``score`` 1: the model with the number ``first`` won, 0: ``second`` did, 0.5: a tie."""

    first: int
    second: int
    score: float


class NotRateable(ValueError):
    """Some models cannot be put on one scale; ``apart`` groups the numbers of those that can."""

    def __init__(self, apart: list[list[int]]) -> None:
        super().__init__(
            "A scale needs, between any two groups of models, verdicts for both sides: "
            "a model that lost to none, or to all, has no strength."
        )
        self.apart = apart


def strengths(
    verdicts: Sequence[Verdict],
    models: int,
    questions: Sequence[Hashable],
    replicates: int = REPLICATES,
    seed: int = 0,
    level: float = 0.95,
) -> list[Interval]:
    """The strength of each model, by its number; ``n`` counts its verdicts.

    ``questions`` names the question of each verdict: intervals draw questions, and leave out
    draws in which somebody has no strength. NotRateable where that holds of all verdicts.
    """
    if len(questions) != len(verdicts):
        raise ValueError("Verdicts and questions must be aligned.")
    at, count = numbered(questions)
    wins = np.zeros((count, models, models))
    for place, verdict in zip(at, verdicts, strict=True):
        wins[place, verdict.first, verdict.second] += verdict.score
        wins[place, verdict.second, verdict.first] += 1 - verdict.score
    total = wins.sum(axis=0)
    if len(groups := _groups(total)) > 1:
        raise NotRateable(groups)
    values = _fit(total)
    found = np.full((replicates, models), np.nan)
    flat = wins.reshape(count, -1)
    for rows, drawn in resample_counts(count, replicates, seed, 0):
        for row, table in zip(range(rows.start, rows.stop), drawn @ flat, strict=True):
            one = table.reshape(models, models)
            if len(_groups(one)) == 1:
                found[row] = _fit(one, values)
    lows, highs = percentiles(_elo(found), level)
    held = (total + total.T).sum(axis=1)
    return [
        Interval(
            float(value), float(min(value, low)), float(max(value, high)), round(n),
            "clustered bootstrap",
        )
        for value, low, high, n in zip(_elo(values), lows, highs, held, strict=True)
    ]  # fmt: skip


def _groups(wins: np.ndarray) -> list[list[int]]:
    """Models of which each has beaten, through others or itself, each other one of its group."""
    from scipy.sparse.csgraph import connected_components

    _, labels = connected_components(wins > 0, directed=True, connection="strong")
    return [np.flatnonzero(labels == label).tolist() for label in np.unique(labels)]


def _fit(wins: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """The most likely log-strengths, their mean 0, by Newton's method."""
    size = len(wins)
    games, won = wins + wins.T, wins.sum(axis=1)
    found = np.zeros(size) if start is None else start.copy()
    for _ in range(STEPS):
        share = 1 / (1 + np.exp(found[None, :] - found[:, None]))
        gradient = won - (games * share).sum(axis=1)
        curve = games * share * share.T
        hessian = np.diag(curve.sum(axis=1)) - curve
        # Strengths are known up to a constant: adding ones fixes it at a mean of 0.
        step = np.linalg.solve(hessian + np.ones((size, size)) / size, gradient)
        found += np.clip(step, -1, 1)
        if np.abs(step).max() < CLOSE:
            break
    centred: np.ndarray = found - found.mean()
    return centred


def _elo(nats: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = MIDDLE + PER_NAT * nats
    return scaled
