"""``manage.py up`` as a person runs it: one command, one log, Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from tests.services import free_port, wait_until

pytestmark = pytest.mark.services
ROOT = Path(__file__).resolve().parents[2]


def command(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    env = {
        **os.environ,
        "PORTAL_DATA_DIR": str(folder),
        "DATABASE_URL": f"sqlite:///{folder / 'portal.sqlite3'}",
        "PORTAL_BROKER_URL": f"embedded://{folder / 'broker'}",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
    }
    log = (folder / "log").open("a")
    with log:
        return subprocess.Popen(
            [sys.executable, "-m", "django", "up", *arguments],
            cwd=ROOT, env=env, stdout=log, stderr=log, text=True, start_new_session=True,
        )  # fmt: skip


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "log"


def test_it_serves_with_worker_and_beat_and_leaves_nothing(tmp_path: Path, log: Path) -> None:
    port = free_port()
    up = command(tmp_path, "--port", str(port), "--workers", "1")
    try:
        seconds = wait_until(lambda: "runs at" in log.read_text(), "the portal runs", 120)
        print(f"up after {seconds:.1f} s")
        assert len(re.findall(r"password \S+ \(shown once\)", log.read_text())) == 1
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=20) as answer:
            assert answer.status == 200
        wait_until(lambda: "ready." in log.read_text(), "the worker is ready")
        up.send_signal(signal.SIGINT)
        start = monotonic()
        assert up.wait(timeout=40) == 0
        print(f"down after {monotonic() - start:.1f} s")
    finally:
        up.kill()
        up.wait()
    assert not processes_with(str(tmp_path))


def test_it_says_that_the_port_is_taken(tmp_path: Path, log: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert command(tmp_path, "--port", str(port)).wait(timeout=60) == 1
    assert f"Port {port} of 127.0.0.1 is taken" in log.read_text()
    assert f"--port {port + 1}" in log.read_text()


def processes_with(text: str) -> list[int]:
    """Living processes whose environment holds ``text``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if text.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
