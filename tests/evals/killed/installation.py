"""An installation of the whole portal whose workers measure against the stub server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests.evals.stub_server import StubServer
from tests.services import wait_until
from tests.workers.installation import ROOT, Installation

CONCURRENCY = 4
PARTS = 2  # one choice and one answer benchmark, both running at once
SAMPLES = 40  # of each part
QUESTION = r"((?:choice|answer) No \d+)"


class Measuring(Installation):
    def __init__(
        self, stub: StubServer, folder: Path, database_url: str = "", broker_url: str = ""
    ) -> None:
        super().__init__(folder, database_url, broker_url)
        self.stub = stub
        self.env |= {"DJANGO_SETTINGS_MODULE": "portal.settings", "PORTAL_LEASE_SECONDS": "6"}

    def __enter__(self) -> Self:
        self._control = subprocess.Popen(
            [sys.executable, "-m", "tests.evals.killed.control"],
            cwd=ROOT,
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.do("setup", base_url=self.stub.base_url, samples=SAMPLES, concurrency=CONCURRENCY)
        return self

    def ended(self, run: int, state: str, seconds: float = 240.0) -> float:
        """Wait for the end of ``run``; the seconds it took. Fails when it ends otherwise."""

        def over() -> bool:
            found = self.do("look", pk=run)
            assert found["state"] in ("queued", "running", state), (found, self.log()[-3000:])
            return found["state"] == state

        return wait_until(over, f"run {run} {state}", seconds)

    def due_no_more(self, schedule: int) -> None:
        wait_until(lambda: not self.do("fired", pk=schedule)["due"], "a schedule started", 120)

    def undisturbed(self) -> dict[str, Any]:
        """What a run finds that nobody disturbs."""
        run = self.do("start", name="undisturbed")
        self.ended(run, "done")
        found = self.do("results", pk=run)
        assert len(found["samples"]) == PARTS * SAMPLES
        assert not [sample for sample in found["samples"] if sample[-1]]
        return found

    def tell(self, **facts: Any) -> None:
        """Print the figures of a scenario, for ``pytest -rP``."""
        print(json.dumps(facts))
