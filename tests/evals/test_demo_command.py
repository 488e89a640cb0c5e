"""``manage.py demo --endpoint … --once``, run as people and scripts run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.evals.stub_server import MODEL, StubServer
from tests.real import ROOT
from tests.services import free_port

pytestmark = pytest.mark.services


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "PORTAL_STARTED_AT")
    }
    command = [sys.executable, "manage.py", "demo", "--once", "--port", str(free_port())]
    return subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env=environment | {"PORTAL_DATA_DIR": str(folder), "PORTAL_BOOTSTRAP": "off"},
        capture_output=True,
        text=True,
        timeout=400,
    )


def report(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_second_start_keeps_the_results_and_asks_nothing_again(tmp_path: Path) -> None:
    with StubServer() as stub:
        first = demo(tmp_path, "--endpoint", stub.base_url)
        found = report(first)
        assert "password" in first.stdout
        (candidate,) = found["candidates"]
        assert candidate["name"] == MODEL
        assert len(candidate["scores"]) == 16
        for value, low, high, answered in candidate["scores"].values():
            assert low <= value <= high
            assert answered == 78
        assert found["samples"] == 16 * 78
        asked = sum(stub.asked(r"(?s)(.+)").values())
        again = demo(tmp_path, "--endpoint", stub.base_url)
        assert report(again)["candidates"] == found["candidates"]
        assert "with the password" not in again.stdout
        assert "manage.py person password admin" in again.stdout
        assert sum(stub.asked(r"(?s)(.+)").values()) == asked


def test_a_server_that_is_not_there_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{free_port()}/v1"
    done = demo(tmp_path, "--endpoint", address)
    assert done.returncode != 0
    assert address in done.stderr
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert str(tmp_path) not in running
