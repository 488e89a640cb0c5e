"""``manage.py evaluate``: measure a served model on a suite, from a shell or in CI."""

from __future__ import annotations

import getpass
import json
import logging
import os
import signal
import sys
import threading
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from time import monotonic, sleep
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import F, Prefetch
from django.utils import timezone
from tqdm import tqdm

from evals import candidates, leaderboard, llm, runs, suites, tasks
from evals.costs import MOST_TOKENS, Budget
from evals.models import Candidate, Part, Probe, Run, Score, Suite
from evals.models.suites import Scoring
from evals.stats.intervals import Interval
from portal import secrets
from portal.accounts.models import Project
from portal.accounts.people import default_project
from portal.outbound import OutboundRefused
from workers.models import Job, JobQuerySet, JobState

PATIENCE = 3.0  # seconds that a worker has to take a job before this process does it
LOOK_SECONDS = 0.3
REPORT_SECONDS = 5.0
OVERALL = "overall"
WAYS = {
    "options": "Log-likelihoods alone",
    "letter": "Letters alone",
    "generate": "Short answers alone",
}


class SetUpProblem(CommandError):
    """Nothing was measured, and the text says what to put right."""

    def __init__(self, message: str) -> None:
        super().__init__(message, returncode=2)


class Stopped(CommandError):
    """By Ctrl-C or SIGTERM."""

    def __init__(self, message: str) -> None:
        super().__init__(message, returncode=130)


class Limit(NamedTuple):
    """``--fail-below``: the lowest value of a benchmark's primary metric, or of the overall one."""

    name: str
    value: float


def limit(text: str) -> Limit:
    """``0.7``, or ``benchmark=0.7``."""
    name, _equals, value = text.rpartition("=")
    try:
        lowest = float(value)
    except ValueError:
        lowest = -1.0
    if not 0 <= lowest <= 1:
        raise ArgumentTypeError(f"{text!r} is no share from 0 to 1, such as 0.7 or colours=0.7")
    return Limit(name or OVERALL, lowest)


