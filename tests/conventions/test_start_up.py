"""The web process starts light: heavy libraries are for workers, inside functions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.conventions.tree import ROOT, python
from tests.services import free_port, wait_until
from workers.processes import answers, web

HEAVY = ["lm_eval", "torch", "transformers", "datasets", "pandas", "argilla", "langfuse", "openai"]
MEMORY_MIB = 160  # measured: 88 MiB on Python 3.11; above this something heavy has crept in

# What a web process loads: the ASGI application, every URL with its view, a page.
START = """
import json, sys
import django
django.setup()
import portal.asgi
from django.urls import get_resolver
from django.test import Client

def walk(patterns):
    return sum(walk(p.url_patterns) if hasattr(p, "url_patterns") else 1 for p in patterns)

addresses = walk(get_resolver().url_patterns)
page = Client(headers={"host": "localhost"}).get("/accounts/login/")
loaded = sorted({name.split(".")[0] for name in sys.modules})
print(json.dumps({"addresses": addresses, "status": page.status_code, "loaded": loaded}))
"""


def test_starting_the_site_loads_no_heavy_library(tmp_path: Path) -> None:
    # PORTAL_DEBUG: static files by their plain names, which need no collectstatic.
    found = python(
        "-c", START, data=tmp_path, DJANGO_SETTINGS_MODULE="portal.settings", PORTAL_DEBUG="1"
    )
    assert found.returncode == 0, found.stderr
    report = json.loads(found.stdout.splitlines()[-1])
    assert report["status"] == 200
    assert report["addresses"] > 20
    assert not set(HEAVY) & set(report["loaded"])


@pytest.mark.services
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_web_process_stays_small(tmp_path: Path, record_property: object) -> None:
    with site(tmp_path) as (process, address):
        for path in ("/healthz", "/accounts/login/", "/static/ui/portal.css"):
            with urlopen(address + path, timeout=30) as page:
                assert page.status == 200
        resident = memory_mib(process.pid)
    print(f"web process after its first pages: {resident:.0f} MiB resident")
    record_property("web_process_mib", resident)  # type: ignore[operator]
    assert resident < MEMORY_MIB


@pytest.mark.services
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_requests_leave_no_connection_behind(tmp_path: Path) -> None:
    """Under ASGI every request has a thread, and every thread a connection of its own."""
    with site(tmp_path) as (process, address):
        for _ in range(25):
            with suppress(HTTPError):  # 503 as long as nothing is migrated; it asks all the same
                urlopen(address + "/readyz", timeout=30).close()
        # The last request may still be closing its own when its answer has been read.
        wait_until(lambda: connections(process.pid) <= 3, "all but a few connections are closed")


@contextmanager
def site(data: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The site as ``manage.py up`` starts it, on a port and a database of its own."""
    port = free_port()
    environment = os.environ | {
        "PORTAL_DATA_DIR": str(data),
        "DATABASE_URL": f"sqlite:///{data / 'portal.sqlite3'}",
        "PORTAL_DEBUG": "1",
    }
    process = subprocess.Popen(web("127.0.0.1", port), cwd=ROOT, env=environment)
    try:
        wait_until(lambda: answers("127.0.0.1", port), "the site answers")
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def connections(pid: int) -> int:
    """How many handles on its database a process has open."""
    found = 0
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            found += "portal.sqlite3" in os.readlink(each)
    return found


def memory_mib(pid: int) -> float:
    """Resident memory of a process in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
