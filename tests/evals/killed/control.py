"""A process of an installation that does what a test asks: one JSON line in, one out."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from evals import runs  # noqa: E402
from evals.costs import Budget  # noqa: E402
from evals.models import Candidate, Run, Sample, Score, Suite  # noqa: E402
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


def script(base_url: str) -> str:
    """What the script of the README expects to be there; returns a key for it."""
    project = Project.objects.get()
    making.make_suite(project, slug="demo", name="Demo")
    making.make_candidate(project, "tiny-good", base_url)
    return keys.issue(project, "CI", ["read", "run"], by=None)[1]


def start(name: str, tokens: int | None = None) -> int:
    candidate, suite = Candidate.objects.get(name=name), Suite.objects.get(slug="small")
    return runs.start(candidate, suite, budget=Budget(tokens)).pk


def again(name: str) -> int:
    """A further run of the same, whatever runs there are."""
    candidate, suite = Candidate.objects.get(name=name), Suite.objects.get(slug="small")
    return runs.start(candidate, suite, again=True).pk


def race(name: str, racers: int) -> list[int | str]:
    """The run that each of ``racers`` threads got, all starting the same at once."""
    found: list[int | str] = []
    together = threading.Barrier(racers)

    def begin() -> None:
        together.wait()
        try:
            found.append(start(name))
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
    known = (setup, script, start, again, race, cancel, resume, used, look, stored, results)
    verbs = {f.__name__: f for f in known}
    for line in sys.stdin:
        name, arguments = json.loads(line)
        answer = verbs[name](**arguments)
        connection.close()  # the next verb must not meet a server that was restarted meanwhile
        print(json.dumps(answer), flush=True)


main()
