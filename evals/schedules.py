"""Keep schedules, and start their runs when they are due: exactly once, whoever looks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from asgiref.sync import async_to_sync
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Max, Q
from django.utils import timezone, translation
from django.utils.translation import gettext_noop

from evals import candidates, llm, runs
from evals.models import Candidate, Firing, Run, Schedule, ScheduledModel, Suite
from evals.models.schedules import Every, Outcome
from evals.storable import clean
from portal.accounts import audit
from portal.accounts.models import Project, User
from workers import broker

log = logging.getLogger(__name__)

LOOK_EVERY = timedelta(minutes=5)  # how often a server is asked whether it still serves the same
LOOK = "evals.look_for_change"  # the task that asks it
# Fixed sentences, which pages translate.
NO_MODEL = gettext_noop("This model no longer exists. Edit the schedule and choose another.")
NO_SUITE = gettext_noop(
    "The suite no longer exists. Install it again, or edit the schedule and choose another."
)
STILL = gettext_noop("The run of the last time was still at work.")
OTHER = gettext_noop("The same was being measured already.")
UNEXPECTED = gettext_noop("An unexpected error. The log of the worker has it.")


@dataclass(frozen=True)
class Line:
    """A schedule as lists show it: its suite now, and the last outcome of each model."""

    schedule: Schedule
    suite: Suite | None
    models: list[tuple[ScheduledModel, Firing | None]]

    @property
    def problem(self) -> str:
        """Why it cannot measure, a sentence to translate; "" where nothing is known against it."""
        if self.suite is None:
            return NO_SUITE
        return NO_MODEL if any(model.candidate is None for model, _last in self.models) else ""


def lines(project: Project, schedules: Iterable[Schedule] | None = None) -> list[Line]:
    """The schedules of ``project``, or the given ones of it: four queries, however many."""
    if schedules is None:
        schedules = Schedule.objects.in_project(project).select_related("created_by")
    rows = list(schedules)
    models = list(
        ScheduledModel.objects.filter(schedule__in=rows)
        .select_related("candidate")
        .annotate(last=Max("firings"))
    )
    last = Firing.objects.select_related("run").in_bulk([m.last for m in models if m.last])
    found = Suite.objects.in_project(project).filter(slug__in={row.suite_slug for row in rows})
    newest = {suite.slug: suite for suite in found.order_by("version")}
    return [
        Line(
            row,
            newest.get(row.suite_slug),
            [(m, last.get(m.last)) for m in models if m.schedule_id == row.pk],
        )
        for row in rows
    ]


@transaction.atomic
def keep(schedule: Schedule, chosen: Sequence[Candidate], *, by: User | None = None) -> None:
    """Save a new or changed schedule for ``chosen``; what is past of it is not made up for."""
    new = schedule.pk is None
    schedule.next_at = schedule.due_after(timezone.now())
    if new:
        schedule.created_by = by
    schedule.save()
    schedule.models.exclude(candidate__in=chosen).delete()
    schedule.models.filter(candidate=None).delete()
    there = set(schedule.models.values_list("candidate", flat=True))
    ScheduledModel.objects.bulk_create(
        ScheduledModel(schedule=schedule, candidate=candidate, name=candidate.name)
        for candidate in chosen
        if candidate.pk not in there
    )
    action = "schedule.create" if new else "schedule.change"
    names = [candidate.name for candidate in chosen]
    audit.record(schedule.project, action, schedule, by=by, models=names)


@transaction.atomic
def pause(schedule: Schedule, on: bool, *, by: User | None = None) -> None:
    """Start nothing any more, or again from now on.

    Times that were due meanwhile are left out; what is served differently is measured then.
    """
    if schedule.paused == on:
        return
    schedule.paused = on
    schedule.next_at = schedule.due_after(timezone.now())
    schedule.save(update_fields=["paused", "next_at"])
    action = "schedule.pause" if on else "schedule.resume"
    audit.record(schedule.project, action, schedule, by=by)


@transaction.atomic
def delete(schedule: Schedule, *, by: User | None = None) -> None:
    """Its runs stay."""
    audit.record(schedule.project, "schedule.delete", schedule, by=by)
    schedule.delete()


def tick() -> None:
    """What the clock does every few seconds: start what is due, have servers looked at."""
    now = timezone.now()
    for pk in Schedule.objects.due(now).values_list("pk", flat=True):
        try:
            fire(pk, now)
        except IntegrityError:
            log.info("Schedule %s: another clock has started it", pk)
        except DatabaseError:
            log.exception("Schedule %s: tried again at the next turn", pk)
    stale = ScheduledModel.objects.filter(
        Q(looked_at=None) | Q(looked_at__lte=now - LOOK_EVERY),
        schedule__every=Every.CHANGE,
        schedule__paused=False,
        candidate__isnull=False,
    )
    for pk in stale.values_list("pk", flat=True):
        if stale.filter(pk=pk).update(looked_at=now):
            broker.poke(LOOK, pk)


@transaction.atomic
def fire(pk: int, now: datetime) -> None:
    """Start the runs of a schedule that is due, once for all the times that it was meanwhile.

    The lock makes clocks take turns; the second one finds the next time written already.
    """
    schedule = Schedule.objects.select_for_update().due(now).filter(pk=pk).first()
    if schedule is None:
        return
    due = schedule.next_at.isoformat()
    for model in schedule.models.all():
        _begin(model, due)
    Schedule.objects.filter(pk=pk).update(next_at=schedule.due_after(now))


def look(model: ScheduledModel) -> None:
    """Ask the server of ``model`` what it serves; start a run when that is not what was measured.

    Where nothing was measured, what is served at the first look is where it begins. While its
    check is at work, or the server is away or tells no version any more, nothing is concluded.
    A change that finds the last run still at work is tried again at the next look.
    """
    schedule, candidate = model.schedule, model.candidate
    if schedule.paused or schedule.every != Every.CHANGE or candidate is None:
        return
    endpoint = candidate.endpoint
    probe = endpoint.latest_probe
    if probe and not probe.is_finished:
        return
    served = clean(async_to_sync(llm.identity)(candidates.spec(endpoint)))
    if not served:
        return
    now = _version(endpoint.revision, served)
    with transaction.atomic():
        held = ScheduledModel.objects.select_for_update().get(pk=model.pk)
        if held.known != model.known or held.known == now:
            return  # somebody else has looked meanwhile, or nothing is new
        measured = _measured(schedule, candidate)
        before = held.known or measured
        if before.startswith(f"{now} "):
            return
        if before and measured != now:
            firing = _begin(held, f"change {held.changes + 1}")
            if firing is None or firing.outcome == Outcome.SKIPPED:
                return
            held.changes += 1
        held.known = now
        held.save(update_fields=["known", "changes"])


def _version(revision: int, server: str) -> str:
    """What an endpoint serves, as far as it can be told: its revision, server and version."""
    return f"{revision} {server}"[:200]


def _measured(schedule: Schedule, candidate: Candidate) -> str:
    """What the newest run of ``candidate`` on the suite of ``schedule`` measured; "" without."""
    mine = candidate.runs.filter(suite__slug=schedule.suite_slug).exclude(server="")
    newest = mine.order_by("-pk").first()
    return _version(newest.endpoint_revision, newest.server) if newest else ""


def _begin(model: ScheduledModel, due: str) -> Firing | None:
    """Try to start the run of ``model`` that is ``due`` and write down what came of it.

    None where that is done already; what was skipped may be tried again.
    """
    before = model.firings.filter(due=due).first()
    if before and before.outcome != Outcome.SKIPPED:
        return None
    with translation.override("en"), audit.acting_for(f"schedule {model.schedule_id}"):
        outcome, message, run = _tried(model)
    if before is None:
        before = Firing(model=model, due=due)
    before.outcome, before.message, before.run = outcome, message, run
    before.save()
    return before


def _tried(model: ScheduledModel) -> tuple[Outcome, str, Run | None]:
    schedule = model.schedule
    if model.candidate_id is None:
        return Outcome.REFUSED, NO_MODEL, None
    every = Suite.objects.in_project(schedule.project).filter(slug=schedule.suite_slug)
    suite = every.order_by("-version").first()
    if suite is None:
        return Outcome.REFUSED, NO_SUITE, None
    started = model.firings.filter(outcome=Outcome.STARTED, run__isnull=False).first()
    if started and not started.run.is_finished:
        return Outcome.SKIPPED, STILL, started.run
    candidate = Candidate.objects.for_list().get(pk=model.candidate_id)
    active = set(candidate.runs.filter(suite=suite).active().values_list("pk", flat=True))
    try:
        with transaction.atomic():
            run = runs.start(
                candidate,
                suite,
                scoring=schedule.scoring,
                languages=schedule.languages,
                again=True,
                budget=schedule.budget,
            )
    except runs.CannotStart as error:
        return Outcome.REFUSED, str(error), None
    except DatabaseError:
        raise
    except Exception:
        log.exception("Schedule %s, %s", schedule.pk, model.name)
        return Outcome.REFUSED, UNEXPECTED, None
    if run.pk in active:
        return Outcome.SKIPPED, OTHER, run
    return Outcome.STARTED, "", run
