"""How a candidate has done over time, and what its checks found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db.models import F

from evals.models import Candidate, Endpoint, Probe, Run, Score
from evals.stats.intervals import Interval, mean_of
from workers.models import JobState

LONGEST = 200  # results in a history
SHOWN_CHECKS = 30


class Result(NamedTuple):
    """The mean over the benchmarks of one finished run; ``series`` is what it compares with."""

    run: Run
    mean: Interval

    @property
    def series(self) -> tuple[int, str]:
        """The suite version and the way of asking: only results that share it compare."""
        return self.run.suite_id, self.run.options_hash


def results(candidate: Candidate) -> list[Result]:
    """The newest finished runs on which every benchmark is valid, oldest first: two queries."""
    done = Run.objects.filter(candidate=candidate, state=JobState.DONE).select_related("suite")
    return _means(done.order_by("-pk")[:LONGEST])[::-1]


def means(runs: Sequence[Run]) -> dict[int, Interval]:
    """The mean of each of ``runs`` that is finished and valid; one query."""
    done = [run for run in runs if run.state == JobState.DONE]
    return {result.run.pk: result.mean for result in _means(done)}


def _means(runs: Sequence[Run]) -> list[Result]:
    by_run: dict[int, list[Score]] = {}
    scores = Score.objects.filter(
        part__run__in=[run.pk for run in runs], metric=F("part__benchmark__metric")
    )
    for score in scores.annotate(run=F("part__run")):
        by_run.setdefault(score.run, []).append(score)
    found = []
    for run in runs:
        mine = by_run.get(run.pk, [])
        if mine and all(score.valid and score.value is not None for score in mine):
            ends = [Interval(s.value, s.low, s.high, s.answered, s.method) for s in mine]
            found.append(Result(run, ends[0] if len(ends) == 1 else mean_of(ends)))
    return found


class Change(NamedTuple):
    """One thing that a check found otherwise than the check before it; None: not known then."""

    name: str
    before: Any
    after: Any


class Check(NamedTuple):
    """A check and what had changed since the finished one before; ``first``: there was none."""

    probe: Probe
    changes: list[Change]
    first: bool


def checks(endpoint: Endpoint) -> list[Check]:
    """The newest checks of ``endpoint``, newest first, whatever revision they were of."""
    every = Probe.objects.filter(endpoint=endpoint)  # a list has only the newest of them prefetched
    probes = list(every.order_by("-pk").defer("capabilities")[: SHOWN_CHECKS + 1])
    found = []
    for at, probe in enumerate(probes[:SHOWN_CHECKS]):
        before = next((p for p in probes[at + 1 :] if p.state == JobState.DONE), None)
        changes = changed(before, probe) if before and probe.state == JobState.DONE else []
        found.append(Check(probe, changes, before is None))
    return found


def changed(before: Probe, after: Probe) -> list[Change]:
    """Endpoint, server and verdicts that differ between two finished checks."""
    pairs: list[tuple[str, Any, Any]] = [
        ("revision", before.endpoint_revision, after.endpoint_revision),
        ("server", before.server, after.server),
    ]
    was = {verdict["name"]: verdict["ok"] for verdict in before.verdicts}
    now = {verdict["name"]: verdict["ok"] for verdict in after.verdicts}
    pairs += [(name, was.get(name), now.get(name)) for name in {**was, **now}]
    return [Change(*pair) for pair in pairs if pair[1] != pair[2]]
