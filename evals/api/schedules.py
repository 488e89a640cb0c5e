"""Schedules: make, read, change, pause and delete them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Field, Router, Schema, Status
from pydantic import ConfigDict

from evals import schedules
from evals.api import candidates
from evals.api.fields import Given, Key, Pk, Scoring
from evals.api.runs import Language, Money, Name, Tokens
from evals.models import Schedule
from evals.schedule_form import ScheduleForm
from evals.schedules import Line
from portal.api.callers import READ, RUN
from portal.api.problems import Fault, Problem, invalid

router = Router(tags=["Schedules"])
Every = Literal["day", "week", "change"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
DAYS: tuple[str, ...] = get_args(Weekday)
Time = Annotated[str, Field(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["02:00"])]
Models = Annotated[list[Key | Name], Field(min_length=1, max_length=200)]
Languages = Annotated[list[Language], Field(max_length=100)]
AT = "Time of day in the portal's time zone; not with `change`."
NIGHTLY = {"suite": "demo", "candidates": ["Alder-7B"], "every": "day", "at": "02:00"}


class NewSchedule(Given):
    model_config = ConfigDict(json_schema_extra={"examples": [NIGHTLY]})
    suite: Name = Field(description="Slug of a suite; each time its newest version is measured.")
    candidates: Models = Field(description="`id` or name of each model.")
    every: Every = Field(description="`change`: when the server or its model changes.")
    at: Time | None = Field(None, description=AT)
    weekday: Weekday | None = Field(None, description="With `week`.")
    scoring: Scoring | None = None
    languages: Languages = []
    budget_tokens: Tokens | None = Field(None, description="Of each run.")
    budget_money: Money | None = Field(None, description="Of each run, at the model's price.")
    paused: bool = False


class ScheduleChange(Given):
    """What is not named stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"paused": True}]})
    suite: Name = ""
    candidates: Models = []
    every: Every = "day"
    at: Time | None = Field(None, description=AT)
    weekday: Weekday | None = None
    scoring: Scoring | None = None
    languages: Languages = []
    budget_tokens: Tokens | None = None
    budget_money: Money | None = None
    paused: bool = False


class LastTime(Schema):
    at: datetime
    outcome: Literal["started", "skipped", "refused"]
    message: str = Field(description="Why no run was started.")
    run: int | None


class ModelOut(Schema):
    candidate: int | None = Field(description="null: it no longer exists.")
    name: str
    last: LastTime | None


class ScheduleOut(Schema):
    id: int
    suite: str
    every: Every
    at: str | None
    weekday: Weekday | None
    scoring: Scoring | None
    languages: list[str] = Field(description="[] is all.")
    budget_tokens: int | None
    budget_money: float | None
    paused: bool
    next_at: datetime | None = Field(description="null while paused, and for `change`.")
    problem: str = Field(description="Why it cannot measure; empty otherwise.")
    models: list[ModelOut]


def shown(line: Line) -> dict[str, Any]:
    schedule = line.schedule
    money = schedule.budget_money
    names = ("every", "languages", "budget_tokens", "paused", "next_at")
    return {
        "id": schedule.pk,
        "suite": schedule.suite_slug,
        "at": f"{schedule.at:%H:%M}" if schedule.at else None,
        "weekday": None if schedule.weekday is None else DAYS[schedule.weekday],
        "scoring": schedule.scoring or None,
        "budget_money": None if money is None else float(money),
        "problem": line.problem,
        "models": [
            {
                "candidate": model.candidate_id,
                "name": model.name,
                "last": last
                and {
                    "at": last.created_at,
                    "outcome": last.outcome,
                    "message": last.message,
                    "run": last.run_id,
                },
            }
            for model, last in line.models
        ],
        **{name: getattr(schedule, name) for name in names},
    }


@router.get("/schedules", auth=READ, response=list[ScheduleOut], operation_id="schedules")
def schedules_list(request: HttpRequest) -> list[dict[str, Any]]:
    """The schedules of the project, with what came of the last time of each model."""
    return [shown(line) for line in schedules.lines(request.project)]


@router.post("/schedules", auth=RUN, response={201: ScheduleOut}, operation_id="new_schedule")
def schedule_create(request: HttpRequest, data: NewSchedule, response: HttpResponse) -> Status:
    """Measure models on a suite every day, every week, or when what is served changes."""
    made = _keep(request, Schedule(project=request.project), data.model_dump())
    response["Location"] = f"/api/v1/schedules/{made['id']}"
    return Status(201, made)


@router.get("/schedules/{schedule}", auth=READ, response=ScheduleOut, operation_id="schedule")
def schedule_detail(request: HttpRequest, schedule: Pk) -> dict[str, Any]:
    """One schedule."""
    return _now(request, find(request, schedule))


@router.patch(
    "/schedules/{schedule}", auth=RUN, response=ScheduleOut, operation_id="change_schedule"
)
def schedule_change(request: HttpRequest, schedule: Pk, data: ScheduleChange) -> dict[str, Any]:
    """Change a schedule; `paused` alone pauses it or lets it go on. What is past is not made up."""
    found = find(request, schedule)
    given = data.model_dump(exclude_unset=True)
    if given.keys() <= {"paused"}:
        schedules.pause(found, given.get("paused", found.paused), by=request.caller.user)
        return _now(request, found)
    kept = _now(request, found)
    kept["candidates"] = [model["candidate"] for model in kept["models"] if model["candidate"]]
    if given.get("every", kept["every"]) != kept["every"]:  # the time belongs to the old way
        kept |= {"weekday": None}
    return _keep(request, found, kept | given)


@router.delete(
    "/schedules/{schedule}", auth=RUN, response={204: None}, operation_id="delete_schedule"
)
def schedule_delete(request: HttpRequest, schedule: Pk) -> Status:
    """Delete a schedule; its runs are kept."""
    schedules.delete(find(request, schedule), by=request.caller.user)
    return Status(204, None)


def find(request: HttpRequest, pk: int) -> Schedule:
    mine = Schedule.objects.in_project(request.project).select_related("project")
    return get_object_or_404(mine, pk=pk)


def _keep(request: HttpRequest, schedule: Schedule, given: dict[str, Any]) -> dict[str, Any]:
    """``schedule`` with ``given``, by the rules of the form of the page."""
    chosen = []
    for wanted in given["candidates"]:
        candidate = candidates.named(request, wanted)
        if candidate is None:
            hint = _("No model has this id or name. GET /api/v1/candidates lists them.")
            raise invalid("candidates", hint, wanted)
        chosen.append(candidate)
    weekday = given["weekday"]
    asked = given | {
        "candidates": [candidate.pk for candidate in chosen],
        "weekday": None if weekday is None else DAYS.index(weekday),
    }
    filled = {name: "" if value is None else value for name, value in asked.items()}
    form = ScheduleForm(filled, schedule=schedule)
    if not form.is_valid():
        faults = [
            Fault(name, str(message), given.get(name))
            for name, messages in form.errors.items()
            for message in messages
        ]
        raise Problem(422, _("Some fields cannot be used; “errors” names them."), faults)
    made = form.fill()
    made.paused = given["paused"]
    schedules.keep(made, list(form.cleaned_data["candidates"]), by=request.caller.user)
    return _now(request, made)


def _now(request: HttpRequest, schedule: Schedule) -> dict[str, Any]:
    return shown(schedules.lines(request.project, [schedule])[0])
