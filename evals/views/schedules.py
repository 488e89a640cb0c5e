from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from evals import schedules
from evals.models import Firing, Schedule
from evals.schedule_form import ScheduleForm
from portal.accounts.models import Role
from portal.accounts.permissions import fetch, require

SHOWN = 20  # of what came of the last times


@require(Role.VIEWER)
def index(request: HttpRequest) -> HttpResponse:
    past = Firing.objects.filter(model__schedule__project=request.project)
    context = {
        "lines": schedules.lines(request.project),
        "past": past.select_related("model__schedule", "run")[:SHOWN],
        "zone": settings.TIME_ZONE,
        "look_minutes": schedules.LOOK_EVERY // timedelta(minutes=1),
    }
    return render(request, "evals/schedules/index.html", context)


@require(Role.ENGINEER)
def create(request: HttpRequest) -> HttpResponse:
    return _form(request, Schedule(project=request.project))


@require(Role.ENGINEER)
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    return _form(request, get_schedule(request, pk))


def get_schedule(request: HttpRequest, pk: int) -> Schedule:
    return fetch(request, Schedule.objects.select_related("project"), Role.ENGINEER, pk=pk)


def _form(request: HttpRequest, schedule: Schedule) -> HttpResponse:
    form = ScheduleForm(request.POST or None, schedule=schedule)
    if form.is_valid():
        schedules.keep(form.fill(), list(form.cleaned_data["candidates"]), by=request.user)
        return redirect("evals:schedules")
    context: dict[str, Any] = {"form": form, "schedule": schedule}
    if schedule.pk:
        past = Firing.objects.filter(model__schedule=schedule)
        context["past"] = past.select_related("model__schedule", "run")[:SHOWN]
        (context["line"],) = schedules.lines(request.project, [schedule])
    status = 422 if form.errors else 200
    return render(request, "evals/schedules/form.html", context, status=status)


@require_POST
@require(Role.ENGINEER)
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    """Pause, or go on with "on=0" in the form."""
    schedules.pause(get_schedule(request, pk), request.POST.get("on") != "0", by=request.user)
    return redirect("evals:schedules")


@require_POST
@require(Role.ENGINEER)
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    schedules.delete(get_schedule(request, pk), by=request.user)
    messages.success(request, _("The schedule has been deleted; its runs are kept."))
    return redirect("evals:schedules")
