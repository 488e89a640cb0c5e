"""What several workers do for one run, and whether they keep the server's limit together.

    python -m tests.benchmarks.workers            # about four minutes on two cores

A whole installation (PostgreSQL, Redis, clock) measures four benchmarks against the stub server,
with one worker process and with four. Once the server answers at once, so its processor time and
the portal's decide; once each answer takes ``DELAY``, so no more than limit ÷ ``DELAY`` answers a
second are possible. At last one of four workers is killed and the time taken until the server
has more requests at once than the places of the three others. The last line is one JSON object;
the command ends with 1 where the server ever had more requests at once than its limit, where an
answer is missing, or where the places of the killed worker stayed unused.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from tests.evals.killed.installation import Measuring
from tests.evals.stub_server import StubServer
from tests.services import postgresql, redis, wait_until

WORKERS = 4
DELAY = 0.2  # seconds a slow server takes for an answer
LEAVING = 1.0  # seconds after a kill in which the server may still work for the dead


@dataclass(frozen=True)
class Size:
    """Questions of each of the benchmarks, as many as workers, and the server's limit."""

    samples: int = 200
    limit: int = 8

    @property
    def questions(self) -> int:
        return WORKERS * self.samples


class Scene(Measuring):
    """An installation whose workers are processes of their own."""

    def __init__(self, size: Size, *given: Any) -> None:
        super().__init__(*given)
        self.size = size
        self.most = 0  # requests that the server had at once, over all runs

    def begin(self, delay: float) -> int:
        self.stub.reset(delay=delay)
        return self.do("again", name="disturbed", slug="wide")

    def over(self, run: int) -> None:
        """Wait for the end of ``run`` and see that nothing is missing."""
        self.ended(run, "done", 600)
        found = self.do("results", pk=run)
        assert len([sample for sample in found["samples"] if not sample[-1]]) == self.size.questions
        self.most = max(self.most, self.stub.counts()["most_open"])

    def rate(self, delay: float) -> float:
        """Answers a second, from the first request to the last."""
        run = self.begin(delay)
        self._wait_for(1)
        began = monotonic()
        self._wait_for(self.size.questions)
        seconds = monotonic() - began
        self.over(run)
        return round(self.size.questions / seconds, 1)

    def killed(self) -> float | None:
        """Seconds from a worker's death until others use its places; None: they never did."""
        run = self.begin(DELAY)
        self._wait_for(self.size.questions // 5)
        died = monotonic()
        self.kill(self._started.pop())
        sleep(LEAVING)
        theirs = self.size.limit - self.size.limit // WORKERS
        seconds = None
        while seconds is None and (now := self.stub.counts())["requests"] < self.size.questions:
            if now["open"] > theirs:
                seconds = round(monotonic() - died, 1)
            sleep(0.05)
        self.over(run)
        return seconds

    def _wait_for(self, requests: int) -> None:
        wait_until(lambda: self.stub.counts()["requests"] >= requests, "requests", 600)


@contextmanager
def scene(size: Size) -> Iterator[Scene]:
    with (
        StubServer() as stub,
        postgresql() as database,
        redis() as broker,
        tempfile.TemporaryDirectory(prefix="workers-") as folder,
        Scene(size, stub, Path(folder), database, broker) as made,
    ):
        made.do("widen", benchmarks=WORKERS, samples=size.samples, concurrency=size.limit)
        made.beat()
        yield made


def measure(size: Size) -> dict[str, Any]:
    found: dict[str, Any] = {
        "cores": os.cpu_count(),
        "questions": size.questions,
        "limit": size.limit,
        "possible_when_slow": size.limit / DELAY,
    }
    with scene(size) as made:
        for count in (1, WORKERS):
            while len(made._started) < 1 + count:  # the clock is one of them
                made.worker(1)
            made.over(made.begin(0.0))  # everything is loaded
            found[f"answers_per_second_{count}"] = made.rate(0.0)
            found[f"answers_per_second_{count}_slow"] = made.rate(DELAY)
            print(found, file=sys.stderr, flush=True)
        found["seconds_until_places_are_used"] = made.killed()
        found["lease_seconds"] = float(made.env["PORTAL_LEASE_SECONDS"])
        found["most_at_once"] = made.most
    return found


def kept(found: dict[str, Any]) -> bool:
    within = found["most_at_once"] <= found["limit"]
    return within and found["seconds_until_places_are_used"] is not None


def main() -> None:
    found = measure(Size())
    print(json.dumps(found))
    sys.exit(not kept(found))


if __name__ == "__main__":
    main()
