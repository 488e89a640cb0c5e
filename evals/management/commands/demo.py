"""``manage.py demo``: from nothing to two measured models on a leaderboard."""

from __future__ import annotations

import hashlib
import json
import os
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from evals import candidates, leaderboard, llm, runs, suites
from evals.demo import models as demo_models
from evals.demo.servers import ModelServer, ServerFailed, running
from evals.leaderboard import View
from evals.models import Candidate, Part, Probe, Run, Sample, Suite
from evals.models.suites import Scoring
from portal.accounts.models import Project
from portal.accounts.people import default_project
from workers.management.commands.up import (
    PASSWORD_HINT,
    add_web,
    add_workers,
    first_admin,
    prepare,
)
from workers.models import JobState
from workers.processes import port_is_free
from workers.supervisor import Supervisor, SupervisorError

AT_MOST = 2  # models taken from an endpoint that serves many
CHECK_SECONDS = 300.0
REPORT_SECONDS = 5.0


class Served(NamedTuple):
    """A model that answers somewhere, to be registered under ``name``."""

    name: str
    base_url: str
    model: str
    api_key: str = ""
    facts: dict[str, Any] = {}


class Command(BaseCommand):
    help = "Make or take two models, measure them, and show the leaderboard. Ctrl-C stops it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--endpoint", help="your own server, such as http://gpu01:8000/v1")
        parser.add_argument("--api-key", default="", help="its key, when it wants one")
        parser.add_argument(
            "--model", action="append", default=[], help=f"served name; else the first {AT_MOST}"
        )
        parser.add_argument(
            "--once", action="store_true", help="stop when done; the last line is JSON"
        )
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, host: str, port: int, once: bool, **options: Any) -> None:
        started = float(os.environ.get("PORTAL_STARTED_AT") or monotonic())
        if not port_is_free(host, port):
            raise CommandError(
                f"Port {port} is taken. Choose another: manage.py demo --port {port + 1}"
            )
        if endpoint := options["endpoint"]:
            allow(endpoint)
        prepare()
        if password := first_admin():
            self.say(f"Sign in as admin with the password {password} (shown once)")
        project = default_project()
        suite = suites.install(project, "demo")
        with ExitStack() as stack:
            supervisor = stack.enter_context(Supervisor(out=self.say))
            add_web(supervisor, host, port)
            try:
                supervisor.start()
                self.say(f"Prüfstand runs at http://{host}:{port}/")
                if endpoint:
                    served = self.theirs(endpoint, options["api_key"], options["model"])
                else:
                    served = stack.enter_context(self.ours(project))
                # Workers start after the model servers and stop before them: an unfinished
                # run would otherwise ask servers that are not there.
                stack.callback(supervisor.stop)
                add_workers(supervisor, settings.WORKER_PROCESSES)
                found = self.measure(project, suite, served)
            except (SupervisorError, ServerFailed, demo_models.Unavailable) as error:
                raise CommandError(str(error)) from None
            url = f"http://{host}:{port}{reverse('evals:board', args=[suite.slug])}"
            self.say(f"Leaderboard: {url}")
            self.say(PASSWORD_HINT)
            if once:
                report = summary(suite, found)
                report |= {"leaderboard": url, "wall_seconds": round(monotonic() - started, 1)}
                stack.close()
                self.say(json.dumps(report, ensure_ascii=False))
                return
            if endpoint:
                keep = ",".join(settings.OUTBOUND_ALLOW)
                self.say(f"To go on with `manage.py up`, set PORTAL_OUTBOUND_ALLOW={keep}")
            self.say("Ctrl-C stops everything")
            supervisor.wait()

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    @contextmanager
    def ours(self, project: Project) -> Iterator[list[Served]]:
        """The demo's own models, made when they are not there, each behind its server."""
        made = demo_models.ensure(settings.DATA_DIR / "models", self.say)
        for sentence in made.missing:
            self.say(f"Missing: {sentence}")
        servers = [
            ModelServer(
                python=made.python,
                model=folder,
                name=f"{folder.name}-{fingerprint(folder)}",
                kind=made.kind,
                log=Path(settings.DATA_DIR) / "logs" / f"{folder.name}.log",
                port=earlier_port(project, folder.name),
            )
            for folder in made.folders
        ]
        self.say(f"Starting {len(servers)} model servers ({made.kind}) …")
        before = monotonic()
        with running(servers):
            self.say(f"Model servers answer after {monotonic() - before:.0f} s")
            yield [
                Served(
                    name=server.model.name,
                    base_url=server.base_url,
                    model=server.served_name,
                    facts=demo_models.FACTS[server.model.name],
                )
                for server in servers
            ]

    def theirs(self, endpoint: str, api_key: str, wanted: list[str]) -> list[Served]:
        """The models of the person's own server."""
        spec = llm.EndpointSpec(
            base_url=endpoint, model="", api_key=api_key, policy=candidates.outbound_policy()
        )

        @async_to_sync
        async def listed() -> list[str]:
            async with llm.Client(spec) as client:
                return await client.models()

        try:
            names = listed()
        except llm.LLMError as error:
            raise CommandError(f"{endpoint} gives no list of models: {error}") from None
        if unknown := set(wanted) - set(names):
            raise CommandError(
                f"{endpoint} does not serve {', '.join(unknown)}. It serves: {', '.join(names)}"
            )
        if not names:
            raise CommandError(f"{endpoint} serves no model.")
        return [Served(name, endpoint, name, api_key) for name in (wanted or names[:AT_MOST])]

    def measure(self, project: Project, suite: Suite, served: list[Served]) -> list[Run]:
        """Register, check and run; returns when every run has ended."""
        registered = [register(project, one) for one in served]
        started = [self.start(candidate, suite) for candidate in registered]
        told = 0.0
        while True:
            pks = [run.pk for run in started]
            now = list(Run.objects.filter(pk__in=pks).for_list().order_by("pk"))
            for run in now:
                run.count_up()
            ended = all(run.is_finished for run in now)
            if ended or monotonic() - told > REPORT_SECONDS:
                told = monotonic()
                for run in now:
                    self.say(f"{run.candidate.name}: {run.done} of {run.total} · {run.state}")
            if ended:
                break
            sleep(0.5)
        for run in now:
            if run.state != JobState.DONE:
                raise CommandError(f"The run on {run.candidate.name} {run.state}: {run.message}")
        return now

    def start(self, candidate: Candidate, suite: Suite) -> Run:
        """A run of all that the server can do; says so when that is not everything."""
        end = monotonic() + CHECK_SECONDS
        while not (probe := checked(candidate)):
            if monotonic() > end:
                raise CommandError(f"The check of {candidate.name} did not end.")
            sleep(0.3)
        candidate = fresh(candidate)
        self.say(f"{candidate.name}: checked, {probe.server}")
        try:
            return runs.start(candidate, suite)
        except runs.CannotStart as error:
            self.say(f"{candidate.name}: {error} Going on with short answers alone.")
        try:
            return runs.start(candidate, suite, scoring=Scoring.GENERATE)
        except runs.CannotStart as error:
            raise CommandError(f"{candidate.name}: {error}") from None


