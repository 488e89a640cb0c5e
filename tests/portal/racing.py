"""Two threads that do something at the same moment, each with its own connection."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Thread

from django.db import OperationalError, connections


def race(*runners: Callable[[], str]) -> list[str]:
    """What each runner returned, sorted.

    The tests' SQLite lives in memory, where a second writer is told "locked" at once instead
    of waiting as it does on disk: it tries again, as if it had waited.
    """
    start, outcomes = Barrier(len(runners)), []

    def run(runner: Callable[[], str]) -> None:
        start.wait()
        try:
            while True:
                try:
                    return outcomes.append(runner())
                except OperationalError as error:
                    if "locked" not in str(error):
                        raise
        finally:
            connections.close_all()

    threads = [Thread(target=run, args=[runner]) for runner in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return sorted(outcomes)
