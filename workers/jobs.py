"""The verbs of jobs: enqueue, cancel, resume, claim, perform, settle, sweep.

None of them waits for a broker or needs one: a poke that is lost costs time, and
``sweep`` sends it again.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Case, F, Value, When
from django.utils import timezone
from django.utils.translation import gettext_noop

from workers import broker, shutdown
from workers.models import (
    FINISHED,
    MAX_ATTEMPTS,
    UNFINISHED,
    Job,
    JobQuerySet,
    JobState,
    job_models,
)
from workers.progress import (
    Cancelled,
    JobError,
    JobStopped,
    LeaseLost,
    Progress,
    Stopping,
    lease_end,
)

log = logging.getLogger(__name__)

# Fixed sentences without values, so that templates can translate what the row holds.
UNEXPECTED = gettext_noop("An unexpected error stopped this job. The log of the worker has it.")
GIVEN_UP = gettext_noop("Given up: the worker vanished during this job five times in a row.")
MESSAGE_LIMIT = 2000

Body = Callable[[Job, Progress], None]


def enqueue(job: Job) -> None:
    """Save a new job as queued and poke a worker once that is committed."""
    now = timezone.now()
    job.state, job.queued_at, job.poked_at = JobState.QUEUED, now, now
    job.save()
    _poke_on_commit(job)


@transaction.atomic
def cancel(job: Job) -> bool:
    """Stop an active job: at once when no worker holds it, else at its next beat.

    A group passes it on to its children. False when the job had finished already.
    """
    table = type(job).objects
    if not table.active().filter(pk=job.pk).update(cancel_requested=True, version=F("version") + 1):
        return False
    if job.task_name:
        settle(job, JobState.CANCELLED, where=table.unattended(timezone.now()))
        return True
    for child in job.children():
        cancel(child)
    if all(child.is_finished for child in job.children()):
        settle(job, JobState.CANCELLED)
    return True


@transaction.atomic
def resume(job: Job, *, also_done: bool = False) -> bool:
    """Queue a failed, cancelled or stopped job again; its body skips what is stored already.

    ``also_done`` takes finished ones too, to try again what had errors. False when
    there is nothing to resume.
    """
    states = FINISHED if also_done else UNFINISHED
    now = timezone.now()
    stopped = type(job).objects.filter(pk=job.pk, state__in=states)
    if not stopped.update(
        state=JobState.QUEUED,
        queued_at=now,
        poked_at=now,
        finished_at=None,
        cancel_requested=False,
        settled_pending=False,
        attempts=0,
        message="",
        version=F("version") + 1,
    ):
        return False
    _poke_on_commit(job)
    return True


def claim(model: type[Job], pk: int) -> Progress | None:
    """Take the job for this worker, or None when it is not to be had.

    One conditional UPDATE decides, so of several workers exactly one gets it. A worker
    that is going down takes nothing more and leaves the message to the next one.
    """
    if shutdown.announced():
        broker.poke(model.task_name, pk)
        return None
    now, token = timezone.now(), uuid.uuid4().hex
    won = (
        model.objects.claimable(now)
        .filter(pk=pk)
        .update(
            state=JobState.RUNNING,
            owner=token,
            lease_until=lease_end(),
            attempts=F("attempts") + Case(When(state=JobState.RUNNING, then=1), default=Value(0)),
            started_at=now,
            done_before=F("done"),
            message="",
            version=F("version") + 1,
        )
    )
    if not won:
        return None
    job = model.objects.filter(pk=pk, owner=token).first()
    return Progress(job) if job else None


def perform(progress: Progress, body: Body) -> None:
    """Run ``body(job, progress)`` and settle the job by how it ends."""
    job = progress.job
    try:
        body(job, progress)
    except LeaseLost:
        log.warning("%s %s: another worker holds it now", job._meta.label, job.pk)
    except Stopping:
        _release(progress)
    except Cancelled:
        _settle_held(progress, JobState.CANCELLED)
    except JobStopped as reason:
        log.info("%s %s stops: %s", job._meta.label, job.pk, reason)
        _settle_held(progress, JobState.STOPPED, message=str(reason))
    except (OperationalError, InterfaceError):
        # The database is away, so the row cannot be settled either: the lease runs
        # out and the sweeper sends the job again.
        log.exception("%s %s: lost the database", job._meta.label, job.pk)
    except JobError as error:
        log.warning("%s %s failed: %s", job._meta.label, job.pk, error)
        _settle_held(progress, JobState.FAILED, message=str(error))
    except Exception:
        log.exception("%s %s failed", job._meta.label, job.pk)
        _settle_held(progress, JobState.FAILED, message=UNEXPECTED)
    else:
        _settle_held(progress, JobState.DONE)


def settle(
    job: Job,
    state: JobState,
    *,
    message: str = "",
    where: JobQuerySet | None = None,
    **counters: int | None,
) -> bool:
    """Write the outcome of an active job and call its ``settled`` hook after the commit.

    ``where`` narrows the rows that may be settled. False when none matched.
    """
    table = type(job).objects
    rows = table.active() if where is None else where
    if not rows.filter(pk=job.pk).update(
        state=state,
        message=message[:MESSAGE_LIMIT],
        finished_at=timezone.now(),
        owner="",
        lease_until=None,
        settled_pending=True,
        version=F("version") + 1,
        **counters,
    ):
        return False
    transaction.on_commit(partial(_call_settled, type(job), job.pk), robust=True)
    return True


def sweep() -> int:
    """Put right what crashes left behind; the number of jobs that needed it."""
    now = timezone.now()
    patience = now - timedelta(seconds=2 * settings.SWEEP_SECONDS)
    queue_is_empty = broker.waiting() == 0
    handled = 0
    for model in job_models():
        table = model.objects
        unsettled = table.filter(
            state__in=FINISHED,
            settled_pending=True,
            finished_at__lt=now - timedelta(seconds=settings.LEASE_SECONDS),
        )
        handled += sum(_call_settled(model, pk) for pk in unsettled.values_list("pk", flat=True))
        if not model.task_name:
            continue
        for job in table.unattended(now).filter(cancel_requested=True):
            handled += settle(job, JobState.CANCELLED, where=table.unattended(now))
        for job in table.abandoned(now).filter(attempts__gte=MAX_ATTEMPTS):
            handled += settle(job, JobState.FAILED, message=GIVEN_UP, where=table.abandoned(now))
        stale = table.claimable(now).filter(poked_at__lt=patience)
        if not queue_is_empty:
            # A waiting poke will find its row: more pokes for a long queue would only pile up.
            stale = stale.filter(state=JobState.RUNNING)
        for pk in stale.order_by("queued_at").values_list("pk", flat=True):
            table.filter(pk=pk).update(poked_at=now)
            handled += broker.poke(model.task_name, pk)
    return handled


def _poke_on_commit(job: Job) -> None:
    if job.task_name:
        transaction.on_commit(partial(broker.poke, job.task_name, job.pk), robust=True)


def _release(progress: Progress) -> None:
    """Give the job back to the queue, so that the next worker goes on at once."""
    now = timezone.now()
    if progress.mine().update(
        state=JobState.QUEUED,
        owner="",
        lease_until=None,
        attempts=0,
        queued_at=now,
        poked_at=now,
        version=F("version") + 1,
        **progress.counters(),
    ):
        _poke_on_commit(progress.job)


def _settle_held(progress: Progress, state: JobState, *, message: str = "") -> None:
    settle(progress.job, state, message=message, where=progress.mine(), **progress.counters())


def _call_settled(model: type[Job], pk: int) -> bool:
    """Run the hook of a finished job; it stays pending when it fails."""
    job = model.objects.filter(pk=pk, settled_pending=True).first()
    if job is None:
        return False
    try:
        job.settled()
    except Exception:
        log.exception("The settled hook of %s %s failed", job._meta.label, pk)
        return False
    model.objects.filter(pk=pk, version=job.version).update(settled_pending=False)
    return True