def fingerprint(folder: Path) -> str:
    """Eight characters that change with the weights: models made anew are measured anew."""
    weights = (folder / "model.safetensors").read_bytes()
    return hashlib.sha256(weights).hexdigest()[:8]


def allow(endpoint: str) -> None:
    """Let this command and the processes it starts connect to the host of ``endpoint``."""
    host = urlsplit(endpoint).hostname
    if not host:
        raise CommandError(f"--endpoint {endpoint!r} is not a URL such as http://gpu01:8000/v1")
    settings.OUTBOUND_ALLOW = [*settings.OUTBOUND_ALLOW, host]
    os.environ["PORTAL_OUTBOUND_ALLOW"] = ",".join(settings.OUTBOUND_ALLOW)


def earlier_port(project: Project, name: str) -> int:
    """The port under which the model was served last, so that its results stay valid; 0: any."""
    candidate = Candidate.objects.in_project(project).filter(name=name).first()
    port = urlsplit(candidate.endpoint.base_url).port if candidate else None
    return port if port and port_is_free("127.0.0.1", port) else 0


def register(project: Project, served: Served) -> Candidate:
    """The candidate of ``served``; the demo's own models are brought up to date."""
    mine = Candidate.objects.in_project(project)
    candidate = mine.filter(name=served.name).first()
    if candidate and not served.facts:  # a person's own: never turn it to another server
        address = {"endpoint__base_url": served.base_url, "endpoint__served_model": served.model}
        candidate = mine.filter(**address).first()
        if candidate is None:
            served = served._replace(name=f"{served.name} ({urlsplit(served.base_url).netloc})")
    if candidate is None:
        return candidates.register(
            project,
            name=served.name,
            base_url=served.base_url,
            served_model=served.model,
            api_key=served.api_key,
            **served.facts,
        )
    candidates.change_endpoint(
        candidate.endpoint,
        base_url=served.base_url,
        served_model=served.model,
        concurrency=candidate.endpoint.concurrency,
        api_key=served.api_key or None,
    )
    if (probe := fresh(candidate).endpoint.verified) and not probe.can("chat"):
        candidates.check(candidate.endpoint)  # the server may have been away
    return candidate


def checked(candidate: Candidate) -> Probe | None:
    """The newest check, once it has ended."""
    probe = fresh(candidate).endpoint.latest_probe
    if probe and probe.state == JobState.FAILED:
        raise CommandError(f"The check of {candidate.name} failed: {probe.message}")
    return probe if probe and probe.is_finished else None


def fresh(candidate: Candidate) -> Candidate:
    return Candidate.objects.for_list().get(pk=candidate.pk)


def summary(suite: Suite, found: list[Run]) -> dict[str, Any]:
    """Candidates with scores and intervals, and how fast they were measured."""
    view = View(scoring=found[0].options.get("scoring", ""))
    board = leaderboard.board(suite, view)
    measured = {run.candidate_id for run in found}
    parts = Part.objects.filter(run__in=found)
    begin = min(part.started_at for part in parts)
    end = max(part.finished_at for part in parts)
    samples = Sample.objects.filter(part__in=parts).count()
    return {
        "candidates": [
            {
                "name": row.candidate.name,
                "overall": row.overall,
                "rank": row.rank,
                "scores": {
                    benchmark.name: [cell.value, cell.low, cell.high, cell.answered]
                    for benchmark in board.benchmarks
                    if (cell := row.cells[benchmark.pk])
                },
            }
            for row in board.rows
            if row.candidate.pk in measured
        ],
        "samples": samples,
        "samples_per_second": round(samples / max(0.001, (end - begin).total_seconds()), 1),
    }