def money(text: str) -> Decimal:
    """``2.50``."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(0)
    if not (amount.is_finite() and Decimal("0.000001") <= amount <= 10**9):
        raise ArgumentTypeError(f"{text!r} is no amount above 0, such as 2.50")
    return amount


class Command(BaseCommand):
    help = (
        "Measure a model on a suite and print its scores. Ctrl-C stops; the same command goes on. "
        "Ends with 0 when all is well, 1 when a score is missing or below --fail-below, "
        "2 when it cannot start (unknown name, host not allowed, server away, wrong argument), "
        "130 when it was stopped."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--suite", required=True, help="slug of a suite, such as demo")
        parser.add_argument("--endpoint", help="base URL, such as http://gpu01:8000/v1")
        parser.add_argument("--model", help="as the server lists it; not needed if it serves one")
        parser.add_argument("--candidate", help="a registered model, instead of --endpoint")
        parser.add_argument("--api-key-env", metavar="VAR", help="variable that holds the key")
        parser.add_argument("--ask-api-key", action="store_true", help="ask for the key")
        parser.add_argument("--scoring", choices=Scoring.values, help="only these benchmarks")
        parser.add_argument(
            "--language", action="append", default=[], metavar="CODE",
            help="only these benchmarks, such as de; may be repeated",
        )  # fmt: skip
        parser.add_argument("--project", help="name; not needed where there is one")
        parser.add_argument("--concurrency", type=int, default=8, help="questions in flight")
        parser.add_argument(
            "--budget-tokens", type=int, metavar="N", help="stop when so many tokens are used"
        )
        parser.add_argument(
            "--budget-money", type=money, metavar="AMOUNT",
            help="stop when so much is spent, in the currency of the model's price",
        )  # fmt: skip
        parser.add_argument("--again", action="store_true", help="although there is a result")
        parser.add_argument(
            "--fail-below", type=limit, action="append", default=[], metavar="[BENCHMARK=]SHARE"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object instead")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["endpoint"]) == bool(options["candidate"]):
            raise SetUpProblem("Name either --endpoint or --candidate.")
        logging.getLogger("workers").setLevel(logging.WARNING)  # progress is shown anyway
        try:
            with terminated_like_interrupted():
                ready()
                project = chosen(options["project"])
                suite = wanted(project, options["suite"])
                self.known(suite, options)
                run = self.measure(project, suite, options)
        except KeyboardInterrupt:
            raise Stopped("Stopped.") from None
        found = report(run)
        faults = list(shortcomings(found, options["fail_below"]))
        if options["json"]:
            self.stdout.write(json.dumps(found | {"faults": faults}, ensure_ascii=False))
        else:
            self.stdout.write(table(found))
        for fault in faults:
            self.stderr.write(fault)
        if faults:
            sys.exit(1)

    def known(self, suite: Suite, options: dict[str, Any]) -> None:
        """Refuse languages and limits of what is not measured."""
        every = suite.benchmarks.defer("task")
        try:
            asked, _options = runs.choose(every, options["scoring"] or "", options["language"])
        except runs.UnknownLanguages as error:
            raise SetUpProblem(f"--language: {error}") from None
        names = {OVERALL, *(benchmark.name for benchmark in asked)}
        if unknown := {each.name for each in options["fail_below"]} - names:
            raise SetUpProblem(
                f"--fail-below: {suite} has no {', '.join(unknown)}. "
                f"It has: {', '.join(sorted(names))}"
            )

    def measure(self, project: Project, suite: Suite, options: dict[str, Any]) -> Run:
        """The finished run. Raises SetUpProblem when it cannot be started, Stopped when it was."""
        candidate = self.candidate(project, options)
        active = set(Run.objects.filter(candidate=candidate).active().values_list("pk", flat=True))
        run = self.start(candidate, suite, options)
        try:
            self.follow(
                lambda: counted(run.pk), Part.objects.filter(run=run), tasks.execute_part, run.title
            )
        except KeyboardInterrupt:
            again = f"manage.py {' '.join(sys.argv[1:])}"
            if run.pk in active:
                raise Stopped(
                    f"No longer watched. Run {run.pk} was started by somebody else and goes on."
                ) from None
            self.say("Stopping …")
            runs.cancel(run)
            self.end(run)
            raise Stopped(
                f"Run {run.pk} is stopped; {counted(run.pk).done} answers are kept. "
                f"To go on, repeat the command: {again}"
            ) from None
        return counted(run.pk)

    def candidate(self, project: Project, options: dict[str, Any]) -> Candidate:
        """The registered model, or a new one; checked."""
        mine = Candidate.objects.in_project(project)
        if name := options["candidate"]:
            candidate = mine.filter(name=name).first()
            if candidate is None:
                names = ", ".join(mine.values_list("name", flat=True)[:20])
                raise SetUpProblem(f"There is no model {name!r}. There are: {names or 'none'}")
        else:
            candidate = self.served(project, options)
        return self.checked(candidate, anew=False)

    def served(self, project: Project, options: dict[str, Any]) -> Candidate:
        base_url, key = options["endpoint"].rstrip("/"), given_key(options)
        try:
            candidates.outbound_policy().check_url(base_url)
        except OutboundRefused as error:
            raise SetUpProblem(f"--endpoint {base_url}: {error.reason} {error.hint}") from None
        model = options["model"] or self.only_model(base_url, key)
        mine = Candidate.objects.in_project(project)
        address = {"endpoint__base_url": base_url, "endpoint__served_model": model}
        candidate = mine.filter(**address).first()
        if candidate is None:
            taken = mine.filter(name=model[:120]).exists()
            name = f"{model} ({urlsplit(base_url).netloc})" if taken else model
            self.say(f"{name} is registered in the project {project}.")
            return candidates.register(
                project,
                name=name[:120],
                base_url=base_url,
                served_model=model,
                api_key=key,
                concurrency=options["concurrency"],
            )
        endpoint = candidate.endpoint
        if key and key != stored_key(candidate):
            candidates.change_endpoint(
                endpoint,
                base_url=base_url,
                served_model=model,
                concurrency=endpoint.concurrency,
                api_key=key,
            )
        return candidate

    def only_model(self, base_url: str, key: str) -> str:
        spec = llm.EndpointSpec(
            base_url=base_url, model="", api_key=key, policy=candidates.outbound_policy()
        )

        @async_to_sync
        async def listed() -> list[str]:
            async with llm.Client(spec) as client:
                return await client.models()

        try:
            names = listed()
        except llm.LLMError as error:
            raise SetUpProblem(f"{base_url} gives no list of models: {error}") from None
        if len(names) != 1:
            raise SetUpProblem(
                f"Choose one with --model. {base_url} serves: {', '.join(names) or 'none'}"
            )
        return names[0]

    def checked(self, candidate: Candidate, *, anew: bool) -> Candidate:
        """``candidate`` with a finished check; ``anew``: whatever there was before."""
        candidate = fresh(candidate)
        probe = candidate.endpoint.latest_probe
        if anew or probe is None or probe.state in (JobState.FAILED, JobState.CANCELLED):
            probe = candidates.check(candidate.endpoint)
        if not probe.is_finished:
            row = Probe.objects.filter(pk=probe.pk)
            try:
                self.follow(row.get, row, tasks.check_endpoint, f"Check of {candidate.name}")
            except KeyboardInterrupt:
                raise Stopped("Stopped during the check.") from None
            probe = row.get()
            if probe.state != JobState.DONE:
                raise SetUpProblem(f"The check of {candidate.name} {probe.state}: {probe.message}")
        return fresh(candidate)

    def start(self, candidate: Candidate, suite: Suite, options: dict[str, Any]) -> Run:
        wishes = {
            "scoring": options["scoring"] or "",
            "languages": options["language"],
            "again": options["again"],
            "budget": self.budget(options) or None,
        }
        try:
            return runs.start(candidate, suite, **wishes)
        except runs.BudgetRefused as error:
            raise SetUpProblem(f"--{error.field.replace('_', '-')}: {error}") from None
        except runs.CannotStart:
            candidate = self.checked(candidate, anew=True)  # the server may have been away
        try:
            return runs.start(candidate, suite, **wishes)
        except runs.CannotStart as error:
            hints = [f"{WAYS[scoring]}: --scoring {scoring}" for scoring in error.offers]
            raise SetUpProblem(" ".join([str(error), *hints])) from None

    def budget(self, options: dict[str, Any]) -> Budget:
        tokens = options["budget_tokens"]
        if tokens is not None and not 1 <= tokens <= MOST_TOKENS:
            raise SetUpProblem(f"--budget-tokens: {tokens} is no number from 1 to {MOST_TOKENS}.")
        return Budget(tokens, options["budget_money"])

    def follow(
        self, look: Callable[[], Job], jobs: JobQuerySet, task: Callable[[int], None], title: str
    ) -> None:
        """Show how far it is until it has ended; work on it here when no worker does.

        The work runs beside in a thread, so that this one shows progress and hears Ctrl-C.
        """
        hand: threading.Thread | None = None
        idle_since = monotonic()
        with bar(title, look()) as show:
            while not (now := look()).is_finished:
                show(now)
                waiting = list(jobs.unattended(timezone.now()).values_list("pk", flat=True))
                if jobs.active().exclude(pk__in=waiting).exists():
                    idle_since = monotonic()
                busy = hand is not None and hand.is_alive()
                if waiting and not busy and monotonic() - idle_since > PATIENCE:
                    hand = threading.Thread(target=work, args=(task, waiting), daemon=True)
                    hand.start()
                sleep(LOOK_SECONDS)
            show(now)
        if hand:
            hand.join()

    def end(self, run: Run) -> None:
        """Wait until whoever works on ``run`` has noticed."""
        until = monotonic() + 15
        while not counted(run.pk).is_finished and monotonic() < until:
            sleep(LOOK_SECONDS)

    def say(self, sentence: str) -> None:
        self.stderr.write(sentence)


def work(task: Callable[[int], None], pks: list[int]) -> None:
    """Do what a worker would, one job after the other; a job that one has taken is left to it."""
    try:
        for pk in pks:
            task(pk)
    finally:
        connection.close()


@contextmanager
def bar(title: str, first: Job) -> Iterator[Callable[[Job], None]]:
    """A progress bar on a terminal, a line every few seconds elsewhere; on stderr."""
    if sys.stderr.isatty():
        with tqdm(total=first.total, initial=first.done, desc=title, unit=" answers") as drawn:

            def draw(job: Job) -> None:
                drawn.total = job.total
                drawn.update(job.done - drawn.n)
                drawn.set_postfix({"failed": job.errors} if job.errors else {}, refresh=True)

            yield draw
        return
    told, before = -REPORT_SECONDS, ""

    def write(job: Job) -> None:
        nonlocal told, before
        failed = f", {job.errors} failed" if job.errors else ""
        line = f"{title}: {job.state}, {job.done} of {job.total or '?'}{failed}"
        if line != before and (job.is_finished or monotonic() - told >= REPORT_SECONDS):
            told, before = monotonic(), line
            print(line, file=sys.stderr, flush=True)

    yield write


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """CI ends what takes too long with SIGTERM: stop as cleanly as on Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def ready() -> None:
    """Make the tables of a new portal; refuse one that waits for ``migrate``."""
    executor = MigrationExecutor(connection)
    if not executor.loader.applied_migrations:
        call_command("migrate", interactive=False, verbosity=0)
    elif executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise SetUpProblem("The database is older than the portal: run manage.py migrate first.")


