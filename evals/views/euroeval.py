"""The real EuroEval on one model: start it, watch it, go on with it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from evals import euroeval
from evals.forms import EuroEvalForm
from evals.models import EuroEvalRun
from evals.models.imports import ExternalResult
from evals.views.candidates import get_candidate
from portal.accounts import audit
from portal.accounts.models import Role
from portal.accounts.permissions import require
from portal.ui.htmx import unchanged, wants_part
from workers import jobs


def get_run(request: HttpRequest, pk: int) -> EuroEvalRun:
    return get_object_or_404(EuroEvalRun.objects.of(request.project).for_list(), pk=pk)


@require(Role.ENGINEER)
def start(request: HttpRequest, pk: int) -> HttpResponse:
    candidate = get_candidate(request, pk)
    form = EuroEvalForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(euroeval.start(candidate, by=request.user, **form.cleaned_data))
        except euroeval.EuroEvalRefused as error:
            form.add_error(None, str(error))
    context = {
        "candidate": candidate,
        "form": form,
        "available": euroeval.available(),
        "runs": EuroEvalRun.objects.filter(candidate=candidate).order_by("-pk")[:20],
    }
    status = 422 if form.is_bound else 200
    return render(request, "evals/euroeval/start.html", context, status=status)


@require(Role.VIEWER)
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Progress, log and results; also the fragment that is polled while it runs."""
    run = get_run(request, pk)
    if wants_part(request) and request.GET.get("v") == str(run.version):
        return unchanged()
    results = ExternalResult.objects.filter(source__in=run.imports.all())
    context = {"run": run, "results": results.order_by("benchmark", "pk")}
    part = "#state" if wants_part(request) else ""
    return render(request, f"evals/euroeval/detail.html{part}", context)


@require_POST
@require(Role.ENGINEER)
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    run = get_run(request, pk)
    if jobs.resume(run):
        audit.record(request.project, "euroeval.resume", run.candidate, by=request.user)
    return redirect(run)
