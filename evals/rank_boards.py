"""Rank scores of models over EuroEval-style benchmarks, and over EuroEval's own records.

A rank score belongs to a board: it depends on the models compared. Own results and records of
others never share one, since they asked other questions (evals.stats.rank_scores has the
formulas).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from evals import leaderboard, set_scores
from evals.models import Benchmark, Candidate, ExternalResult, Part, Standing, Suite
from evals.models.imports import Kind
from evals.stats import rank_scores
from evals.stats.rank_scores import Place
from portal.accounts.models import Project

NEW, OLD = "18.0", "16.x"
FORMULAS = (NEW, OLD)
METHOD = 1  # raise when a formula here changes: what is kept of the old one is dropped
MOST_RECORDS = 100_000
OVERALL = ""  # beside the codes of languages


class Dataset(NamedTuple):
    """What one column of raw scores was measured on; its mean goes first over ``task``."""

    key: str
    title: str
    task: str
    language: str


class Given(NamedTuple):
    """What one model has on one data set. ``missing`` says why it cannot be ranked, "" if it can.

    ``failed`` of ``answers`` held nothing that could be read; None where it is not told.
    """

    replicates: tuple[float, ...] = ()
    missing: str = ""
    failed: int | None = None
    answers: int | None = None

    @property
    def starred(self) -> bool:
        """So many answers could not be read that the score says little about the ability."""
        if not self.answers or self.failed is None:
            return False
        return self.failed / self.answers >= set_scores.MANY_FAILED


class Rank(NamedTuple):
    """A rank score, 1 being best. ``low`` and ``high`` only under 18.0: 16.x has no interval."""

    value: float
    low: float | None
    high: float | None
    place: int


@dataclass(frozen=True)
class Row:
    """One model. ``ranks``: by language and ``OVERALL``, wherever no data set is missing."""

    name: str
    href: str
    given: dict[str, Given]
    ranks: dict[str, Rank] = field(default_factory=dict)

    @property
    def overall(self) -> Rank | None:
        return self.ranks.get(OVERALL)

    @property
    def ranked(self) -> int:
        """How many data sets it has scores of."""
        return sum(not given.missing for given in self.given.values())

    @property
    def failed(self) -> int | None:
        """Answers in which nothing could be read, over all data sets; None where none tells."""
        told = [given.failed for given in self.given.values() if given.failed is not None]
        return sum(told) if told else None

    @property
    def starred(self) -> bool:
        return any(given.starred for given in self.given.values())


@dataclass(frozen=True)
class Board:
    """Models by their overall rank score, best first, those without one last."""

    formula: str
    datasets: list[Dataset]
    rows: list[Row]

    @property
    def languages(self) -> list[str]:
        return sorted({dataset.language for dataset in self.datasets})

    def missing(self, row: Row) -> list[tuple[Dataset, str]]:
        """The data sets that ``row`` lacks, and why."""
        found = [(each, row.given[each.key].missing) for each in self.datasets]
        return [(each, why) for each, why in found if why]


# Why a data set is missing; the sentences stand in evals.words.
NOT_RUN, NOT_VALID, NO_REPLICATES = "not_run", "not_valid", "no_replicates"
ABSENT = Given(missing=NOT_RUN)


def ranked_of(suite: Suite) -> list[Benchmark]:
    """The benchmarks of ``suite`` that have rank scores, languages together."""
    found = [each for each in suite.benchmarks.all() if each.engine == set_scores.ENGINE]
    return sorted(found, key=leaderboard.column_order)


def own(suite: Suite, formula: str = NEW) -> Board:
    """The rank scores of own results on ``suite``; kept until a result changes."""
    benchmarks = ranked_of(suite)
    datasets = [
        Dataset(each.name, each.title, str(each.task.get("task", each.family)), each.language)
        for each in benchmarks
    ]
    cells = leaderboard.cells_of(benchmarks)
    names = {each.pk: each.name for each in benchmarks}
    parts = {cell.part for mine in cells.values() for cell in mine.values()}
    stored = dict(Part.objects.filter(pk__in=parts).order_by().values_list("pk", "replicates"))
    rows = [
        Row(
            candidate.name,
            candidate.get_absolute_url(),
            {name: _given(cells[candidate.pk].get(pk), stored) for pk, name in names.items()},
        )
        for candidate in Candidate.objects.filter(pk__in=cells).order_by("pk")
    ]
    marks = sorted(cell.mark for mine in cells.values() for cell in mine.values())
    kept, _new = Standing.objects.get_or_create(
        suite=suite, view=f"rank scores|{formula}", defaults={"fingerprint": "", "board": []}
    )
    fingerprint = hashlib.sha256(f"{METHOD}|{marks}".encode()).hexdigest()
    if kept.fingerprint != fingerprint:
        kept.board, kept.fingerprint = _ranks(datasets, rows, formula), fingerprint
        kept.save()
    return _board(formula, datasets, rows, kept.board)


def _given(cell: leaderboard.Cell | None, stored: Mapping[int, list[float]]) -> Given:
    if cell is None:
        return ABSENT
    failed = round(cell.unread * cell.answered)
    why = NOT_VALID if not cell.valid else "" if stored[cell.part] else NO_REPLICATES
    return Given(tuple(stored[cell.part]), why, failed, cell.answered)


class Variant(NamedTuple):
    """Records that can stand beside each other: of the same split, asked with or without shots."""

    split: str
    few_shot: bool


def variants(project: Project) -> list[Variant]:
    """Those of the records of ``project``, most records first."""
    counts: dict[Variant, int] = {}
    asked = _records(project).values_list("split", "few_shot")
    for split, few_shot in asked:
        # None: a data set that EuroEval never gives examples for, or one that tells nothing.
        for shots in (True, False) if few_shot is None else (few_shot,):
            variant = Variant(split, shots)
            counts[variant] = counts.get(variant, 0) + (few_shot is not None or shots)
    # Without shots only where a record says so: those that tell nothing join either side.
    return sorted((each for each, n in counts.items() if n), key=lambda v: (-counts[v], v))


def imported(project: Project, variant: Variant, formula: str = NEW) -> Board:
    """The rank scores of imported EuroEval records: the first metric of each data set.

    Of several records of a model on a data set the one imported last counts.
    """
    metrics: dict[str, str] = {}
    datasets: dict[str, Dataset] = {}
    given: dict[str, dict[str, Given]] = {}
    links: dict[str, str] = {}
    for record in _records(project)[:MOST_RECORDS]:
        if record.split != variant.split or record.few_shot is (not variant.few_shot):
            continue
        # A record's first metric is the one that EuroEval ranks by.
        if metrics.setdefault(record.benchmark, record.metric) != record.metric:
            continue
        links[record.model] = record.source.get_absolute_url()
        for language in record.languages or [""]:
            key = f"{record.benchmark}|{language}"
            datasets[key] = Dataset(key, record.benchmark, record.task, language)
            given.setdefault(record.model, {})[key] = Given(
                tuple(record.replicates),
                "" if record.replicates else NO_REPLICATES,
                record.failed,
                record.samples,
            )
    columns = sorted(datasets.values(), key=lambda each: (each.language, each.task, each.key))
    rows = [
        Row(model, links[model], {each.key: mine.get(each.key, ABSENT) for each in columns})
        for model, mine in given.items()
    ]
    return _board(formula, columns, rows, _ranks(columns, rows, formula))


def _records(project: Project) -> Any:
    found = ExternalResult.objects.filter(
        source__project=project, source__kind=Kind.EUROEVAL, source__confirmed_at__isnull=False
    )
    return found.select_related("source").order_by("source_id", "pk")


def _ranks(
    datasets: Sequence[Dataset], rows: Sequence[Row], formula: str
) -> list[dict[str, list[Any]]]:
    """The ranks of each of ``rows`` by language and overall, as JSON."""
    out: list[dict[str, list[Any]]] = [{} for _ in rows]
    for language in (OVERALL, *sorted({each.language for each in datasets})):
        mine = [each for each in datasets if language in (OVERALL, each.language)]
        raw = [[_raw(row.given[each.key]) for each in mine] for row in rows]
        places = [Place(each.task, each.language) for each in mine]
        for found, rank in zip(out, _scored(raw, places, formula), strict=True):
            if rank:
                found[language] = list(rank)
    return out


def _raw(given: Given) -> np.ndarray | None:
    return None if given.missing else np.asarray(given.replicates, dtype=float)


def _scored(
    raw: Sequence[Sequence[np.ndarray | None]], places: Sequence[Place], formula: str
) -> list[Rank | None]:
    if not raw:
        return []
    if formula == NEW:
        found = rank_scores.board(raw, places)
        return [None if math.isinf(each.value) else Rank(*each) for each in found]
    ranks = np.stack([rank_scores.anchored(column) for column in zip(*raw, strict=True)], axis=-1)
    means = rank_scores.overall(ranks, places)
    order = sorted(set(means[np.isfinite(means)].tolist()))
    return [
        None if math.isinf(mean) else Rank(mean, None, None, 1 + order.index(mean))
        for mean in means.tolist()
    ]


def _board(
    formula: str,
    datasets: list[Dataset],
    rows: Iterable[Row],
    ranks: Sequence[Mapping[str, list[Any]]],
) -> Board:
    made = [
        Row(row.name, row.href, row.given, {code: Rank(*rank) for code, rank in mine.items()})
        for row, mine in zip(rows, ranks, strict=True)
    ]
    made.sort(key=lambda row: (row.overall.value if row.overall else math.inf, row.name))
    return Board(formula, datasets, made)


COLUMNS = {
    "results": str, "suite": str, "suite_version": int, "formula": str, "model": str,
    "language": str, "rank": int, "rank_score": float, "low": float, "high": float,
    "benchmarks": int, "benchmarks_of": int, "missing": str, "failed_extractions": int,
    "starred": bool,
}  # fmt: skip


def records(found: Board, suite: Suite | None = None) -> list[dict[str, Any]]:
    """``found`` as flat records: one per model and language, "overall" of each model first.

    ``suite`` of own results; None: of imported records.
    """
    out = []
    for row in found.rows:
        for code in (OVERALL, *found.languages):
            mine = [each for each in found.datasets if code in (OVERALL, each.language)]
            given = {each.key: row.given[each.key] for each in mine}
            part, rank = Row(row.name, row.href, given), row.ranks.get(code)
            lacking = [each.title for each in mine if given[each.key].missing]
            out.append({
                "results": "own" if suite else "imported",
                "suite": suite.slug if suite else None,
                "suite_version": suite.version if suite else None,
                "formula": found.formula,
                "model": row.name,
                "language": code or "overall",
                "rank": rank.place if rank else None,
                "rank_score": rank.value if rank else None,
                "low": rank.low if rank else None,
                "high": rank.high if rank else None,
                "benchmarks": part.ranked,
                "benchmarks_of": len(mine),
                "missing": ", ".join(lacking) or None,
                "failed_extractions": part.failed,
                "starred": part.starred,
            })  # fmt: skip
    return out
