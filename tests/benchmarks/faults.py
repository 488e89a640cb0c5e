"""What a run loses when something breaks under it: ``python -m tests.benchmarks.faults``.

A whole installation (PostgreSQL, Redis, clock, a worker of two processes) measures against the
stub server, once undisturbed and once for each fault. Prints a table; the last line is one
JSON object. ``lost``: samples without an answer at the end; ``duplicates``: stored twice;
``again``: requests for something that had been asked before, which costs time only.
"""

from __future__ import annotations

import argparse
import json
import signal
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from tests.evals.killed.installation import PARTS, QUESTION, SAMPLES, Measuring
from tests.evals.stub_server import StubServer
from tests.services import free_port, postgresql, program, redis, stopped, wait_until
from workers import processes

AWAY_SECONDS = 20.0
SHORT_SECONDS = 5.0
DELAY = 0.15  # seconds the server takes, so that every fault finds requests in flight


class Scene(Measuring):
    """An installation with a worker to kill, and the processes of its services."""

    def begin(self) -> None:
        self.beat()
        self.busy = self.worker(PARTS)

    def web(self) -> int:
        """Start the site; its port."""
        port = free_port()
        self.site = self._start("web.log", processes.web("127.0.0.1", port))
        wait_until(lambda: processes.answers("127.0.0.1", port), "the site answers")
        return port

    def some_answers(self) -> None:
        """Wait until the run is well under way."""
        wait_until(lambda: self.stub.counts()["requests"] >= PARTS * SAMPLES // 4, "requests", 120)


def storm(scene: Scene) -> None:
    scene.stub.reset(after=0, kind="429", retry_after="1", delay=DELAY)
    sleep(AWAY_SECONDS / 2)
    scene.stub.reset(delay=DELAY)


def errors(scene: Scene) -> None:
    scene.stub.reset(every=20, kind="500", delay=DELAY)


def stall(scene: Scene) -> None:
    scene.stub.reset(every=75, kind="stall", delay=DELAY)


def cut(scene: Scene) -> None:
    scene.stub.reset(every=10, kind="cut", delay=DELAY)


def server_restart(scene: Scene) -> None:
    scene.some_answers()
    scene.stub.__exit__()
    sleep(AWAY_SECONDS)
    scene.stub.__enter__()


def database_restart(scene: Scene) -> None:
    import psycopg

    scene.some_answers()
    with psycopg.connect(scene.env["DATABASE_URL"]) as connection:
        (folder,) = connection.execute("SHOW data_directory").fetchone() or ("",)
    pid = int(Path(folder, "postmaster.pid").read_text().split()[0])
    with stopped(pid, signal.SIGINT):
        sleep(SHORT_SECONDS)
    wait_until(lambda: _takes_queries(scene.env["DATABASE_URL"]), "the database answers")


def _takes_queries(url: str) -> bool:
    import psycopg

    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def broker_restart(scene: Scene) -> None:
    import redis

    scene.some_answers()
    told = redis.from_url(scene.env["PORTAL_BROKER_URL"]).info("server")
    argv = [program("redis-server"), "--port", str(told["tcp_port"]), "--bind", "127.0.0.1"]
    with stopped(told["process_id"], signal.SIGKILL, [*argv, "--save", ""]):
        sleep(SHORT_SECONDS)


def worker_killed(scene: Scene) -> None:
    for _ in range(2):
        scene.some_answers()
        scene.kill(scene.busy)
        scene.busy = scene.worker(PARTS)


def web_killed(scene: Scene) -> None:
    for _ in range(2):
        port = scene.web()
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30).close()
        scene.kill(scene.site)


FAULTS: dict[str, tuple[str, Callable[[Scene], None]]] = {
    "storm": (f"429 for everything, {AWAY_SECONDS / 2:.0f} s", storm),
    "errors": ("HTTP 500 for 5 %", errors),
    "stall": ("answer that stops half-way and hangs", stall),
    "cut": ("truncated JSON for 10 %", cut),
    "server": (f"server away for {AWAY_SECONDS:.0f} s", server_restart),
    "database": (f"database away for {SHORT_SECONDS:.0f} s", database_restart),
    "broker": (f"broker killed, away for {SHORT_SECONDS:.0f} s", broker_restart),
    "worker": ("kill -9 of the worker, twice", worker_killed),
    "web": ("kill -9 of the site, twice", web_killed),
}


def measure(scene: Scene, fault: str, undisturbed: dict[str, Any]) -> dict[str, Any]:
    """Start a run, let ``fault`` happen and see what is missing in the end."""
    scene.stub.reset(delay=DELAY)
    started = monotonic()
    run = scene.do("again", name="disturbed")
    FAULTS[fault][1](scene)
    scene.ended(run, "done", 600)
    found = scene.do("results", pk=run)
    kept = [tuple(sample[:2]) for sample in found["samples"] if not sample[-1]]
    asked = scene.stub.asked(QUESTION)
    return {
        "fault": fault,
        "lost": PARTS * SAMPLES - len(set(kept)),
        "duplicates": len(kept) - len(set(kept)),
        "scores_equal": found == undisturbed,
        "again": sum(times - 1 for times in asked.values()),
        "seconds": round(monotonic() - started, 1),
    }


@contextmanager
def scene() -> Iterator[Scene]:
    with (
        StubServer() as stub,
        postgresql() as database,
        redis() as broker,
        tempfile.TemporaryDirectory(prefix="faults-") as folder,
        Scene(stub, Path(folder), database, broker) as made,
    ):
        made.begin()
        yield made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=FAULTS, default=list(FAULTS))
    chosen = parser.parse_args().only
    rows = []
    with scene() as made:
        undisturbed = made.undisturbed()
        print(f"{'fault':<42}{'lost':>6}{'twice':>7}{'equal':>7}{'again':>7}{'seconds':>9}")
        for fault in chosen:
            row = measure(made, fault, undisturbed)
            rows.append(row)
            equal = "yes" if row["scores_equal"] else "NO"
            print(
                f"{FAULTS[fault][0]:<42}{row['lost']:>6}{row['duplicates']:>7}{equal:>7}"
                f"{row['again']:>7}{row['seconds']:>9}",
                flush=True,
            )
    total = {
        "samples": PARTS * SAMPLES,
        "lost": sum(row["lost"] for row in rows),
        "duplicates": sum(row["duplicates"] for row in rows),
        "scores_equal": all(row["scores_equal"] for row in rows),
        "faults": rows,
    }
    print(json.dumps(total))


if __name__ == "__main__":
    main()
