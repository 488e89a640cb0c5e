"""What a job's body reports to, and how it learns that it must stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db.models import F
from django.utils import timezone

from workers import shutdown
from workers.models import Job, JobQuerySet

BEAT_SECONDS = 1.0  # at most one write a second and job
LOOK_SECONDS = 0.5  # between looks at the cancel flag while work is awaited
T = TypeVar("T")


class Interrupted(Exception):
    """The body must stop now; what it has stored stays."""


class Cancelled(Interrupted):
    """A person cancelled the job."""


class LeaseLost(Interrupted):
    """Another worker owns the job: nothing may be written any more."""


class Stopping(Interrupted):
    """The worker is shutting down; the job goes back to the queue."""


class JobError(Exception):
    """Why a job cannot go on, in words for people; shown as they are."""


class JobStopped(Exception):
    """The job stops by a rule of its own, such as a budget; the text says which and what to do."""


class Progress:
    """The hold of one worker on one job; made by ``jobs.claim`` alone.

    Not for several threads: call it from the thread that runs the body, at least
    every second or so, or the lease (``LEASE_SECONDS``) runs out.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self._token = job.owner
        self._next_beat = monotonic()
        self._changed = False

    def begin(self, *, total: int | None, done: int = 0, errors: int = 0) -> None:
        """Set the counters to what earlier attempts have stored already."""
        self.job.total, self.job.done, self.job.errors = total, done, errors
        self.job.done_before = done
        self._changed = True
        self.beat(force=True)

    def advance(self, done: int = 0, errors: int = 0, total: int | None = None) -> None:
        """Count in memory; ``beat`` writes."""
        self.job.done += done
        self.job.errors += errors
        if total is not None:
            self.job.total = total
        self._changed = True

    def beat(self, force: bool = False) -> None:
        """Extend the lease and write the counters, at most once a second.

        Raises ``Cancelled``, ``LeaseLost`` or ``Stopping``.
        """
        if shutdown.announced():
            raise Stopping
        if not force and monotonic() < self._next_beat:
            return
        changes: dict[str, Any] = {}
        if self._changed:  # a job that gets on has not made its worker vanish
            changes = self.counters() | {"version": F("version") + 1, "attempts": 0}
        held = self.mine().filter(cancel_requested=False)
        if not held.update(lease_until=lease_end(), **changes):
            raise Cancelled if self.mine().exists() else LeaseLost
        self._changed = False
        self._next_beat = monotonic() + BEAT_SECONDS

    def fence(self) -> None:
        """Make sure, inside the transaction that stores results, that the job is ours.

        The update locks the row until the transaction ends, so no other worker
        can claim the job between this check and the commit. Raises ``LeaseLost``.
        """
        if not self.mine().update(lease_until=lease_end()):
            raise LeaseLost

    def mine(self) -> JobQuerySet:
        """The job's row, if this worker still holds it."""
        return type(self.job).objects.filter(pk=self.job.pk, owner=self._token)

    def counters(self) -> dict[str, int | None]:
        return {
            name: getattr(self.job, name) for name in ("total", "done", "done_before", "errors")
        }


async def alongside(work: Coroutine[Any, Any, T], progress: Progress) -> T:
    """The result of ``work``, with lease and cancel flag looked after meanwhile.

    To be called through ``async_to_sync``: the database work then stays on the calling
    thread and its connection. ``work`` is cancelled when the job is to stop.
    """

    return await beside(work, sync_to_async(progress.beat), lambda: LOOK_SECONDS)


async def beside(
    work: Coroutine[Any, Any, T],
    look: Callable[[], Awaitable[None]],
    pause: Callable[[], float],
) -> T:
    """The result of ``work``, with ``look`` called after each ``pause()`` seconds meanwhile.

    What ``look`` raises cancels ``work`` and is raised.
    """

    async def keep_looking() -> None:
        while True:
            await asyncio.sleep(pause())
            await look()

    working, looking = asyncio.create_task(work), asyncio.create_task(keep_looking())
    try:
        await asyncio.wait([working, looking], return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else looking.result()  # type: ignore[return-value]
    finally:
        for task in (working, looking):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


def lease_end() -> datetime:
    """When a lease taken now runs out. Clocks of several worker machines must agree."""
    return timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)
