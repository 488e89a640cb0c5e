"""The verbs on rows: what they write, and what the sweeper puts right."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from portal.accounts.models import Project
from tests.workers.app.models import Errand, Tour
from tests.workers.errands import errand_tables, project  # noqa: F401
from workers import broker, jobs, progress, shutdown
from workers.models import MAX_ATTEMPTS, JobState
from workers.progress import Cancelled, JobError, LeaseLost, Progress, Stopping

Capture = Callable[..., AbstractContextManager[list[Any]]]


@pytest.fixture
def pokes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The pokes sent; the broker itself has tests of its own."""
    sent: list[int] = []
    monkeypatch.setattr(broker, "poke", lambda name, pk: bool(sent.append(pk)) or True)
    monkeypatch.setattr(broker, "waiting", lambda: 0)
    return sent


@pytest.fixture
def errand(project: Project) -> Errand:  # noqa: F811
    return Errand.objects.create(project=project)


def put(job: Errand, **fields: Any) -> None:
    Errand.objects.filter(pk=job.pk).update(**fields)
    job.refresh_from_db()


def ago(seconds: float) -> Any:
    return timezone.now() - timedelta(seconds=seconds)


def test_it_pokes_only_after_the_commit(
    errand: Errand, pokes: list[int], django_capture_on_commit_callbacks: Capture
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        jobs.enqueue(errand)
        assert not pokes
    assert pokes == [errand.pk]


def test_it_claims_a_queued_job_once(errand: Errand) -> None:
    held = jobs.claim(Errand, errand.pk)
    assert held and held.job.state == JobState.RUNNING
    assert jobs.claim(Errand, errand.pk) is None


def test_a_worker_that_is_going_down_leaves_the_job_to_the_next(
    errand: Errand, pokes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutdown, "announced", lambda: True)
    assert jobs.claim(Errand, errand.pk) is None
    errand.refresh_from_db()
    assert (errand.state, pokes) == (JobState.QUEUED, [errand.pk])


def test_it_claims_nothing_that_is_finished_or_cancelled(errand: Errand) -> None:
    for state in (JobState.DONE, JobState.FAILED, JobState.CANCELLED):
        put(errand, state=state)
        assert jobs.claim(Errand, errand.pk) is None
    put(errand, state=JobState.QUEUED, cancel_requested=True)
    assert jobs.claim(Errand, errand.pk) is None


def test_it_cancels_a_queued_job_at_once(errand: Errand) -> None:
    assert jobs.cancel(errand)
    errand.refresh_from_db()
    assert errand.state == JobState.CANCELLED
    assert not jobs.cancel(errand)


def test_it_cancels_at_once_when_the_worker_is_dead(errand: Errand) -> None:
    jobs.claim(Errand, errand.pk)
    put(errand, lease_until=ago(1))
    jobs.cancel(errand)
    errand.refresh_from_db()
    assert errand.state == JobState.CANCELLED


def test_it_leaves_a_running_job_to_its_worker_and_the_beat_says_cancelled(errand: Errand) -> None:
    held = jobs.claim(Errand, errand.pk)
    jobs.cancel(errand)
    errand.refresh_from_db()
    assert errand.state == JobState.RUNNING
    with pytest.raises(Cancelled):
        held.beat(force=True)


def test_it_passes_a_cancel_of_a_group_on_to_its_children(
    errand: Errand,
    project: Project,  # noqa: F811
) -> None:
    tour = Tour.objects.create(project=project, leg=errand)
    jobs.cancel(tour)
    errand.refresh_from_db()
    tour.refresh_from_db()
    assert (errand.state, tour.state) == (JobState.CANCELLED, JobState.CANCELLED)


def test_it_writes_the_counters_at_most_once_a_second(
    errand: Errand, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    held = jobs.claim(Errand, errand.pk)
    clock = [1000.0]
    monkeypatch.setattr(progress, "monotonic", lambda: clock[0])
    held.begin(total=100)
    with django_assert_num_queries(3):
        for _ in range(31):
            clock[0] += 0.1
            held.advance(done=1)
            held.beat()
    errand.refresh_from_db()
    assert 28 <= errand.done <= 31


def test_it_shows_a_new_version_only_for_visible_changes(errand: Errand) -> None:
    held = jobs.claim(Errand, errand.pk)
    held.begin(total=2)
    errand.refresh_from_db()
    before = errand.version
    held.beat(force=True)  # extends the lease, changes nothing to be seen
    errand.refresh_from_db()
    assert errand.version == before
    held.advance(done=1)
    held.beat(force=True)
    errand.refresh_from_db()
    assert errand.version == before + 1


def test_it_counts_the_rate_of_this_attempt_alone(errand: Errand) -> None:
    put(
        errand,
        state=JobState.RUNNING, started_at=ago(10), total=1000, done=920, done_before=900,
    )  # fmt: skip
    assert errand.rate == pytest.approx(2, rel=0.1)
    assert errand.seconds_left == pytest.approx(40, rel=0.1)
    assert errand.percent == 92


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (None, JobState.DONE, ""),
        (JobError("The shop is closed."), JobState.FAILED, "The shop is closed."),
        (KeyError("secret"), JobState.FAILED, jobs.UNEXPECTED),
        (Cancelled(), JobState.CANCELLED, ""),
        (Stopping(), JobState.QUEUED, ""),
    ],
)
def test_it_settles_a_job_by_how_its_body_ends(
    errand: Errand, pokes: list[int], error: Exception | None, state: JobState, message: str
) -> None:
    def body(job: Errand, held: Progress) -> None:
        held.begin(total=3)
        held.advance(done=2)
        if error:
            raise error

    jobs.perform(jobs.claim(Errand, errand.pk), body)
    errand.refresh_from_db()
    assert (errand.state, errand.message, errand.owner) == (state, message, "")
    assert (errand.done, errand.total) == (2, 3)


