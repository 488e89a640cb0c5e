"""The API as scripts meet it: over HTTP, with a real web server, workers and a model server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.evals.killed.installation import Measuring
from tests.evals.stub_server import StubServer
from tests.real import ROOT
from tests.services import free_port, wait_until
from workers.processes import answers, web

pytestmark = pytest.mark.services


class Live:
    """An installation with a web server, and a key for it."""

    def __init__(self, made: Measuring) -> None:
        self.made, self.port = made, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = made.do("script", base_url=made.stub.base_url)
        made._start("web.log", web("127.0.0.1", self.port))
        wait_until(lambda: answers("127.0.0.1", self.port), "the site answers")

    def ask(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers |= {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v1{path}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@pytest.fixture
def live(stub: StubServer, tmp_path: Path) -> Iterator[Live]:
    with Measuring(stub, tmp_path) as made:
        yield Live(made)


def readme() -> str:
    """The script in README.md: the indented lines from its import on."""
    text = (ROOT / "README.md").read_text()
    (block,) = re.findall(r"^    import json.*\n(?:    .*\n)*", text, re.M)
    return textwrap.dedent(block)


def test_the_five_lines_of_the_readme_start_a_run_and_wait_for_it(live: Live) -> None:
    live.made.beat()
    live.made.worker()
    script = readme()
    assert len(script.splitlines()) == 5
    tell = 'print(json.dumps([run["state"], run["done"], run["overall"], len(run["scores"])]))'
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\n{tell}"],
        env=os.environ | {"PORTAL_URL": live.url, "PORTAL_KEY": live.key},
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    state, answered, overall, scores = json.loads(done.stdout)
    assert (state, answered, scores) == ("done", 16, 2)
    assert 0 < overall < 1


def test_a_refusal_says_why_with_the_line_of_the_readme(live: Live) -> None:
    lines = readme().replace("tiny-good", "Nobody").splitlines()
    (handler,) = re.findall(r"`(except web.*)` after", (ROOT / "README.md").read_text())
    script = "\n".join([*lines[:3], "try:", *(f"    {line}" for line in lines[3:]), handler])
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PORTAL_URL": live.url, "PORTAL_KEY": live.key},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "No model has this id or name" in done.stderr


def test_a_request_that_waits_ends_with_the_run_and_holds_no_thread(live: Live) -> None:
    _status, run = live.ask("/runs", {"candidate": "tiny-good", "suite": "demo"})
    path, ended = f"/runs/{run['id']}?wait=50", []
    waiting = [
        threading.Thread(target=lambda: ended.append(live.ask(path)[1]["state"])) for _ in range(60)
    ]
    for thread in waiting:
        thread.start()
    began = monotonic()
    assert live.ask(f"/runs/{run['id']}?wait=2")[1]["finished"] is False
    assert 1.5 < monotonic() - began < 15
    assert ended == []
    status, _ = live.ask(f"/runs/{run['id']}/cancel", {})
    assert status == 200
    for thread in waiting:
        thread.join(timeout=30)
    assert Counter(ended) == {"cancelled": 60}


def test_a_body_that_never_ends_is_cut_off(live: Live) -> None:
    connection = HTTPConnection("127.0.0.1", live.port, timeout=30)
    connection.putrequest("POST", "/api/v1/runs")
    connection.putheader("Authorization", f"Bearer {live.key}")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    block = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    sent = 0
    try:
        while sent < 64 * 2**20:
            connection.send(block)
            sent += 65536
    except OSError:
        pass  # closed on us
    answer = connection.getresponse()
    assert answer.status == 413
    assert json.load(answer)["status"] == 413
    assert sent < 64 * 2**20


def test_of_many_equal_requests_at_once_one_is_done(live: Live) -> None:
    together, found = threading.Barrier(8), []
    body = {"name": "Beech", "base_url": live.made.stub.base_url, "served_model": "stub"}

    def send() -> None:
        together.wait()
        found.append(live.ask("/candidates", body, **{"Idempotency-Key": "build-7"}))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = Counter(status for status, _ in found)
    assert set(statuses) <= {201, 409}, found
    assert len({made["id"] for status, made in found if status == 201}) == 1
    assert len(live.ask("/candidates?name=Beech")[1]["items"]) == 1


def test_an_export_comes_in_pieces(live: Live) -> None:
    live.made.beat()
    live.made.worker()
    live.made.undisturbed()
    (run,) = live.ask("/runs?state=done")[1]["items"]
    request = urllib.request.Request(
        f"{live.url}/api/v1/runs/{run['id']}/export",
        headers={"Authorization": f"Bearer {live.key}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        lines = [json.loads(line) for line in answer]
    assert len(lines) == run["done"] == 80
    assert "must consume" not in (live.made.folder / "web.log").read_text()
