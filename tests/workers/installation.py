"""A whole installation in a folder: database, broker, and worker processes to kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Self

from tests.services import wait_until
from workers import processes
from workers.supervisor import dies_with

ROOT = Path(__file__).resolve().parents[2]
LEASE_SECONDS, SWEEP_SECONDS = 2, 1


class Installation:
    """Its verbs run in a process of their own: ``installation.do("enqueue", items=3)``."""

    def __init__(self, folder: Path, database_url: str = "", broker_url: str = "") -> None:
        self.folder = folder
        self.env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.workers.settings",
            "PORTAL_DATA_DIR": str(folder),
            "DATABASE_URL": database_url or f"sqlite:///{folder / 'portal.sqlite3'}",
            "PORTAL_BROKER_URL": broker_url or f"embedded://{folder / 'broker'}",
            "PORTAL_LEASE_SECONDS": str(LEASE_SECONDS),
            "PORTAL_SWEEP_SECONDS": str(SWEEP_SECONDS),
        }
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._control = subprocess.Popen(
            [sys.executable, "-m", "tests.workers.control"],
            cwd=ROOT, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.do("setup")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        assert self._control.stdin
        self._control.stdin.close()
        self._control.wait(timeout=20)
        assert self._control.stdout
        self._control.stdout.close()

    def stop(self) -> None:
        """Kill the workers and the clock; database and broker stay."""
        while self._started:
            self.kill(self._started.pop())

    def do(self, verb: str, **arguments: Any) -> Any:
        assert self._control.stdin and self._control.stdout
        self._control.stdin.write(json.dumps([verb, arguments]) + "\n")
        self._control.stdin.flush()
        return json.loads(self._control.stdout.readline())

    def state(self, pk: int) -> str:
        return self.do("look", pk=pk)["state"]

    def wait_for(self, pk: int, state: str, seconds: float = 60.0) -> float:
        return wait_until(lambda: self.state(pk) == state, f"job {pk} {state}", seconds)

    def asked(self, pk: int) -> Counter[int]:
        """How often each item of a job was begun, over all attempts."""
        return Counter(int(line) for line in (self.folder / f"asked-{pk}").read_text().split())

    def worker(self, count: int = 2) -> subprocess.Popen[bytes]:
        return self._start("worker.log", processes.worker(count))

    def beat(self, name: str = "beat") -> subprocess.Popen[bytes]:
        return self._start(f"{name}.log", processes.beat(self.folder / name / "schedule"))

    @staticmethod
    def kill(process: subprocess.Popen[bytes]) -> None:
        """kill -9 of the process and all of its group."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def log(self) -> str:
        return (self.folder / "worker.log").read_text()

    def _start(self, log: str, argv: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / log).open("ab") as file:
            process = subprocess.Popen(
                argv, cwd=ROOT, env=self.env, stdout=file, stderr=file, start_new_session=True,
                preexec_fn=dies_with(os.getpid()),
            )  # fmt: skip
        self._started.append(process)
        return process
