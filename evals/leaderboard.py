"""Which candidate is best on a suite, and which differences are real."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from evals.models import Benchmark, Candidate, Part, Score, Standing, Suite
from evals.runs import interval
from evals.stats.bootstrap import macro_mean
from evals.stats.intervals import Interval
from evals.stats.paired import NotComparable, paired_difference
from evals.stats.ranks import rank_ranges

METHOD = 2  # raise when a statistic changes: cached fits of the old one are dropped


class View(NamedTuple):
    """What a board shows: "" means all. Part of the URL and of the cache's key."""

    language: str = ""
    scoring: str = ""

    @property
    def key(self) -> str:
        return f"{self.language}|{self.scoring}"


class Gap(NamedTuple):
    """Paired difference to the first row, same samples: ``value`` = this − first.

    ``real``: it could hardly be chance (evals.stats.paired).
    """

    value: float
    low: float
    high: float
    real: bool


@dataclass(frozen=True)
class Row:
    """One candidate. ``overall`` and ``rank`` are None unless every column is valid."""

    candidate: Candidate
    cells: dict[int, Score | None]
    overall: tuple[float, float, float] | None = None
    rank: tuple[int, int] | None = None
    gap: Gap | None = None


@dataclass(frozen=True)
class Board:
    suite: Suite
    view: View
    benchmarks: list[Benchmark]
    rows: list[Row] = field(default_factory=list)

    @property
    def ranked(self) -> list[Row]:
        return [row for row in self.rows if row.overall]


def board(suite: Suite, view: View) -> Board:
    """The board of ``suite`` under ``view``, best first, candidates without overall last.

    Overall = unweighted mean of the shown benchmarks' primary metrics; percentile bootstrap
    over samples within each benchmark (B = 1000, seeded). Ranks are ranges from paired
    comparison on the same samples (evals.stats.ranks). A candidate that misses a column, or
    has one below 95 % coverage, has no overall: missing is not zero.
    """
    benchmarks = [
        benchmark
        for benchmark in suite.benchmarks.all()
        if view.language in ("", benchmark.language) and view.scoring in ("", benchmark.scoring)
    ]
    benchmarks.sort(key=lambda benchmark: (benchmark.language, benchmark.position))
    parts = _latest_parts(benchmarks)
    candidates = Candidate.objects.filter(pk__in={part.run.candidate_id for part in parts})
    fit = _fit(suite, view, benchmarks, parts)
    rows = []
    for candidate in candidates.select_related("endpoint"):
        mine = {part.benchmark_id: part for part in parts if part.run.candidate_id == candidate.pk}
        cells = {
            benchmark.pk: _primary(mine.get(benchmark.pk), benchmark) for benchmark in benchmarks
        }
        found = fit.get(str(candidate.pk))
        rows.append(
            Row(
                candidate=candidate,
                cells=cells,
                overall=tuple(found["overall"]) if found else None,
                rank=tuple(found["rank"]) if found else None,
                gap=Gap(*found["gap"]) if found and found["gap"] else None,
            )
        )
    rows.sort(key=lambda row: (-row.overall[0] if row.overall else 1.0, row.candidate.name))
    return Board(suite, view, benchmarks, rows)


def records(found: Board) -> list[dict[str, Any]]:
    """``found`` as flat records, one per candidate and benchmark plus one "overall" each.

    Values are shares (0 to 1), never localised; missing values are None.
    """
    out: list[dict[str, Any]] = []
    for row in found.rows:
        base = {
            "suite": found.suite.slug,
            "suite_version": found.suite.version,
            "model": row.candidate.name,
            "rank_best": row.rank[0] if row.rank else None,
            "rank_worst": row.rank[1] if row.rank else None,
        }
        value, low, high = row.overall or (None, None, None)
        out.append(
            {
                **base,
                "benchmark": "overall",
                "language": found.view.language or None,
                "scoring": found.view.scoring or None,
                "metric": "mean",
                "value": value,
                "low": low,
                "high": high,
                "method": "percentile bootstrap" if row.overall else None,
                "answered": sum(cell.answered for cell in row.cells.values() if cell),
                "asked": sum(cell.asked for cell in row.cells.values() if cell),
                "valid": row.overall is not None,
                "run": None,
            }
        )
        for benchmark in found.benchmarks:
            cell = row.cells[benchmark.pk]
            out.append(
                {
                    **base,
                    "benchmark": benchmark.name,
                    "language": benchmark.language,
                    "scoring": benchmark.scoring,
                    "metric": benchmark.metric,
                    "value": cell.value if cell else None,
                    "low": cell.low if cell else None,
                    "high": cell.high if cell else None,
                    "method": cell.method if cell else None,
                    "answered": cell.answered if cell else None,
                    "asked": cell.asked if cell else None,
                    "valid": cell.valid if cell else None,
                    "run": cell.part.run_id if cell else None,
                }
            )
    return out


