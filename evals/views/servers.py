from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from evals import candidates, matrix
from evals.forms import ReplicaForm
from evals.llm import PROBES
from evals.views.candidates import get_candidate
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


@require_POST
@require(Role.ENGINEER)
def add(request: HttpRequest, pk: int) -> HttpResponse:
    """A further server of the model, which a check looks at before it is used."""
    candidate = get_candidate(request, pk)
    form = ReplicaForm(request.POST)
    if form.is_valid():
        try:
            candidates.add_replica(candidate.endpoint, by=request.user, **form.cleaned_data)
        except ValueError:
            messages.error(request, _("This server is known already."))
    for errors in form.errors.values():
        messages.error(request, " ".join(map(str, errors)))
    return redirect(f"{candidate.get_absolute_url()}#servers")


@require_POST
@require(Role.ENGINEER)
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the further server named in the form no more."""
    candidate = get_candidate(request, pk)
    wanted = request.POST.get("server", "")
    found = candidate.endpoint.replicas.filter(pk=wanted) if wanted.isdecimal() else []
    for replica in found:
        candidates.remove_replica(replica, by=request.user)
    return redirect(f"{candidate.get_absolute_url()}#servers")
