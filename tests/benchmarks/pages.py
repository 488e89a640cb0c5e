"""How long the pages of a big project take on the server.

    .venv/bin/python -m tests.benchmarks.pages                 # SQLite, 50 × 50 × 500
    .venv/bin/python -m tests.benchmarks.pages --postgresql
    .venv/bin/python -m tests.benchmarks.pages --candidates 5 --benchmarks 10 --samples 50

Seeds a database that is kept in ``--folder`` (SQLite; made once per size) or a temporary
PostgreSQL, starts a real uvicorn on it, signs in and asks for each page again and again, one
request at a time. Milliseconds are taken in the outermost middleware. Exits with 1 when a 95th
percentile exceeds ``--limit``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from itertools import cycle
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from tests import services
from tests.benchmarks.seed import PASSWORD, Size, add_size_options, prepare

ROOT = Path(__file__).resolve().parents[2]
LIMIT_MS = 100.0
WARM_UP = 3


class Reply(NamedTuple):
    """Milliseconds on the server (wall, processor) and at the client; database queries; bytes."""

    server: float
    cpu: float
    client: float
    queries: int
    size: int


class Browser:
    """A person who is signed in; one request at a time."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._jar = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._jar))

    def sign_in(self, name: str, password: str) -> None:
        url = f"{self.base}/accounts/login/"
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self._open(url)[0])
        form = {"username": name, "password": password, "next": "/"}
        data = urllib.parse.urlencode(form | {"csrfmiddlewaretoken": token[1]}).encode()
        self._opener.open(urllib.request.Request(url, data, {"Referer": url})).read()
        if not any(cookie.name == "sessionid" for cookie in self._jar):
            raise SystemExit("The person of the benchmark could not sign in.")

    def ask(self, path: str) -> Reply:
        start = perf_counter()
        text, headers = self._open(self.base + path)
        client = 1000 * (perf_counter() - start)
        told = dict(re.findall(r"(\w+);dur=([\d.]+)", headers["Server-Timing"]))
        return Reply(
            float(told["all"]), float(told["cpu"]), client, int(told["queries"]), len(text)
        )

    def _open(self, url: str) -> tuple[str, Any]:
        with self._opener.open(url) as response:
            return response.read().decode(), response.headers


def pages() -> dict[str, list[str]]:
    """Addresses of each kind of page, several where the objects differ."""
    from django.urls import NoReverseMatch, reverse

    from evals.models import Benchmark, Candidate, Run, Sample, Suite

    suite = Suite.objects.get(slug="wide")
    runs = list(Run.objects.filter(suite=suite).order_by("pk"))[:12]
    models = list(Candidate.objects.filter(project=suite.project).order_by("pk"))[:12]
    language = Benchmark.objects.filter(suite=suite).order_by("position")[0].language
    samples = [
        Sample.objects.filter(part__run=run, doc_id=number * 3).first()
        for number, run in enumerate(runs)
    ]
    board = reverse("evals:board", args=[suite.slug])
    found = {
        "home": ["/"],
        "leaderboard": [board],
        "leaderboard, one language": [f"{board}?language={language}"],
        "leaderboard, all benchmarks": [f"{board}?columns=benchmarks"],
        "runs": [reverse("evals:runs")],
        "run": [run.get_absolute_url() for run in runs],
        "run, samples page 300": [f"{run.get_absolute_url()}?page=300" for run in runs],
        "run, wrong only, page 3": [f"{run.get_absolute_url()}?show=wrong&page=3" for run in runs],
        "sample": [reverse("evals:sample", args=[s.part.run_id, s.pk]) for s in samples if s],
        "models": [reverse("evals:candidates")],
        "model": [model.get_absolute_url() for model in models],
        "suites": [reverse("evals:suites")],
        "suite": [suite.get_absolute_url()],
        "new run, 12 models": [
            f"{reverse('evals:run_new')}?suite={suite.pk}&"
            + urllib.parse.urlencode([("model", model.pk) for model in models])
        ],
        "activity": [reverse("workers:activity")],
    }
    try:
        compare = reverse("evals:compare")
    except NoReverseMatch:
        return found
    for count in (2, 4):
        query = [("m", model.pk) for model in models[:count]] + [("suite", suite.slug)]
        found[f"compare {count}"] = [f"{compare}?{urllib.parse.urlencode(query)}"]
    return found


