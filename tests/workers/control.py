"""A process of an installation that does what a test asks: one JSON line in, one out."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from portal.accounts.models import Project  # noqa: E402
from tests.workers.app.models import Errand, Stop  # noqa: E402
from workers import jobs  # noqa: E402

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
    from datetime import timedelta

    from django.utils import timezone

    past = timezone.now() - timedelta(seconds=1)
    return Errand.objects.filter(pk__in=pks).update(lease_until=past)


def main() -> None:
    verbs = {
        f.__name__: f for f in (setup, enqueue, look, stops, cancel, resume, sweep, race, expire)
    }
    for line in sys.stdin:
        name, arguments = json.loads(line)
        answer = verbs[name](**arguments)
        connection.close_if_unusable_or_obsolete()
        print(json.dumps(answer), flush=True)


main()
