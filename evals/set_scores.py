"""Scores of a part that are no means over its samples: metrics of the whole set, protocol A."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from evals.answers import Answers
from evals.models import Benchmark, Part, Score
from evals.stats import corpus
from evals.stats.intervals import Interval
from evals.styles import protocols, scoring
from evals.styles.protocols import Asked, plan
from workers.models import JobState

ENGINE = "euro_style"
FAILED, MANY_FAILED = scoring.FAILED, scoring.MANY_FAILED


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


def scores(benchmark: Benchmark, answers: Answers, texts: list[int] | None = None) -> Found | None:
    """What ``answers`` to ``benchmark`` come to; None where their means are all there is.

    ``texts`` numbers the text that each sample belongs to, None: each stands for itself.
    """
    metric, asked = benchmark.metric, asked_of(benchmark)
    if metric not in corpus.METRICS and benchmark.engine != ENGINE:
        return None
    if not answers.answered:
        return None
    table = _table(metric, answers)
    again = _replicates(benchmark, table, asked)
    if metric not in corpus.METRICS and not asked:
        return Found({}, [], again)
    found = _of_set(metric, table, asked, texts)
    if asked:
        found |= _means(answers, asked)
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


def _means(answers: Answers, asked: Sequence[Asked]) -> dict[str, Interval]:
    """The metrics of single samples under protocol A, each counted as often as it was drawn."""
    made = {
        name: protocols.resampled(asked, _column(answers, name), _mean) for name in answers.metrics
    }
    return {name: found for name, found in made.items() if found}


def _table(metric: str, answers: Answers) -> np.ndarray:
    """What each sample adds to the primary metric, by doc_id; NaN where it has no answer."""
    if metric in corpus.METRICS:
        return corpus.rows(metric, answers.counts)[0]
    return _column(answers, metric)


def _column(answers: Answers, metric: str) -> np.ndarray:
    found = answers.metrics.get(metric)
    numbers = found.by_document(answers.asked) if found else np.full(answers.asked, np.nan)
    return numbers[:, None]
