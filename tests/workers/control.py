"""A process of an installation that does what a test asks: one JSON line in, one out."""

from __future__ import annotations

import json
import sys
import threading
from datetime import timedelta
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from portal.accounts.models import Project  # noqa: E402
from tests.workers.app.models import Errand, Stop  # noqa: E402
from workers import jobs  # noqa: E402
from workers.progress import LeaseLost  # noqa: E402

FIELDS = ("state", "total", "done", "errors", "message", "attempts", "owner", "receipts", "version")


def setup() -> None:
    call_command("migrate", run_syncdb=True, verbosity=0, interactive=False)
    Project.objects.create(name="Tests")


def enqueue(**fields: Any) -> int:
    errand = Errand(project=Project.objects.get(), **fields)
    jobs.enqueue(errand)
    return errand.pk


def look(pk: int) -> dict[str, Any]:
    return Errand.objects.values(*FIELDS).get(pk=pk)


def stops(pk: int) -> list[int]:
    return list(Stop.objects.filter(errand=pk).order_by("index").values_list("index", flat=True))


def cancel(pk: int) -> bool:
    return jobs.cancel(Errand.objects.get(pk=pk))


def resume(pk: int) -> bool:
    return jobs.resume(Errand.objects.get(pk=pk))


def sweep() -> int:
    return jobs.sweep()


def race(pks: list[int], racers: int) -> list[int]:
    """How many of ``racers`` threads got each of the jobs, all starting at once."""
    wins = dict.fromkeys(pks, 0)
    counting = threading.Lock()
    start = threading.Barrier(racers)

    def run() -> None:
        start.wait()
        for pk in pks:
            if jobs.claim(Errand, pk):
                with counting:
                    wins[pk] += 1
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(racers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(wins.values())


def expire(pks: list[int]) -> int:
    past = timezone.now() - timedelta(seconds=1)
    return Errand.objects.filter(pk__in=pks).update(lease_until=past)


def fence_against_claim(pk: int) -> dict[str, bool]:
    """Fence a job whose lease has just expired; a rival claims before the commit."""
    progress = jobs.claim(Errand, pk)
    expire([pk])
    claims: list[bool] = []

    def rival() -> None:
        claims.append(jobs.claim(Errand, pk) is not None)
        connection.close()

    thread = threading.Thread(target=rival)
    with transaction.atomic():
        progress.fence()
        thread.start()
        thread.join(timeout=1)  # it waits for our transaction, or has been refused
        Stop.objects.create(errand=progress.job, index=0)
    thread.join()
    return {"claimed": claims[0], "stored": stops(pk) == [0]}


def write_without_lease(pk: int) -> str:
    """Another worker took over; the old one now tries to store a result."""
    old = jobs.claim(Errand, pk)
    expire([pk])
    jobs.claim(Errand, pk)
    try:
        with transaction.atomic():
            old.fence()
            Stop.objects.create(errand=old.job, index=0)
    except LeaseLost as error:
        return type(error).__name__
    return "stored"


VERBS = (
    *(setup, enqueue, look, stops, cancel, resume, sweep),
    *(race, expire, fence_against_claim, write_without_lease),
)


def main() -> None:
    verbs = {verb.__name__: verb for verb in VERBS}
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(verbs[name](**arguments)), flush=True)


main()
