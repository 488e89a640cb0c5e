"""Ask on through the absence of a server: wait for it, then ask again what failed meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import aclosing
from time import monotonic

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_noop

from evals.compact import Places
from evals.engines import Outcome
from evals.llm import EndpointSpec
from evals.llm.presence import absence
from evals.storable import clean
from workers.progress import JobError, Progress

PATIENCE = 16  # failed samples in a row, beyond the concurrency, before a part gives up
SUSPICIOUS = 3  # failed samples in a row after which it is looked whether the server is there
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds between two looks
REASON_LIMIT = 500
# Kinds of failure that say the server is away, not that it dislikes one prompt.
SERVER_AWAY = {"connection", "timeout", "rate limited", "server error", "unauthorised"}
# Those that pass by themselves: such a sample is asked once more at the end.
PASSING = {"connection", "rate limited", "server error", "malformed reply"}
GONE = gettext_noop("Too many samples failed in a row. The server's last error:")
AWAY = gettext_noop("The server has not come back in time. Resume the run when it answers again.")

Ask = Callable[[Collection[int]], AsyncIterator[list[Outcome]]]


class ServerGone(JobError):
    """The server answers no more; what is answered is kept and the run can be resumed."""


async def patiently(
    ask: Ask, spec: EndpointSpec, progress: Progress, skip: Collection[int], total: int
) -> AsyncIterator[list[Outcome]]:
    """The batches of ``ask(skip)``; what failed for a passing reason is asked once more.

    While the server is away nothing new is asked, for no longer than
    ``SERVER_WAIT_SECONDS``. Raises ``ServerGone`` then, and when ``PATIENCE`` is at its end.
    """
    held = Places()
    async for batch in _watched(ask(skip), spec, progress):
        held.update(outcome.doc_id for outcome in batch if outcome.error_kind in PASSING)
        yield [outcome for outcome in batch if outcome.doc_id not in held]
    if held:
        rest = Places(place for place in range(total) if place not in held)
        async for batch in _watched(ask(rest), spec, progress):
            yield batch


async def _watched(
    batches: AsyncIterator[list[Outcome]], spec: EndpointSpec, progress: Progress
) -> AsyncIterator[list[Outcome]]:
    """``batches`` as they come; not asking for the next one is what stops new requests."""
    in_a_row = 0
    async with aclosing(batches) as source:
        async for batch in source:
            yield batch
            for outcome in batch:
                in_a_row = in_a_row + 1 if outcome.error_kind in SERVER_AWAY else 0
            if in_a_row < SUSPICIOUS:
                continue
            if reason := await absence(spec):
                await _until_back(spec, progress, reason)
                in_a_row = 0
            elif in_a_row >= PATIENCE + spec.concurrency:
                raise ServerGone(f"{GONE}\n{batch[-1].error}")


async def _until_back(spec: EndpointSpec, progress: Progress, reason: str) -> None:
    """Look again and again until the server answers; the part's row tells of it meanwhile."""
    end, pause = monotonic() + settings.SERVER_WAIT_SECONDS, FIRST_PAUSE
    await sync_to_async(tell)(progress, reason)
    while reason:
        if monotonic() >= end:
            raise ServerGone(f"{AWAY}\n{reason}")
        await asyncio.sleep(min(pause, max(0.0, end - monotonic())))
        pause = min(2 * pause, LONGEST_PAUSE)
        reason = await absence(spec)
    await sync_to_async(tell)(progress, "")


def tell(progress: Progress, reason: str) -> None:
    """Write into the part's row that the server is waited for and why; "": no more."""
    since = timezone.now() if reason else None
    progress.mine().exclude(waiting_since=since).update(
        waiting_since=since, waiting_for=clean(reason)[:REASON_LIMIT], version=F("version") + 1
    )