def chosen(name: str | None) -> Project:
    """The project of this name, or the only one."""
    names = list(Project.objects.order_by("name").values_list("name", flat=True))
    if name:
        if name not in names:
            raise SetUpProblem(f"There is no project {name!r}. There are: {', '.join(names)}")
        return Project.objects.get(name=name)
    if len(names) > 1:
        raise SetUpProblem(f"Choose a project with --project. There are: {', '.join(names)}")
    return default_project()


def wanted(project: Project, slug: str) -> Suite:
    """The newest version of the suite; a shipped one is installed when it is not there."""
    mine = Suite.objects.in_project(project)
    if suite := mine.filter(slug=slug).order_by("-version").first():
        return suite
    try:
        return suites.install(project, slug)
    except LookupError:
        known = {*mine.values_list("slug", flat=True), *(each.slug for each in suites.shipped())}
        raise SetUpProblem(
            f"There is no suite {slug!r}. There are: {', '.join(sorted(known))}"
        ) from None


def given_key(options: dict[str, Any]) -> str:
    """The key of the endpoint; never an argument, which ``ps`` would show to everybody."""
    if variable := options["api_key_env"]:
        if not os.environ.get(variable):
            raise SetUpProblem(f"--api-key-env: the variable {variable} is not set.")
        key = os.environ[variable]
    else:
        key = getpass.getpass("API key of the endpoint: ") if options["ask_api_key"] else ""
    if not (key.isascii() and key.isprintable()):
        raise SetUpProblem("An API key holds only plain letters, digits and signs.")
    return key


