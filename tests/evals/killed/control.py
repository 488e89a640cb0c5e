"""A process of an installation that does what a test asks: one JSON line in, one out."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from datetime import time, timedelta
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from evals import runs, schedules  # noqa: E402
from evals.costs import Budget  # noqa: E402
from evals.models import (  # noqa: E402
    Candidate,
    Endpoint,
    Firing,
    Run,
    Sample,
    Schedule,
    Score,
    Suite,
)
from portal.accounts import keys  # noqa: E402
from portal.accounts.models import Project  # noqa: E402
from tests.evals import making  # noqa: E402


def setup(base_url: str, samples: int, concurrency: int) -> None:
    """Two candidates on the same server, and a suite that is asked in both ways."""
    call_command("migrate", verbosity=0, interactive=False)
    project = Project.objects.create(name="Tests")
    making.make_suite(
        project,
        making.choice(rows=making.choice_rows(samples, "choice ")),
        making.answer(rows=making.answer_rows(samples, "answer ")),
    )
    for name in ("undisturbed", "disturbed"):
        making.make_candidate(project, name, base_url, concurrency=concurrency)


def widen(benchmarks: int, samples: int, concurrency: int) -> None:
    """A suite ``wide`` of so many benchmarks beside the other, and a new limit of the server."""
    making.make_suite(
        Project.objects.get(),
        *(
            making.answer(f"words{number}", rows=making.answer_rows(samples, f"{number} "))
            for number in range(benchmarks)
        ),
        slug="wide",
    )
    Endpoint.objects.update(concurrency=concurrency)


def script(base_url: str) -> str:
    """What the script of the README expects to be there; returns a key for it."""
    project = Project.objects.get()
    making.make_suite(project, slug="demo", name="Demo")
    making.make_candidate(project, "tiny-good", base_url)
    return keys.issue(project, "CI", ["read", "run"], by=None)[1]


def start(name: str, tokens: int | None = None) -> int:
    candidate, suite = Candidate.objects.get(name=name), Suite.objects.get(slug="small")
    return runs.start(candidate, suite, budget=Budget(tokens)).pk


def again(name: str, slug: str = "small") -> int:
    """A further run of the same, whatever runs there are."""
    candidate, suite = Candidate.objects.get(name=name), Suite.objects.get(slug=slug)
    return runs.start(candidate, suite, again=True).pk


def race(name: str, racers: int) -> list[int | str]:
    """The run that each of ``racers`` threads got, all starting the same at once."""
    return _together(racers, lambda: start(name))


def _together(racers: int, act: Callable[[], Any]) -> list[Any]:
    """What ``act`` gave, or the error of it, in each of ``racers`` threads at once."""
    found: list[Any] = []
    together = threading.Barrier(racers)

    def begin() -> None:
        together.wait()
        try:
            found.append(act())
        except Exception as error:
            found.append(repr(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=begin) for _ in range(racers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def schedule(name: str) -> int:
    """A schedule of one model that was due nine days ago and on each day since."""
    candidate, suite = Candidate.objects.get(name=name), Suite.objects.get(slug="small")
    made = Schedule(project=suite.project, suite_slug=suite.slug, at=time(2))
    schedules.keep(made, [candidate])
    Schedule.objects.filter(pk=made.pk).update(next_at=timezone.now() - timedelta(days=9))
    return made.pk


def tick(racers: int) -> list[str]:
    """What the clock does, from ``racers`` threads at once; the errors there were."""
    return [str(error) for error in _together(racers, schedules.tick) if error]


def fired(pk: int) -> dict[str, Any]:
    """What came of the schedule ``pk``, and the runs there are."""
    firings = Firing.objects.filter(model__schedule=pk).order_by("pk")
    return {
        "outcomes": list(firings.values_list("outcome", "run")),
        "runs": list(Run.objects.order_by("pk").values_list("pk", flat=True)),
        "due": Schedule.objects.due(timezone.now()).filter(pk=pk).exists(),
    }


def cancel(pk: int) -> None:
    runs.cancel(Run.objects.get(pk=pk))


def resume(pk: int, tokens: int | None = None) -> None:
    runs.resume(Run.objects.get(pk=pk), budget=Budget(tokens))


def used(pk: int) -> dict[str, int]:
    """Tokens of all stored answers, and of the largest one."""
    told = Sample.objects.filter(part__run=pk, error="")
    each = [sample.prompt_tokens + sample.completion_tokens for sample in told]
    return {"tokens": sum(each), "largest": max(each)}


def look(pk: int) -> dict[str, Any]:
    run = Run.objects.get(pk=pk)
    parts = list(run.parts.values("state", "done", "total", "errors", "attempts", "message"))
    return {"state": run.state, "message": run.message, "parts": parts}


def stored(pk: int) -> list[str]:
    """The questions that have an answer in the database."""
    samples = Sample.objects.filter(part__run=pk, error="").select_related("part__benchmark")
    kinds = {"options": "choice", "generate": "answer"}
    return [f"{kinds[s.part.benchmark.scoring]} No {s.doc_id}" for s in samples]


def results(pk: int) -> dict[str, Any]:
    """Everything that must not depend on what happened to the workers."""
    samples = Sample.objects.filter(part__run=pk).order_by("part__benchmark__position", "doc_id")
    scores = Score.objects.filter(part__run=pk).order_by("part__benchmark__position", "metric")
    return {
        "samples": list(
            samples.values_list(
                "part__benchmark__name", "doc_id", "prompt", "answer", "value", "loglikelihoods",
                "error",
            )
        ),
        "scores": list(
            scores.values_list(
                "part__benchmark__name", "metric", "value", "low", "high", "answered", "asked",
                "valid",
            )
        ),
    }  # fmt: skip


def main() -> None:
    known = (
        setup, widen, script, start, again, race, schedule, tick, fired, cancel, resume, used,
        look, stored, results,
    )  # fmt: skip
    verbs = {f.__name__: f for f in known}
    for line in sys.stdin:
        name, arguments = json.loads(line)
        answer = verbs[name](**arguments)
        connection.close()  # the next verb must not meet a server that was restarted meanwhile
        print(json.dumps(answer), flush=True)


main()
