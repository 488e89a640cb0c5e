"""How versions of a model have done on each benchmark over time, and what changed in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import F
from django.utils.translation import gettext as _

from evals.compare import Mark
from evals.models import Benchmark, Candidate, Run, Score, Suite

LONGEST = 60  # runs in a trend
COLUMNS = {
    "run": int, "created_at": datetime, "model": str, "server": str, "endpoint_revision": int,
    "suite": str, "suite_version": int, "benchmark": str, "language": str, "metric": str,
    "value": float, "low": float, "high": float, "valid": bool, "comparable": bool,
    "changed": str,
}  # fmt: skip


class Point(NamedTuple):
    """The result of one run; ``comparable`` with the point before: the same was measured."""

    run: Run
    benchmark: Benchmark
    mark: Mark
    comparable: bool


@dataclass(frozen=True)
class Series:
    """One benchmark through the versions of its suite, oldest first."""

    name: str
    points: list[Point] = field(default_factory=list)

    @property
    def benchmark(self) -> Benchmark:
        """As it is now, for its titles."""
        return self.points[-1].benchmark


@dataclass(frozen=True)
class Trend:
    """``runs`` oldest first, and what changed before each of them, in words."""

    runs: list[Run]
    changes: dict[int, list[str]]
    series: list[Series]

    @property
    def numbers(self) -> dict[int, int]:
        """A number for each run before which something changed, as charts mark it."""
        marked = [run.pk for run in self.runs if self.changes[run.pk]]
        return {pk: number for number, pk in enumerate(marked, 1)}


def suites_of(candidates: Sequence[Candidate]) -> list[Suite]:
    """The suites with results of any of ``candidates``, the newest version of each."""
    found = Suite.objects.filter(
        runs__candidate__in=candidates, runs__parts__values__isnull=False
    ).distinct()
    newest = {suite.slug: suite for suite in found.order_by("version")}
    return sorted(newest.values(), key=lambda suite: suite.name)


def versions_of(candidate: Candidate) -> list[Candidate]:
    """Others of the project that name the same base model: perhaps versions of it."""
    if not candidate.base_model:
        return []
    same = Candidate.objects.filter(project=candidate.project, base_model=candidate.base_model)
    return list(same.exclude(pk=candidate.pk).order_by("created_at"))


def trend(candidates: Sequence[Candidate], slug: str, language: str = "") -> Trend:
    """The newest runs of ``candidates`` on any version of the suite ``slug``; three queries."""
    rows = Score.objects.filter(
        part__run__candidate__in=candidates,
        part__run__suite__slug=slug,
        part__values__isnull=False,
        metric=F("part__benchmark__metric"),
    )
    if language:
        rows = rows.filter(part__benchmark__language=language)
    newest = Run.objects.filter(candidate__in=candidates, suite__slug=slug)
    runs = list(newest.select_related("candidate", "suite").order_by("-pk")[:LONGEST])[::-1]
    names = ("part__run", "part__benchmark", "value", "low", "high", "valid")
    scores: dict[int, list[tuple[int, Mark]]] = {}
    for run, benchmark, *mark in rows.filter(part__run__in=runs).values_list(*names):
        scores.setdefault(run, []).append((benchmark, Mark(*mark)))
    runs = [run for run in runs if run.pk in scores]
    wanted = {benchmark for mine in scores.values() for benchmark, _mark in mine}
    benchmarks = Benchmark.objects.in_bulk(wanted)
    series: dict[str, Series] = {}
    for run in runs:
        for pk, mark in sorted(scores[run.pk], key=lambda pair: benchmarks[pair[0]].position):
            benchmark = benchmarks[pk]
            mine = series.setdefault(benchmark.name, Series(benchmark.name))
            before = mine.points[-1].benchmark if mine.points else None
            comparable = before is None or _measures_the_same(before, benchmark)
            mine.points.append(Point(run, benchmark, mark, comparable))
    order = sorted(series.values(), key=lambda s: (s.benchmark.language, s.benchmark.position))
    return Trend(runs, _changes(runs), order)


def _measures_the_same(one: Benchmark, other: Benchmark) -> bool:
    """Whether results of both compare: the same questions, asked and scored in the same way."""
    fields = ("questions_id", "examples_id", "task", "options", "metric", "scoring", "engine")
    return one.pk == other.pk or all(getattr(one, f) == getattr(other, f) for f in fields)


def _changes(runs: Sequence[Run]) -> dict[int, list[str]]:
    """What is otherwise than in the run before, by run."""
    found: dict[int, list[str]] = {}
    before: Run | None = None
    for run in runs:
        found[run.pk] = _changed(before, run) if before else []
        before = run
    return found


def _changed(before: Run, run: Run) -> list[str]:
    said = []
    if run.candidate_id != before.candidate_id:
        said.append(_("model: %(name)s") % {"name": run.candidate.name})
    elif run.endpoint_revision != before.endpoint_revision:
        said.append(_("endpoint revision %(number)s") % {"number": run.endpoint_revision})
    if run.server != before.server:
        said.append(_("server: %(name)s") % {"name": run.server or "–"})
    if run.suite_id != before.suite_id:
        said.append(_("suite version %(number)s") % {"number": run.suite.version})
    return said


def records(found: Trend) -> list[dict[str, Any]]:
    """A record a point; shares (0 to 1), never localised."""
    return [
        {
            "run": run.pk, "created_at": run.created_at, "model": run.candidate.name,
            "server": run.server or None, "endpoint_revision": run.endpoint_revision,
            "suite": run.suite.slug, "suite_version": run.suite.version, "benchmark": series.name,
            "language": benchmark.language, "metric": benchmark.metric, "value": mark.value,
            "low": mark.low, "high": mark.high, "valid": mark.valid, "comparable": comparable,
            "changed": "; ".join(found.changes[run.pk]) or None,
        }
        for series in found.series
        for run, benchmark, mark, comparable in series.points
    ]  # fmt: skip