def measure(browser: Browser, paths: list[str], times: int) -> list[Reply]:
    for path in (paths * WARM_UP)[: max(WARM_UP, len(paths))]:
        browser.ask(path)
    around = cycle(paths)
    return [browser.ask(next(around)) for _ in range(times)]


@contextmanager
def serving(database: str, folder: str) -> Iterator[str]:
    """A uvicorn process on ``database``; yields its address."""
    port = services.free_port()
    base = f"http://127.0.0.1:{port}"
    argv = [sys.executable, "-m", "uvicorn", "portal.asgi:application", "--port", str(port)]
    process = subprocess.Popen(
        [*argv, "--log-level", "warning"], cwd=ROOT, env={**os.environ, "DATABASE_URL": database}
    )

    def answers() -> bool:
        try:
            return bool(urllib.request.urlopen(f"{base}/robots.txt").read())
        except OSError:
            return False

    try:
        services.wait_until(answers, "the server answers")
        yield base
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@contextmanager
def database_of(given: argparse.Namespace, size: Size) -> Iterator[str]:
    if given.postgresql:
        with services.postgresql() as url:
            yield url
        return
    name = "-".join(str(number) for number in size)
    yield f"sqlite:///{Path(given.folder).resolve() / f'{name}.sqlite3'}"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_size_options(parser)
    parser.add_argument("--postgresql", action="store_true", help="a temporary one")
    parser.add_argument("--folder", default=str(Path(tempfile.gettempdir()) / "portal-benchmark"))
    parser.add_argument("--times", type=int, default=60, help="requests per page")
    parser.add_argument("--limit", type=float, default=LIMIT_MS, help="ms, 95th percentile")
    parser.add_argument("--serve", action="store_true", help="only serve, until Ctrl+C")
    return parser.parse_args()


def main() -> int:
    given = options()
    size = Size(given.candidates, given.benchmarks, given.samples)
    Path(given.folder).mkdir(parents=True, exist_ok=True)
    os.environ["PORTAL_DATA_DIR"] = given.folder
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.settings"
    with database_of(given, size) as url:
        os.environ["DATABASE_URL"] = url
        start = perf_counter()
        prepare(size)
        print(f"seeded {size} in {perf_counter() - start:.0f} s", file=sys.stderr)
        with serving(url, given.folder) as base:
            if given.serve:
                print(f"{base}  name: bench  password: {PASSWORD}", flush=True)
                signal.sigwait({signal.SIGINT, signal.SIGTERM})
                return 0
            return report(base, size, given)


def report(base: str, size: Size, given: argparse.Namespace) -> int:
    from django.db import connection

    browser = Browser(base)
    browser.sign_in("bench", PASSWORD)
    found: dict[str, dict[str, float]] = {}
    head = (
        f"{'page':30} {'p50':>7} {'p95':>7} {'cpu95':>7} {'client95':>8} {'queries':>7} {'kB':>6}"
    )
    print(f"{connection.vendor}, {size}, milliseconds\n{head}")
    for name, paths in pages().items():
        replies = measure(browser, paths, given.times)
        columns = np.array(replies)
        p50, p95 = np.percentile(columns[:, 0], [50, 95])
        found[name] = {
            "p50": round(float(p50), 1),
            "p95": round(float(p95), 1),
            "cpu_p95": round(float(np.percentile(columns[:, 1], 95)), 1),
            "client_p95": round(float(np.percentile(columns[:, 2], 95)), 1),
            "queries": int(columns[:, 3].max()),
            "kilobytes": round(float(columns[:, 4].max()) / 1000),
        }
        shown = "".join(f" {value:8}" for value in found[name].values())
        print(f"{name:30}{shown}", flush=True)
    slow = [name for name, row in found.items() if row["p95"] > given.limit]
    said = {"database": connection.vendor, **size._asdict(), "times": given.times, "slow": slow}
    print(json.dumps(said | {"pages": found}))
    return 1 if slow else 0


if __name__ == "__main__":
    raise SystemExit(main())
