"""Turn the samples of a part into its scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evals import answers, outcomes, set_scores, suites
from evals.answers import Answers
from evals.models import Part, Score
from evals.stats.bootstrap import bootstrap_mean
from evals.stats.clusters import clustered_mean
from evals.stats.intervals import Interval, wilson

COVERAGE = 0.95  # below this share of answered samples a score is not valid


class Computed(NamedTuple):
    """Scores that are not stored yet, and what is kept with the part (see `Part`)."""

    rows: list[Score]
    values: list[float | None]
    contributions: list[float | None] | None
    replicates: list[float]


def score(part: Part) -> None:
    """Replace scores and sums of ``part`` by those of its samples as they are now."""
    found = answers.read(part)
    store(part, compute(part, found, suites.texts_of(part.benchmark, found.asked)))


def compute(part: Part, found: Answers, texts: list[int] | None) -> Computed:
    """The scores that ``found`` comes to; asks no database.

    ``texts`` numbers the text that each sample belongs to, None: each stands for itself.
    Holds some 500 bytes for each sample, and takes seconds where there are many.
    """
    valid = found.answered > 0 and found.answered >= COVERAGE * found.asked
    of_set = set_scores.scores(part.benchmark, found, texts)
    known = of_set.scores if of_set else {}
    made = {
        name: interval(
            column.numbers, [texts[doc_id] for doc_id in column.documents] if texts else None
        )
        for name, column in (found.metrics | found.distances).items()
        if name not in known
    }
    rows = [_row(part, name, each, found.asked, valid) for name, each in (made | known).items()]
    if not rows:
        metric = part.benchmark.metric
        rows = [Score(part=part, metric=metric, asked=found.asked, answered=0, valid=False)]
    contributions, again = (of_set.contributions, of_set.replicates) if of_set else (None, [])
    return Computed(rows, found.values, contributions, again)


def store(part: Part, computed: Computed) -> None:
    """Replace the scores of ``part``, and count its sums anew."""
    outcomes.tally(part)
    part.scores.all().delete()
    Score.objects.bulk_create(computed.rows)
    kept = computed._asdict()
    del kept["rows"]
    for name, value in kept.items():
        setattr(part, name, value)
    Part.objects.filter(pk=part.pk).update(**kept)


def _row(part: Part, name: str, found: Interval, asked: int, valid: bool) -> Score:
    return Score(
        part=part,
        metric=name,
        value=found.value,
        low=found.low,
        high=found.high,
        method=found.method,
        asked=asked,
        answered=found.n,
        valid=valid,
    )


def interval(values: Sequence[float], clusters: list[int] | None = None) -> Interval:
    """Mean with 95 % interval: Wilson for 0/1 values, percentile bootstrap for the rest.

    ``clusters`` numbers the text of each value: texts are drawn whole then, unless all values
    are equal, which would leave the interval no width.
    """
    if clusters and len(set(values)) > 1:
        return clustered_mean(values, clusters)
    if all(value in (0.0, 1.0) for value in values):
        return wilson(int(sum(values)), len(values))
    return bootstrap_mean(np.asarray(values, dtype=float))
