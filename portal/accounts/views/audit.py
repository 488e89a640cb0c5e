"""The audit log, for administrators: filtered, paged, as CSV."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from portal import tables
from portal.accounts import audit
from portal.accounts.forms import AuditFilter
from portal.accounts.models import AuditEntry, Role
from portal.accounts.permissions import require
from portal.ui.tables import paged

MOST = 100_000  # lines of a download, the newest


@require_GET
@require(Role.ADMIN)
def index(request: HttpRequest) -> HttpResponse:
    form, found = _filtered(request)
    context = {"form": form, "page": paged(request, found), "query": request.GET.urlencode()}
    return render(request, "accounts/audit.html", context)


@require_GET
@require(Role.ADMIN)
def download(request: HttpRequest) -> HttpResponse:
    _form, found = _filtered(request)
    rows = [_row(entry) for entry in found[:MOST].iterator(chunk_size=2000)]
    audit.record(request.project, "audit.export", by=request.user, lines=len(rows))
    content = tables.to_bytes("csv", rows)
    response = HttpResponse(content, content_type=tables.WRITERS["csv"].content_type)
    response["Content-Disposition"] = 'attachment; filename="audit-log.csv"'
    return response


def _filtered(request: HttpRequest) -> tuple[AuditFilter, QuerySet[AuditEntry]]:
    found = AuditEntry.objects.filter(project=request.project)
    names = found.order_by().values_list("actor_name", flat=True).distinct()
    actions = found.order_by().values_list("action", flat=True).distinct()
    form = AuditFilter(request.GET, people=sorted(names), actions=sorted(actions))
    return form, found.filter(**form.lookups())


def _row(entry: AuditEntry) -> dict[str, Any]:
    return {
        "at": entry.at.isoformat(timespec="seconds"),
        "who": entry.actor_name,
        "action": entry.action,
        "target_type": entry.target_type,
        "target_id": entry.target_id,
        "target": entry.target_name,
        "details": json.dumps(entry.details, ensure_ascii=False, sort_keys=True),
    }