def test_it_writes_nothing_when_the_lease_is_lost(errand: Errand) -> None:
    def body(job: Errand, held: Progress) -> None:
        put(errand, owner="another worker")
        held.advance(done=5)
        held.beat(force=True)

    held = jobs.claim(Errand, errand.pk)
    jobs.perform(held, body)
    errand.refresh_from_db()
    assert (errand.state, errand.owner, errand.done) == (JobState.RUNNING, "another worker", 0)
    with pytest.raises(LeaseLost):
        held.fence()


def test_it_tells_the_body_that_the_worker_stops(
    errand: Errand, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = jobs.claim(Errand, errand.pk)
    monkeypatch.setattr(shutdown, "announced", lambda: True)
    with pytest.raises(Stopping):
        held.beat()


def test_it_resumes_what_failed_and_finished_jobs_only_when_told(errand: Errand) -> None:
    put(errand, state=JobState.FAILED, message="no", attempts=3, done=4)
    assert jobs.resume(errand)
    errand.refresh_from_db()
    assert (errand.state, errand.message, errand.attempts) == (JobState.QUEUED, "", 0)
    put(errand, state=JobState.DONE)
    assert not jobs.resume(errand)
    assert jobs.resume(errand, also_done=True)


def test_it_calls_the_hook_once_after_the_commit(
    errand: Errand, django_capture_on_commit_callbacks: Capture
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        jobs.cancel(errand)
    errand.refresh_from_db()
    assert errand.receipts == 1
    put(errand, finished_at=ago(3600))
    assert jobs.sweep() == 0  # it is not due again


def test_the_sweeper_calls_a_hook_that_a_crash_cut_off(errand: Errand, pokes: list[int]) -> None:
    jobs.cancel(errand)  # the hook waits for a commit that this test never makes
    assert jobs.sweep() == 0  # too early: the worker may be about to call it
    put(errand, finished_at=ago(3600))
    assert jobs.sweep() == 1
    errand.refresh_from_db()
    assert (errand.receipts, errand.settled_pending) == (1, False)


def test_the_sweeper_pokes_stale_queued_jobs_and_not_fresh_ones(
    errand: Errand, pokes: list[int]
) -> None:
    jobs.sweep()
    assert pokes == []
    put(errand, poked_at=ago(60))
    jobs.sweep()
    jobs.sweep()  # it has just been poked
    assert pokes == [errand.pk]


def test_the_sweeper_adds_no_pokes_to_a_queue_that_has_some(
    errand: Errand, pokes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "waiting", lambda: 7)
    put(errand, poked_at=ago(60))
    jobs.sweep()
    assert pokes == []


def test_the_sweeper_pokes_jobs_of_dead_workers_and_leaves_living_ones(
    errand: Errand, pokes: list[int]
) -> None:
    jobs.claim(Errand, errand.pk)
    put(errand, poked_at=ago(60))
    jobs.sweep()
    assert pokes == []
    put(errand, lease_until=ago(1))
    jobs.sweep()
    assert pokes == [errand.pk]


def test_the_sweeper_cancels_for_a_dead_worker(errand: Errand, pokes: list[int]) -> None:
    jobs.claim(Errand, errand.pk)
    put(errand, cancel_requested=True, lease_until=ago(1))
    jobs.sweep()
    errand.refresh_from_db()
    assert errand.state == JobState.CANCELLED and pokes == []


def test_it_gives_up_after_five_dead_workers(errand: Errand, pokes: list[int]) -> None:
    for _ in range(MAX_ATTEMPTS + 1):
        assert jobs.claim(Errand, errand.pk)
        put(errand, lease_until=ago(1))
    assert jobs.claim(Errand, errand.pk) is None
    jobs.sweep()
    errand.refresh_from_db()
    assert (errand.state, errand.message) == (JobState.FAILED, jobs.GIVEN_UP)
