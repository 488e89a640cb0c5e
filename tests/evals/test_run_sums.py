"""What a part and its run add up to while they work, so that no page reads the samples."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from evals import outcomes, runs, scores
from evals.compact import Places
from evals.engines import Outcome
from evals.models import Candidate, Part, Run, Sample
from portal.accounts.models import Project
from tests.evals.making import (
    answer,
    answer_rows,
    carry_out,
    make_candidate,
    make_suite,
)
from tests.evals.stub_server import StubServer
from workers import jobs
from workers.models import JobState

pytestmark = pytest.mark.django_db
SUMS = ("prompt_tokens", "completion_tokens", "counted", "value_sum", "latency_sum_ms")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def candidate(project: Project) -> Candidate:
    return make_candidate(project)


@pytest.fixture
def part(candidate: Candidate, project: Project) -> Part:
    suite = make_suite(project, answer(rows=answer_rows(10)))
    return runs.start(candidate, suite).children()[0]


def outcome(doc_id: int, **changes: object) -> Outcome:
    said = {"value": 1.0, "prompt_tokens": 10, "completion_tokens": 2, "latency_ms": 5.0}
    return Outcome(doc_id=doc_id, prompt="?", target="!", **(said | changes))


def failure(doc_id: int) -> Outcome:
    return Outcome(doc_id=doc_id, prompt="?", target="!", error="HTTP 503", prompt_tokens=99)


def store(part: Part, *batches: list[Outcome]) -> Part:
    """Store ``batches`` as a worker does; the part as the database has it then."""
    progress = jobs.claim(Part, part.pk)
    failed = Places(part.samples.exclude(error="").values_list("doc_id", flat=True))
    for batch in batches:
        outcomes.store(part, batch, progress, failed)
    return Part.objects.get(pk=part.pk)


def sums(part: Part) -> list[float | None]:
    return [getattr(part, name) for name in SUMS]


def test_every_batch_adds_to_the_sums(part: Part) -> None:
    found = store(part, [outcome(0), outcome(1, value=0.0)], [outcome(2, latency_ms=20.0)])
    assert sums(found) == [30, 6, 3, 2.0, 30.0]
    assert (found.done, found.errors, found.mean, found.latency_ms) == (3, 0, 2 / 3, 10.0)


def test_a_failed_sample_adds_nothing_until_it_is_answered(part: Part) -> None:
    found = store(part, [outcome(0), failure(1)], [failure(1)])
    assert (sums(found), found.done, found.errors) == ([10, 2, 1, 1.0, 5.0], 1, 1)
    Part.objects.update(state=JobState.QUEUED)
    again = store(found, [outcome(1)])
    assert (sums(again), again.done, again.errors) == ([20, 4, 2, 2.0, 10.0], 2, 0)


def test_tokens_that_no_sample_told_stay_unknown(part: Part) -> None:
    found = store(part, [outcome(0, completion_tokens=None), outcome(1, completion_tokens=None)])
    assert (found.prompt_tokens, found.completion_tokens, found.counted) == (20, None, 0)
    scores.score(found)
    assert (found.prompt_tokens, found.completion_tokens, found.counted) == (20, None, 0)


def test_scoring_counts_the_sums_anew(part: Part) -> None:
    found = store(part, [outcome(0), failure(1), outcome(2, value=0.0)])
    right = sums(found)
    Part.objects.update(value_sum=99, counted=99, prompt_tokens=99, latency_sum_ms=99)
    scores.score(found)
    assert sums(Part.objects.get(pk=part.pk)) == right == sums(found)


def test_a_run_with_failures_that_is_resumed_counts_each_sample_once(
    project: Project, stub: StubServer
) -> None:
    suite = make_suite(project, answer(rows=answer_rows(10)))
    stub.reset(match="No 3:", kind="400")
    run = carry_out(runs.start(make_candidate(project, "Real", base_url=stub.base_url), suite))
    first = run.children()[0]
    stub.reset()
    runs.resume(run)
    second = carry_out(run).children()[0]
    assert (first.counted, second.counted) == (9, 10)
    told = Sample.objects.filter(part=second).values_list("prompt_tokens", flat=True)
    assert second.prompt_tokens == sum(told)


def test_the_wall_time_of_all_attempts_adds_up(candidate: Candidate, part: Part) -> None:
    run = part.run

    def attempt(begin: datetime, seconds: int, state: JobState) -> Run:
        with time_machine.travel(begin, tick=False):
            Part.objects.filter(pk=part.pk).update(state=JobState.RUNNING)
            run.settle()
        with time_machine.travel(begin + timedelta(seconds=seconds), tick=False) as clock:
            Part.objects.filter(pk=part.pk).update(state=state, finished_at=datetime.now(UTC))
            run.settle()
            clock.shift(3600)
            run.settle()  # hooks may come twice
            return Run.objects.get(pk=run.pk)

    assert attempt(NOON, 40, JobState.FAILED).worked_seconds == 40
    runs.resume(Run.objects.get(pk=run.pk))
    found = attempt(NOON + timedelta(hours=2), 20, JobState.DONE)
    assert found.worked_seconds == found.wall_seconds == 60


def test_resuming_what_still_runs_loses_no_time(candidate: Candidate, part: Part) -> None:
    run = part.run
    with time_machine.travel(NOON, tick=False) as clock:
        Part.objects.filter(pk=part.pk).update(state=JobState.RUNNING)
        run.settle()
        clock.shift(30)
        runs.resume(Run.objects.get(pk=run.pk))
        clock.shift(10)
        found = Run.objects.get(pk=run.pk)
        assert (found.worked_seconds, found.wall_seconds) == (30, 40)
