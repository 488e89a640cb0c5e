"""The first page, and what robots ask for."""

from __future__ import annotations

from django.apps import apps
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import TemplateDoesNotExist
from django.template.loader import get_template

from portal.accounts.models import Role
from portal.accounts.permissions import may


def home(request: HttpRequest) -> HttpResponse:
    """What changed and what waits: every app shows its part in ``<app>/_home.html``.

    Raters find their work here and nothing else.
    """
    if not may(request, Role.VIEWER):
        return render(request, "my_work.html")
    return render(request, "home.html", {"parts": _parts()})


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
