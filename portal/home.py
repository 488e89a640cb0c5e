"""The first page, and what robots ask for."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.apps import apps
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from portal.accounts.models import Role
from portal.accounts.permissions import may

VISITS = "visits"  # in the session
FIRST_LOOK = timedelta(days=7)
ONE_VISIT = timedelta(minutes=30)
A_WHILE = timedelta(minutes=5)


def home(request: HttpRequest) -> HttpResponse:
    """What changed and what waits: every app shows its part in ``<app>/_home.html``.

    Raters find their work here and nothing else.
    """
    if not may(request, Role.VIEWER):
        return render(request, "my_work.html")
    return render(request, "home.html", {"parts": _parts(), "since": last_visit(request)})


def last_visit(request: HttpRequest) -> datetime:
    """When the person was here before this visit; a visit ends after half an hour without a look.

    Kept in the session, so somebody new sees the news of a week.
    """
    now = timezone.now()
    visits = request.session.get(VISITS) or {}
    latest = parse_datetime(visits.get("latest", "")) or now - FIRST_LOOK
    before = parse_datetime(visits.get("before", "")) or latest
    if now - latest > ONE_VISIT:
        before = latest
    if now - latest > A_WHILE:  # not at every look: it costs a write
        request.session[VISITS] = {"latest": now.isoformat(), "before": before.isoformat()}
    return before


def _parts() -> list[object]:
    parts = []
    for config in apps.get_app_configs():
        try:
            parts.append(get_template(f"{config.label}/_home.html").template)
        except TemplateDoesNotExist:
            continue
    return parts


@login_not_required
def robots(request: HttpRequest) -> HttpResponse:
    return HttpResponse("User-agent: *\nDisallow: /\n", content_type="text/plain")
