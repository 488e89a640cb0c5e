"""Start runs, wait for them, stop and resume them, read their scores."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any, Literal

from django.db.models import F, Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Body, Field, Query, Router, Schema, Status
from pydantic import ConfigDict

from evals import runs
from evals.api import candidates, suites
from evals.api.fields import Given, JobFields, Key, Pk, Scoring, State, Waiting, job
from evals.costs import MOST_TOKENS, Budget
from evals.models import Part, Run, Score
from evals.slots import at_once
from portal.api.callers import READ, RUN
from portal.api.paging import BIGGEST, Page, Paging, page
from portal.api.problems import Fault, Problem, invalid
from portal.api.waiting import unfinished
from workers.models import JobState

router = Router(tags=["Runs"])
Name = Annotated[str, Field(min_length=1, max_length=120)]
Tokens = Annotated[int, Field(ge=1, le=MOST_TOKENS)]
Money = Annotated[float, Field(ge=0.000001, le=1e9)]
Language = Annotated[str, Field(min_length=1, max_length=12, examples=["de"])]


class NewRun(Given):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"candidate": "Alder-7B", "suite": "demo"}]}
    )
    candidate: Key | Name = Field(description="`id` or name of a model.")
    suite: Key | Name = Field(description="`id` of a suite, or the slug: its newest version.")
    scoring: Scoring | None = Field(
        None, description="Only the benchmarks asked in this way; all without it."
    )
    languages: Annotated[list[Language], Field(min_length=1, max_length=100)] | None = Field(
        None, description="Only the benchmarks in these languages; all without it."
    )
    again: bool = Field(
        False, description="Measure anew although there is a result; it is returned otherwise."
    )
    budget_tokens: Tokens | None = Field(
        None,
        description="The run stops when its prompts and answers have used so many tokens. "
        "Without any budget, a run that is resumed keeps its own.",
    )
    budget_money: Money | None = Field(
        None, description="The same in the currency of the model's price, which must be set."
    )


class Resume(Given):
    """A budget that is not named stays; null takes it away."""

    budget_tokens: Tokens | None = None
    budget_money: Money | None = None


NOTHING = Body(Resume())  # what a body says that was left out


class ScoreOut(Schema):
    """A mean over the answered samples with its 95 % interval."""

    id: int | None
    benchmark: str
    language: str
    metric: str
    primary: bool = Field(description="The one that leaderboards show.")
    value: float | None
    low: float | None
    high: float | None
    method: str
    answered: int
    asked: int
    valid: bool = Field(description="At least 95 % of the samples were answered.")


class Named(Schema):
    id: int
    name: str


class SuiteNamed(Named):
    slug: str
    version: int


class RunOut(JobFields):
    id: int
    candidate: Named
    suite: SuiteNamed
    scoring: Scoring | None
    languages: list[str] | None = Field(description="What it is limited to; null: not at all.")
    budget_tokens: int | None = Field(description="What it may use at most; null: no limit.")
    budget_money: float | None
    budget_currency: str | None
    stopped_by: Literal["tokens", "money", "uncounted"] | None = Field(
        description="Which budget stopped it; uncounted: the server told no token counts. "
        "Resume it with a higher budget or none."
    )
    repeat: int = Field(
        description="0 for the first measurement of this model, suite, scoring and languages."
    )
    endpoint_revision: int
    server: str
    seconds: float = Field(description="How long it has worked, over all attempts.")
    url: str = Field(description="Its page in the portal.")


class RunDetail(RunOut):
    """With what it found so far."""

    overall: float | None = Field(
        description="Mean of the benchmarks' primary metrics; null until all are valid."
    )
    prompt_tokens: int | None = Field(description="null: the server told none.")
    completion_tokens: int | None
    at_once: int | None = Field(
        description="Requests to the server at once, of all runs that asked it: now, or at last."
    )
    scores: list[ScoreOut] = Field(description="The primary metric of each finished benchmark.")


class Filters(Paging):
    state: State | None = Field(None, description="Only those in this state.")
    candidate: Annotated[int, Field(ge=1, le=BIGGEST)] | None = Field(
        None, description="`id` of a model."
    )
    suite: Annotated[int, Field(ge=1, le=BIGGEST)] | None = Field(
        None, description="`id` of a suite."
    )


def find(request: HttpRequest, pk: int) -> Run:
    run = get_object_or_404(Run.objects.in_project(request.project).for_list(), pk=pk)
    run.count_up()
    return run


def shown(run: Run) -> dict[str, Any]:
    suite = run.suite
    return {
        "id": run.pk,
        **job(run),
        "candidate": {"id": run.candidate_id, "name": run.candidate.name},
        "suite": {
            "id": suite.pk, "name": suite.name, "slug": suite.slug, "version": suite.version,
        },
        "scoring": run.options.get("scoring"),
        "languages": run.languages or None,
        "budget_tokens": run.budget_tokens,
        "budget_money": None if run.budget_money is None else float(run.budget_money),
        "budget_currency": run.currency if run.budget_money is not None else None,
        "stopped_by": run.stopped_by or None,
        "repeat": run.repeat,
        "endpoint_revision": run.endpoint_revision,
        "server": run.server,
        "seconds": run.wall_seconds,
        "url": run.get_absolute_url(),
    }  # fmt: skip


def shown_score(score: Score) -> dict[str, Any]:
    benchmark = score.part.benchmark
    fields = ("metric", "value", "low", "high", "method", "answered", "asked", "valid")
    return {
        "id": score.pk,
        "benchmark": benchmark.name,
        "language": benchmark.language,
        "primary": score.metric == benchmark.metric,
        **{name: getattr(score, name) for name in fields},
    }


def detailed(run: Run) -> dict[str, Any]:
    primary = Score.objects.filter(metric=F("part__benchmark__metric"))
    parts = list(
        Part.objects.filter(run=run)
        .select_related("benchmark")
        .prefetch_related(Prefetch("scores", primary, to_attr="primary"))
        .defer("values", "benchmark__task", "benchmark__options")
    )
    scores = []
    for part in parts:
        for score in part.primary:
            score.part = part
            scores.append(score)
    values = [score.value for score in scores if score.valid and score.value is not None]
    complete = bool(parts) and len(values) == len(parts)
    return {
        **shown(run),
        "overall": sum(values) / len(values) if complete else None,
        "prompt_tokens": _total(part.prompt_tokens for part in parts),
        "completion_tokens": _total(part.completion_tokens for part in parts),
        "at_once": at_once(parts),
        "scores": [shown_score(score) for score in scores],
    }


@router.get("/runs", auth=READ, response=Page[RunOut], operation_id="runs")
def runs_list(request: HttpRequest, filters: Query[Filters]) -> dict[str, Any]:
    """The runs of the project, newest first."""
    wanted = filters.dict(include={"state", "candidate", "suite"}, exclude_none=True)
    found = Run.objects.in_project(request.project).filter(**wanted).for_list()

    def counted(run: Run) -> dict[str, Any]:
        run.count_up()
        return shown(run)

    return page(found, filters, counted)


@router.post("/runs", auth=RUN, response={200: RunDetail, 201: RunDetail}, operation_id="start_run")
def run_start(request: HttpRequest, data: NewRun, response: HttpResponse) -> Status:
    """Measure a model on a suite. 200 with the run that there is already for the same question.

    A failed, cancelled or stopped one of the same model, suite, scoring and languages is resumed.
    """
    candidate = candidates.named(request, data.candidate)
    if candidate is None:
        hint = _("No model has this id or name. GET /api/v1/candidates lists them.")
        raise invalid("candidate", hint, data.candidate)
    suite = suites.named(request, data.suite)
    if suite is None:
        hint = _("No suite has this id or slug. GET /api/v1/suites lists them.")
        raise invalid("suite", hint, data.suite)
    before = set(Run.objects.filter(candidate=candidate, suite=suite).values_list("pk", flat=True))
    try:
        run = runs.start(
            candidate,
            suite,
            scoring=data.scoring or "",
            languages=data.languages or (),
            again=data.again,
            budget=budget_of(data) or None,
            by=request.caller.user,
        )
    except runs.BudgetRefused as error:
        raise invalid(error.field, str(error), getattr(data, error.field)) from error
    except runs.UnknownLanguages as error:
        raise invalid("languages", str(error), data.languages) from error
    except runs.CannotStart as error:
        fault = Fault("candidate", str(error), data.candidate)
        raise Problem(422, str(error), [fault], evidence=error.evidence) from error
    response["Location"] = f"/api/v1/runs/{run.pk}"
    return Status(200 if run.pk in before else 201, _now(request, run.pk, response))


@router.get("/runs/{run}", auth=READ, response=RunDetail, operation_id="run")
def run_detail(
    request: HttpRequest, run: Pk, filters: Query[Waiting], response: HttpResponse
) -> dict[str, Any]:
    """How far a run is, and its scores. With `wait` the answer comes when it has ended."""
    return _now(request, run, response)


@router.post("/runs/{run}/cancel", auth=RUN, response=RunDetail, operation_id="cancel_run")
def run_cancel(request: HttpRequest, run: Pk, response: HttpResponse) -> dict[str, Any]:
    """Stop a run; what is answered is kept. A run that has ended stays as it is."""
    runs.cancel(find(request, run), by=request.caller.user)
    return _now(request, run, response)


@router.post("/runs/{run}/resume", auth=RUN, response=RunDetail, operation_id="resume_run")
def run_resume(
    request: HttpRequest, run: Pk, response: HttpResponse, data: Resume = NOTHING
) -> dict[str, Any]:
    """Ask what has no answer yet. A run that works, or has every answer, stays as it is.

    The body may be left out. It gives a run that stopped at its budget a new one.
    """
    found = find(request, run)
    complete = found.state == JobState.DONE and not found.errors
    if found.is_finished and not complete:
        try:
            budget = found.budget._replace(**_named(data))
            runs.resume(found, budget=budget, by=request.caller.user)
        except runs.BudgetRefused as error:
            raise invalid(error.field, str(error), getattr(data, error.field)) from error
        except runs.CannotStart as error:
            raise Problem(409, str(error), evidence=error.evidence) from error
    return _now(request, run, response)


@router.get("/runs/{run}/scores", auth=READ, response=Page[ScoreOut], operation_id="scores")
def scores_list(request: HttpRequest, run: Pk, paging: Query[Paging]) -> dict[str, Any]:
    """Every metric of every finished benchmark, with intervals."""
    found = get_object_or_404(Run.objects.in_project(request.project), pk=run)
    rows = (
        Score.objects.filter(part__run=found)
        .select_related("part__benchmark")
        .defer("part__values", "part__benchmark__task", "part__benchmark__options")
    )
    return page(rows, paging, shown_score, newest_first=False)


def _now(request: HttpRequest, pk: int, response: HttpResponse) -> dict[str, Any]:
    run = find(request, pk)
    if not run.is_finished:
        unfinished(response)
    return detailed(run)


def budget_of(data: NewRun | Resume) -> Budget:
    money = None if data.budget_money is None else Decimal(str(data.budget_money))
    return Budget(data.budget_tokens, money)


def _named(data: Resume) -> dict[str, Any]:
    """The limits that the body names, as fields of a budget."""
    named = {name.removeprefix("budget_") for name in data.model_fields_set}
    return {name: value for name, value in budget_of(data)._asdict().items() if name in named}


def _total(values: Iterable[int | None]) -> int | None:
    """None when nothing is known, which is not zero."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
