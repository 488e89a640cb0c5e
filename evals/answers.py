"""What the answered samples of a part say in numbers, read once and packed."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from evals.models import Part
from evals.stats import corpus

ROWS_AT_ONCE = 2000  # read from the database together
DISTANCES = ("p_gold", "nll", "brier", "margin")


class Column(NamedTuple):
    """One metric: the doc_ids that have it, in order, and its numbers."""

    documents: array[int]
    numbers: array[float]

    def by_document(self, size: int) -> np.ndarray:
        """The numbers at their places, shape (size,); NaN elsewhere."""
        found = np.full(size, np.nan)
        found[np.frombuffer(self.documents, dtype=np.int64)] = np.frombuffer(self.numbers)
        return found


class Answers(NamedTuple):
    """Of ``asked`` samples ``answered`` have an answer; about 100 bytes for each.

    ``values`` and ``counts`` are by doc_id, None without an answer. ``counts`` is empty unless
    the primary metric is one of the whole set. ``metrics`` are those of the task, ``distances``
    those from the right answer.
    """

    asked: int
    answered: int
    values: list[float | None]
    metrics: dict[str, Column]
    distances: dict[str, Column]
    counts: list[list[int] | None]


def read(part: Part, after_some: Callable[[], object] = lambda: None) -> Answers:
    """The answers of ``part``; ``after_some`` is called after each ``ROWS_AT_ONCE`` of them."""
    asked = part.total or part.samples.count()
    of_set = part.benchmark.metric in corpus.METRICS
    values: list[float | None] = [None] * asked
    counts: list[list[int] | None] = [None] * (asked if of_set else 0)
    metrics: dict[str, Column] = {}
    distances: dict[str, Column] = {}
    answered = 0
    fields = ("doc_id", "value", "metrics", *(["counts"] if of_set else []), *DISTANCES)
    rows = part.samples.answered().order_by("doc_id").values(*fields)
    for row in rows.iterator(ROWS_AT_ONCE):
        doc_id = row["doc_id"]
        answered += 1
        if answered % ROWS_AT_ONCE == 0:
            after_some()
        if doc_id < asked:
            values[doc_id] = row["value"]
            if of_set:
                counts[doc_id] = row["counts"]
        for name, number in row["metrics"].items():
            _add(metrics, name, doc_id, number)
        for name in DISTANCES:
            _add(distances, name, doc_id, row[name])
    return Answers(asked, answered, values, metrics, distances, counts)


def _add(columns: dict[str, Column], name: str, doc_id: int, number: float | None) -> None:
    if number is not None:
        column = columns.setdefault(name, Column(array("q"), array("d")))
        column.documents.append(doc_id)
        column.numbers.append(number)
