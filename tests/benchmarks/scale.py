"""A suite of many samples on one worker: the memory it takes, and how fast it goes.

    .venv/bin/python -m tests.benchmarks.scale                      # 20,000 and 200,000
    .venv/bin/python -m tests.benchmarks.scale --documents 500 2000  # to see that it works

For each size a new installation on SQLite with one worker process, as ``manage.py up`` starts it,
measures against the server that answers at once (``instant``). ``peak_mb`` is the most memory
that the process ever held, from its start to the finished leaderboard; ``seconds`` is from the
claim of the job to its scores. The last line is one JSON object; ``peak_ratio`` is the peak of
the biggest size by that of the smallest.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import datetime
from pathlib import Path
from time import sleep
from typing import Any, Self

from tests.benchmarks import client
from tests.benchmarks.cost import peak_mb
from tests.workers.installation import ROOT, Installation

SIZES = (20_000, 200_000)
LOOK_SECONDS = 1.0
QUIET_SECONDS = 5.0  # without work, after which a worker has done all there is
ACTIVE = ("queued", "running")


class Big(Installation):
    """One run of many questions, and the worker that carries it out."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.env["DJANGO_SETTINGS_MODULE"] = "portal.settings"
        for name in ("PORTAL_LEASE_SECONDS", "PORTAL_SWEEP_SECONDS"):  # as they are by default
            del self.env[name]
        self._database = folder / "portal.sqlite3"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, url: str, scoring: str, documents: int) -> None:
        asked = ("--url", url, "--scoring", scoring, "--documents", str(documents))
        command = [sys.executable, "-m", "tests.benchmarks.scale_start", *asked]
        concurrency = ("--concurrency", str(client.CONCURRENCY))
        subprocess.run([*command, *concurrency], cwd=ROOT, env=self.env, check=True)

    def part(self) -> dict[str, Any]:
        return self._one("SELECT * FROM evals_part")

    def stored(self) -> int:
        """Samples with an answer."""
        return int(self._one("SELECT count(*) AS n FROM evals_sample WHERE error = ''")["n"])

    def _one(self, asked: str) -> dict[str, Any]:
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as found:
            found.row_factory = sqlite3.Row
            return dict(found.execute(asked).fetchone())

    def size_mb(self) -> float:
        return sum(path.stat().st_size for path in self.folder.glob("portal.sqlite3*")) / 2**20


def pool_process(worker: int) -> int:
    """The process that does the jobs of the worker with the process id ``worker``."""
    (child,) = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
    return int(child)


def processor_ticks(process: int) -> int:
    after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(after_name[11]) + int(after_name[12])


def measure(url: str, scoring: str, documents: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="scale-") as folder, Big(Path(folder)) as big:
        big.start(url, scoring, documents)
        worker = big.worker(1)
        while (part := big.part())["state"] in ACTIVE:
            if worker.poll() is not None:
                raise SystemExit(f"The worker has ended:\n{big.log()[-3000:]}")
            sleep(LOOK_SECONDS)
            show(f"{part['done']} of {documents}")
        if (part["state"], big.stored()) != ("done", documents):
            raise SystemExit(f"{part['state']}: {part['message']}\n{big.log()[-3000:]}")
        process, before = pool_process(worker.pid), -1
        while (ticks := processor_ticks(process)) - before > 1:
            before = ticks
            sleep(QUIET_SECONDS)
        began, ended = (datetime.fromisoformat(part[at]) for at in ("started_at", "finished_at"))
        seconds = (ended - began).total_seconds()
        return {
            "stored": big.stored(),
            "peak_mb": round(peak_mb(process), 1),
            "seconds": round(seconds, 1),
            "samples_per_second": round(documents / seconds, 1),
            "attempts": part["attempts"],
            "database_mb": round(big.size_mb(), 1),
        }


def show(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:40}", end="", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, nargs="+", default=SIZES)
    parser.add_argument("--scoring", choices=("options", "letter"), default="letter")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder, client.instant(Path(folder)) as bench:
        for documents in sorted(given.documents):
            rows.append(measure(bench.server, given.scoring, documents))
            print(f"\r{rows[-1]}", flush=True)
    ratio = round(rows[-1]["peak_mb"] / rows[0]["peak_mb"], 3)
    print(json.dumps({"scoring": given.scoring, "sizes": rows, "peak_ratio": ratio}))


if __name__ == "__main__":
    main()
