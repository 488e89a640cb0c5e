"""The limit of an endpoint, shared by all workers that ask it, through the database.

Each part that asks holds ``Part.slots``: so many requests it may have in flight. Their sum over
the parts with a living lease is never above the endpoint's limit: slots are taken under a lock
of the endpoint's row, given back only once what is in flight fits the smaller number, and fall
free with the lease when a worker dies. Everybody aims at an equal share.

Where the limit is found automatically, the oldest part alone looks for it (`evals.llm.knee`):
several who did would take goodput from each other and each find that more is better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import NamedTuple

from asgiref.sync import sync_to_async
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from evals.llm import Gate, Knee
from evals.llm.knee import START
from evals.models import Endpoint, Part
from workers.models import JobState
from workers.progress import Progress

RENEWED = 1.0  # seconds between two looks
SOON = 0.2  # while somebody has more or less than an equal share


class Share(NamedTuple):
    """What one part may do.

    ``slots`` it holds and ``fair`` it should hold, out of ``most`` for all; ``level`` of them
    are to be used, ``use`` by this part. ``first``: it is the oldest; ``alone``: nobody else asks.
    """

    slots: int
    fair: int
    use: int
    level: int
    most: int
    first: bool
    alone: bool


def share(held: Mapping[int, int], mine: int, holding: int, most: int, level: int) -> Share:
    """The share of the part ``mine`` when each part has the slots that ``held`` tells.

    ``holding`` is what it cannot do without just now, at most its own slots. Of ``most`` and
    of ``level`` each part gets the same, the oldest one more where that does not work out.
    """
    order = sorted(held)
    number, count = order.index(mine), len(order)

    def portion(whole: int) -> int:
        return whole // count + (number < whole % count)

    level = max(1, min(level, most))
    free = most - sum(slots for part, slots in held.items() if part != mine)
    fair = portion(most)
    slots = max(holding, min(fair, free))
    use = min(portion(level), fair, slots)
    return Share(slots, fair, use, level, most, first=number == 0, alone=count == 1)


def at_once(parts: Iterable[Part]) -> int | None:
    """How many requests went to the endpoint at once, of all that asked it.

    Now, or in the part of ``parts`` that began last; None where nothing was asked yet.
    """
    told = [part for part in parts if part.at_once and part.started_at]
    working = [part for part in told if part.state == JobState.RUNNING]
    newest = max(working or told, key=attrgetter("started_at"), default=None)
    return newest.at_once if newest else None


class Slots:
    """The slots of one part that is being carried out; ``gate`` is for its client.

    ``servers`` answer for the endpoint, each of which takes the endpoint's concurrency.
    """

    def __init__(self, part: Part, progress: Progress, servers: int = 1) -> None:
        self.gate = Gate(0)
        self._part, self._progress, self._servers = part, progress, servers
        self._endpoint = Endpoint.objects.filter(candidate=part.run.candidate_id)
        self._promise = 0  # no more than this is in flight, or than was when it was given
        self._written: tuple[int, int] | None = None
        self._settled = False

    @property
    def pause(self) -> float:
        """Seconds until the next look."""
        return RENEWED if self._settled else SOON

    async def renew(self) -> None:
        """Take, use or give back what others leave or need, and tell them the limit found.

        Raises ``LeaseLost`` when another worker holds the part.
        """
        knee = self.gate.knee
        holding = max(self._promise, self.gate.in_flight)
        mine, adaptive = await sync_to_async(self._look)(holding, knee.limit if knee else None)
        if adaptive and mine.first:
            knee = knee or Knee(mine.most, mine.level)
            # Alone, the knee moves within all slots without asking anybody.
            knee.bound(mine.most, knee.limit if mine.alone else max(1, mine.use))
        else:
            knee = None
        self.gate.knee = knee
        self._promise = mine.slots if knee and mine.alone else mine.use
        self.gate.limit = self._promise
        self._settled = mine.slots == mine.fair

    def release(self) -> None:
        """Give all back, if this worker still holds the part, and leave the limit found."""
        knee = self.gate.knee
        told = {"at_once": knee.limit} if knee else {}
        if self._progress.mine().update(slots=None, **told) and knee:
            self._endpoint.update(found_concurrency=knee.limit)

    def _look(self, holding: int, found: int | None) -> tuple[Share, bool]:
        """The share now and whether the limit is to be found; locks only to change something."""
        if self._written:
            mine, adaptive = self._read(self._endpoint, holding, found)
            if (mine.slots, mine.level) == self._written:
                return mine, adaptive
        with transaction.atomic():
            mine, adaptive = self._read(self._endpoint.select_for_update(), holding, found)
            self._progress.fence()
            if adaptive and found and mine.first:
                self._endpoint.update(found_concurrency=mine.level)
            self._progress.mine().update(slots=mine.slots, at_once=mine.level)
        self._written = mine.slots, mine.level
        return mine, adaptive

    def _read(
        self, endpoint: QuerySet[Endpoint], holding: int, found: int | None
    ) -> tuple[Share, bool]:
        limit, adaptive, before = endpoint.values_list(
            "concurrency", "adaptive", "found_concurrency"
        ).get()
        asking = Part.objects.filter(
            run__candidate=self._part.run.candidate_id,
            state=JobState.RUNNING,
            lease_until__gt=timezone.now(),
            slots__isnull=False,
        )
        held = dict(asking.values_list("pk", "slots"))
        held[self._part.pk] = holding  # the row may hold what a dead worker had
        first = self._part.pk == min(held)
        level = (found if first else None) or before or START  # the oldest tells, others follow
        most = limit * self._servers
        return share(held, self._part.pk, holding, most, level if adaptive else most), adaptive
