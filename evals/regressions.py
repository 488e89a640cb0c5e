"""What changed between two servings of a model: another quantisation, another server version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from django.db.models import F
from django.utils.translation import gettext as _

from evals import compare, suites
from evals.compare import Mark
from evals.models import Benchmark, Candidate, Part, Run, Sample, Score, Suite
from evals.stats.intervals import Interval, mean_of
from evals.stats.margins import change, verdict

MARGIN = 0.02  # a loss that nobody minds, unless the person says otherwise
LOST, GAINED = "lost", "gained"
COLUMNS = {
    "suite": str, "suite_version": int, "before": str, "after": str, "benchmark": str,
    "language": str, "scoring": str, "metric": str, "value_before": float, "value_after": float,
    "change": float, "low": float, "high": float, "method": str, "samples": int, "lost": int,
    "gained": int, "margin": float, "verdict": str,
}  # fmt: skip


@dataclass(frozen=True)
class Side:
    """One serving: a candidate with its newest results as served now, or one run."""

    candidate: Candidate
    run: Run | None = None

    @property
    def key(self) -> str:
        """How addresses name it."""
        return f"r{self.run.pk}" if self.run else f"m{self.candidate.pk}"

    @property
    def name(self) -> str:
        if self.run is None:
            return self.candidate.name
        return _("%(name)s, run %(run)s") % {"name": self.candidate.name, "run": self.run.pk}


class Measured(NamedTuple):
    """A part with its run and the score of its primary metric."""

    part: int
    run: int
    score: Mark


class Flip(NamedTuple):
    """A sample by its place whose score fell (`LOST`) or rose (`GAINED`)."""

    line: int
    doc_id: int
    kind: str


@dataclass(frozen=True)
class Line:
    """One benchmark before and after; ``reason`` says why there is nothing to compare."""

    benchmark: Benchmark
    before: Measured | None
    after: Measured | None
    change: Interval | None = None
    verdict: str = ""
    lost: Sequence[int] = ()
    gained: Sequence[int] = ()
    reason: str = ""


@dataclass(frozen=True)
class Report:
    suite: Suite
    before: Side
    after: Side
    margin: float
    lines: list[Line]
    overall: Interval | None = None
    verdict: str = ""
    flips: list[Flip] = field(default_factory=list)
    """All samples that changed: the lost ones first."""

    @property
    def compared(self) -> list[Line]:
        return [line for line in self.lines if line.change]


def suites_of(before: Side, after: Side) -> list[Suite]:
    """The suite versions on which both have results; a run has one."""
    fixed = {side.run.suite_id for side in (before, after) if side.run}
    if len(fixed) > 1:
        return []
    every = [side.candidate for side in (before, after) if side.run is None]
    found = compare.suites_of(every) if every else []
    if not fixed:
        wanted = len({candidate.pk for candidate in every})
        return [suite for suite in found if suite.measured == wanted]
    if every:
        return [suite for suite in found if suite.pk in fixed]
    return list(Suite.objects.filter(pk__in=fixed))


def report(suite: Suite, before: Side, after: Side, margin: float = MARGIN) -> Report:
    """The change on each benchmark that both have a valid result on, and over all of them.

    ``margin`` is the loss, as a share, that is not minded. See evals.stats.margins; every row
    is judged alone, and the overall change is the unweighted mean of the rows.
    """
    was, now = _measured(suite, before), _measured(suite, after)
    values = compare.values_by_part([found.part for found in (*was.values(), *now.values())])
    lines, flips = [], []
    columns = suite.benchmarks.with_questions().defer("task", "options", "tags")
    for benchmark in sorted(columns, key=lambda b: (b.language, b.position)):
        line = _line(benchmark, was.get(benchmark.pk), now.get(benchmark.pk), values, margin)
        flips += [Flip(len(lines), doc, LOST) for doc in line.lost]
        flips += [Flip(len(lines), doc, GAINED) for doc in line.gained]
        lines.append(line)
    changes = [line.change for line in lines if line.change]
    overall = mean_of(changes) if changes else None
    flips.sort(key=lambda flip: flip.kind != LOST)
    said = verdict(overall, margin) if overall else ""
    return Report(suite, before, after, margin, lines, overall, said, flips)


def _line(
    benchmark: Benchmark,
    was: Measured | None,
    now: Measured | None,
    values: dict[int, np.ndarray],
    margin: float,
) -> Line:
    for found in (was, now):
        if found is None:
            return Line(benchmark, was, now, reason=_("not run"))
        if not found.score.valid:
            return Line(benchmark, was, now, reason=_("not valid: fewer than 95 % answered"))
    assert was and now
    old, new = values[was.part], values[now.part]
    if len(old) != len(new):
        return Line(benchmark, was, now, reason=_("not the same questions"))
    gap = new - old
    lost, gained = np.flatnonzero(gap < 0).tolist(), np.flatnonzero(gap > 0).tolist()
    found = change(old, new, suites.texts_of(benchmark, len(old)))
    if found is None:
        return Line(benchmark, was, now, None, "", lost, gained, _("too few questions"))
    return Line(benchmark, was, now, found, verdict(found, margin), lost, gained)


def samples_of(found: Report, page: Sequence[Flip]) -> list[tuple[Sample | None, Sample | None]]:
    """The samples of ``page`` before and after; one query for all."""
    wanted = [(found.lines[flip.line], flip.doc_id) for flip in page]
    parts = {side.part for line, _doc in wanted for side in (line.before, line.after) if side}
    rows = Sample.objects.filter(part__in=parts, doc_id__in={doc for _line, doc in wanted})
    by_place = {
        (sample.part_id, sample.doc_id): sample
        for sample in rows.only("part_id", "doc_id", "prompt", "target", "answer", "value",
                                "correct", "error", "error_kind")
    }  # fmt: skip
    return [
        (by_place.get((line.before.part, doc)), by_place.get((line.after.part, doc)))
        for line, doc in wanted
        if line.before and line.after
    ]


def records(found: Report) -> list[dict[str, Any]]:
    """``found`` as flat records, "overall" first; shares (0 to 1), what is missing is None."""
    base = {
        "suite": found.suite.slug, "suite_version": found.suite.version,
        "before": found.before.name, "after": found.after.name, "margin": found.margin,
    }  # fmt: skip
    overall = base | {"benchmark": "overall", "metric": "mean", "verdict": found.verdict or None}
    out = [overall | _interval(found.overall)] if found.overall else []
    for line in found.lines:
        benchmark = line.benchmark
        record = base | _interval(line.change) | {
            "benchmark": benchmark.name, "language": benchmark.language,
            "scoring": benchmark.scoring, "metric": benchmark.metric,
            "value_before": line.before.score.value if line.before else None,
            "value_after": line.after.score.value if line.after else None,
            "lost": len(line.lost), "gained": len(line.gained), "verdict": line.verdict or None,
        }  # fmt: skip
        out.append(record)
    return [{name: record.get(name) for name in COLUMNS} for record in out]


def _interval(found: Interval | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        "change": found.value, "low": found.low, "high": found.high, "method": found.method,
        "samples": found.n,
    }  # fmt: skip


def _measured(suite: Suite, side: Side) -> dict[int, Measured]:
    """The newest scored part of ``side`` by benchmark."""
    rows = Score.objects.filter(
        part__run__suite=suite,
        part__run__candidate=side.candidate,
        part__values__isnull=False,
        metric=F("part__benchmark__metric"),
    )
    if side.run:
        rows = rows.filter(part__run=side.run)
    else:
        rows = rows.filter(
            part__run__endpoint_revision=F("part__run__candidate__endpoint__revision")
        )
    names = ("part__benchmark", "part", "part__run", "value", "low", "high", "valid")
    return {
        benchmark: Measured(part, run, Mark(*mark))
        for benchmark, part, run, *mark in rows.order_by("part").values_list(*names)
    }


def runs_to_choose(candidates: Sequence[Candidate], most: int = 100) -> list[Run]:
    """The newest runs of ``candidates`` with a result."""
    scored = Part.objects.filter(values__isnull=False).values("run")
    found = Run.objects.filter(candidate__in=candidates, pk__in=scored)
    return list(found.select_related("candidate", "suite").order_by("-pk")[:most])