def stored_key(candidate: Candidate) -> str:
    encrypted = candidate.endpoint.key_encrypted
    return secrets.from_settings().decrypt(encrypted) if encrypted else ""


def fresh(candidate: Candidate) -> Candidate:
    return Candidate.objects.for_list().get(pk=candidate.pk)


def counted(pk: int) -> Run:
    run = Run.objects.for_list().get(pk=pk)
    run.count_up()
    return run


def report(run: Run) -> dict[str, Any]:
    """What was found, fit for JSON; shares from 0 to 1."""
    primary = Score.objects.filter(metric=F("part__benchmark__metric"))
    parts = list(
        Part.objects.filter(run=run)
        .select_related("benchmark")
        .prefetch_related(Prefetch("scores", primary, to_attr="primary"))
    )
    fields = ("value", "low", "high", "answered", "asked", "valid")
    scores = [
        {
            "benchmark": part.benchmark.name,
            "metric": score.metric,
            **{name: getattr(score, name) for name in fields},
        }
        for part in parts
        for score in part.primary
    ]
    complete = len(scores) == len(parts) and all(score["valid"] for score in scores)
    return {
        "run": run.pk,
        "candidate": run.candidate.name,
        "suite": run.suite.slug,
        "suite_version": run.suite.version,
        "languages": run.languages or None,
        "state": run.state,
        "message": run.message,
        "overall": overall(parts)._asdict() if complete and scores else None,
        "scores": scores,
        "seconds": round(run.wall_seconds, 1),
        "url": run.get_absolute_url(),
    }


def overall(parts: list[Part]) -> Interval:
    """Mean over the benchmarks with its interval, as leaderboards compute it."""
    columns = sorted(parts, key=lambda part: leaderboard.column_order(part.benchmark))
    return leaderboard.overall_of([np.array(part.values or [], dtype=float) for part in columns])


def shortcomings(found: dict[str, Any], limits: list[Limit]) -> Iterator[str]:
    """Why the command ends with 1."""
    if found["state"] != JobState.DONE:
        yield f"Run {found['run']} {found['state']}: {found['message']}"
    values = {score["benchmark"]: score["value"] for score in found["scores"] if score["valid"]}
    for score in found["scores"]:
        if not score["valid"]:
            answered = f"{score['answered']} of {score['asked']}"
            yield f"{score['benchmark']}: no valid score, {answered} answered."
    if found["overall"]:
        values[OVERALL] = found["overall"]["value"]
    for name, lowest in limits:
        if (value := values.get(name)) is None:
            yield f"{name}: has no score, wanted at least {100 * lowest:.1f} of 100."
        elif value < lowest:
            # Enough digits to show a difference that the table rounds away.
            digits = 1 if round(100 * value, 1) < round(100 * lowest, 1) else 4
            below, least = (f"{100 * share:.{digits}f}" for share in (value, lowest))
            yield f"{name}: {below} is below {least}, both out of 100."


def table(found: dict[str, Any]) -> str:
    """The scores for people, in points from 0 to 100."""
    rows = [("benchmark", "score", "95 % interval", "answered")]
    for score in found["scores"]:
        rows.append(
            (score["benchmark"], *points(score), f"{score['answered']} of {score['asked']}")
        )
    rows.append((OVERALL, *points(found["overall"] or {"value": None}), ""))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    head = f"{found['candidate']} on {found['suite']} v{found['suite_version']}, run {found['run']}"
    lines = [
        f"{name:<{widths[0]}}  {score:>{widths[1]}}  {span:<{widths[2]}}  {answered}".rstrip()
        for name, score, span, answered in rows
    ]
    return "\n".join([head, "", *lines])


def points(score: dict[str, Any]) -> tuple[str, str]:
    if score["value"] is None:
        return "–", ""
    return f"{100 * score['value']:.1f}", f"{100 * score['low']:.1f} – {100 * score['high']:.1f}"
