"""Scores of a part that are no means over its samples: metrics of the whole set, protocol A."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from evals.models import Benchmark, Part, Score
from evals.stats import corpus
from evals.stats.intervals import Interval
from evals.styles import protocols, scoring
from evals.styles.protocols import Asked, plan
from workers.models import JobState

ENGINE = "euro_style"
FAILED, MANY_FAILED = scoring.FAILED, scoring.MANY_FAILED


Answered = tuple[int, dict[str, float], list[int]]  # doc_id, metrics, counts


class Found(NamedTuple):
    """Scores by metric, and numbers by doc_id whose mean is the primary one (None: no answer).

    Both are empty where every score is a mean over the samples. ``replicates``: the primary
    score on ten resamples of the questions, which rank scores need; empty where it has none.
    """

    scores: dict[str, Interval]
    contributions: list[float | None]
    replicates: list[float]


def samples_of(benchmark: Benchmark) -> int:
    """How many samples a run of ``benchmark`` has: its questions, or more under protocol A."""
    asked = asked_of(benchmark)
    return len(asked) if asked else benchmark.questions.count


def asked_of(benchmark: Benchmark) -> Sequence[Asked] | None:
    """What is asked under protocol A; None where each question is asked once."""
    # The engine first: pages defer the options of benchmarks, which few of them need.
    if benchmark.engine != ENGINE or protocol_of(benchmark) != protocols.RESAMPLED:
        return None
    seed = benchmark.options.get("seed", protocols.SEED)
    return plan(protocols.RESAMPLED, benchmark.questions.count, seed)


def protocol_of(benchmark: Benchmark) -> str:
    """The protocol of one of the EuroEval-style tasks, "" for other benchmarks."""
    if benchmark.engine != ENGINE:
        return ""
    return benchmark.options.get("protocol", protocols.ONCE)


def mean_so_far(metric: str, part: Part, score: Score | None) -> float | None:
    """What stands as the score of ``part``: the score once there is one, else a mean so far.

    A metric of the whole set has no mean on the way; None then.
    """
    if part.state == JobState.DONE and score and score.value is not None:
        return score.value
    return None if metric in corpus.METRICS else part.mean


def unread(parts: Iterable[int]) -> dict[int, float]:
    """The share of answers in which nothing could be read, of those of ``parts`` that have any."""
    found = Score.objects.filter(part__in=parts, metric=FAILED, value__gt=0)
    return dict(found.values_list("part", "value"))


def scores(part: Part, size: int, texts: list[int] | None = None) -> Found | None:
    """What the answered samples of ``part`` come to; None where their means are all there is.

    ``size`` is how many samples there are; ``texts`` numbers the text that each belongs to,
    None: each stands for itself.
    """
    metric, asked = part.benchmark.metric, asked_of(part.benchmark)
    if metric not in corpus.METRICS and part.benchmark.engine != ENGINE:
        return None
    answered = part.samples.answered().order_by("doc_id")
    samples = list(answered.values_list("doc_id", "metrics", "counts"))
    if not samples:
        return None
    table = _table(metric, samples, size)
    again = _replicates(part.benchmark, table, asked)
    if metric not in corpus.METRICS and not asked:
        return Found({}, [], again)
    found = _of_set(metric, table, asked, texts)
    if asked:
        found |= _means(samples, size, asked)
    primary = found.get(metric)
    if primary is None:
        return Found(found, [], again)
    if metric in corpus.METRICS:
        numbers = corpus.pseudo_values(metric, table, primary.value)
    else:
        numbers = table[:, 0] - np.nanmean(table[:, 0]) + primary.value
    told = [None if np.isnan(each) else float(each) for each in numbers]
    return Found(found, told, again)


def _replicates(
    benchmark: Benchmark, table: np.ndarray, asked: Sequence[Asked] | None
) -> list[float]:
    if benchmark.engine != ENGINE:
        return []
    metric, seed = benchmark.metric, benchmark.options.get("seed", protocols.SEED)
    score = _value_of(metric) if metric in corpus.METRICS else _mean
    return protocols.replicates(asked, table, score, seed) or []


def _value_of(metric: str) -> protocols.Metric:
    return lambda rows, times: float(corpus.value(metric, times @ rows))


def _mean(rows: np.ndarray, times: np.ndarray) -> float:
    return float(times @ rows[:, 0] / times.sum())


def _of_set(
    metric: str, table: np.ndarray, asked: Sequence[Asked] | None, texts: list[int] | None
) -> dict[str, Interval]:
    found: dict[str, Interval] = {}
    for name in corpus.together(metric) if metric in corpus.METRICS else ():
        if not asked:
            found[name] = corpus.interval(name, table, texts)
        elif mean := protocols.resampled(asked, table, _value_of(name)):
            found[name] = mean
    return found


def _means(samples: Sequence[Answered], size: int, asked: Sequence[Asked]) -> dict[str, Interval]:
    """The metrics of single samples under protocol A, each counted as often as it was drawn."""
    columns: dict[str, np.ndarray] = {}
    for doc_id, metrics, _counts in samples:
        for name, value in metrics.items():
            columns.setdefault(name, np.full((size, 1), np.nan))[doc_id] = value

    made = {name: protocols.resampled(asked, table, _mean) for name, table in columns.items()}
    return {name: found for name, found in made.items() if found}


def _table(metric: str, samples: Sequence[Answered], size: int) -> np.ndarray:
    """What each sample adds to the primary metric, by doc_id."""
    if metric not in corpus.METRICS:
        table = np.full((size, 1), np.nan)
        for doc_id, metrics, _counts in samples:
            table[doc_id] = metrics.get(metric, np.nan)
        return table
    counts: list[list[int] | None] = [None] * size
    for doc_id, _metrics, own in samples:
        counts[doc_id] = own
    return corpus.rows(metric, counts)[0]
