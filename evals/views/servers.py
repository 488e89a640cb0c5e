from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from evals import matrix
from evals.llm import PROBES
from portal.accounts.models import Role
from portal.accounts.permissions import require
from portal.ui import downloads


@require(Role.VIEWER)
def index(request: HttpRequest) -> HttpResponse:
    """What the servers of the project can do, a row each, from their last checks."""
    found = matrix.rows(request.project)
    if downloads.asked(request):
        records = matrix.records(found)
        return downloads.table(request, "server.list", "servers", records, matrix.RECORD)
    columns = [(PROBES[name][0], name) for name in matrix.COLUMNS]
    return render(request, "evals/servers/index.html", {"rows": found, "columns": columns})