def _latest_parts(benchmarks: Sequence[Benchmark]) -> list[Part]:
    """The newest scored part per candidate and benchmark, of the endpoint as it is now.

    One that is being resumed keeps its scores: answered samples only ever grow in number.
    """
    parts = (
        Part.objects.filter(benchmark__in=benchmarks, values__isnull=False)
        .select_related("run__candidate__endpoint")
        .prefetch_related("scores__part")
        .order_by("pk")
    )
    newest = {
        (part.run.candidate_id, part.benchmark_id): part
        for part in parts
        if part.run.endpoint_revision == part.run.candidate.endpoint.revision
    }
    return list(newest.values())


def _primary(part: Part | None, benchmark: Benchmark) -> Score | None:
    if part is None:
        return None
    return next((score for score in part.scores.all() if score.metric == benchmark.metric), None)


def _fit(
    suite: Suite, view: View, benchmarks: Sequence[Benchmark], parts: Sequence[Part]
) -> dict[str, dict[str, Any]]:
    """Overall, rank and gap by candidate id, from the cache when the results are the same."""
    marks = sorted(f"{part.pk}:{part.values}" for part in parts)
    fingerprint = hashlib.sha256("|".join([str(METHOD), *marks]).encode()).hexdigest()
    cached = Standing.objects.filter(suite=suite, view=view.key).first()
    if cached and cached.fingerprint == fingerprint:
        return cached.board
    computed = _compute(benchmarks, parts)
    Standing.objects.update_or_create(
        suite=suite, view=view.key, defaults={"fingerprint": fingerprint, "board": computed}
    )
    return computed


def _compute(benchmarks: Sequence[Benchmark], parts: Sequence[Part]) -> dict[str, dict[str, Any]]:
    scores: dict[int, dict[int, np.ndarray]] = {}
    for part in parts:
        primary = next(b for b in benchmarks if b.pk == part.benchmark_id)
        score = _primary(part, primary)
        if score and score.valid:
            values = np.array(
                [np.nan if value is None else value for value in part.values or []], dtype=float
            )
            scores.setdefault(part.run.candidate_id, {})[part.benchmark_id] = values
    complete = {
        candidate: [mine[benchmark.pk] for benchmark in benchmarks]
        for candidate, mine in scores.items()
        if len(mine) == len(benchmarks)
    }
    if not complete:
        return {}
    overall = {candidate: _overall(columns) for candidate, columns in complete.items()}
    ranges = dict(zip(complete, rank_ranges(list(complete.values())), strict=True))
    first = max(overall, key=lambda candidate: overall[candidate].value)
    return {
        str(candidate): {
            "overall": [overall[candidate].value, overall[candidate].low, overall[candidate].high],
            "rank": list(ranges[candidate]),
            "gap": None if candidate == first else _gap(complete[candidate], complete[first]),
        }
        for candidate in complete
    }


def _overall(columns: list[np.ndarray]) -> Interval:
    """The mean over benchmarks; one benchmark alone has the same interval as its cell."""
    answered = [column[~np.isnan(column)] for column in columns]
    if len(answered) == 1:
        return interval(answered[0].tolist())
    return macro_mean(answered)


def _gap(mine: list[np.ndarray], first: list[np.ndarray]) -> list[Any] | None:
    try:
        found = paired_difference(mine, first)
    except NotComparable:
        return None
    return [found.delta, found.low, found.high, found.significant]
