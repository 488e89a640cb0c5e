from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from evals import candidates
from evals.forms import CandidateForm
from evals.models import Candidate, Run
from portal.accounts.models import Role
from portal.accounts.permissions import require
from portal.ui.htmx import unchanged, wants_part


def get_candidate(request: HttpRequest, pk: int) -> Candidate:
    return get_object_or_404(Candidate.objects.in_project(request.project).for_list(), pk=pk)


@require(Role.VIEWER)
def index(request: HttpRequest) -> HttpResponse:
    found = Candidate.objects.in_project(request.project).for_list()
    page = Paginator(found, 50).get_page(request.GET.get("page"))
    return render(request, "evals/candidates/index.html", {"page": page})


@require(Role.ENGINEER)
def create(request: HttpRequest) -> HttpResponse:
    form = CandidateForm(request.POST or None, project=request.project)
    if request.method == "POST" and form.is_valid():
        facts = {name: form.cleaned_data[name] for name in CandidateForm.Meta.fields}
        endpoint = form.endpoint_values
        candidate = candidates.register(
            request.project,
            by=request.user,
            **facts,
            **{**endpoint, "api_key": endpoint["api_key"] or ""},
        )
        return redirect(candidate)
    status = 422 if form.is_bound else 200
    return render(request, "evals/candidates/form.html", {"form": form}, status=status)


@require(Role.ENGINEER)
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    candidate = get_candidate(request, pk)
    form = CandidateForm(request.POST or None, instance=candidate, project=request.project)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            form.save()
            dropped = candidates.change_endpoint(
                candidate.endpoint, by=request.user, **form.endpoint_values
            )
        if dropped:
            messages.warning(
                request,
                _("The server changed, so the stored API key was forgotten. Enter it anew."),
            )
        return redirect(candidate)
    status = 422 if form.is_bound else 200
    return render(
        request, "evals/candidates/form.html", {"form": form, "candidate": candidate}, status=status
    )


@require(Role.VIEWER)
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """The candidate, its endpoint and check, its runs; also the fragment polled while checking."""
    candidate = get_candidate(request, pk)
    probe = candidate.endpoint.latest_probe
    context = {"candidate": candidate, "endpoint": candidate.endpoint, "probe": probe}
    if wants_part(request):
        if probe and request.GET.get("v") == str(probe.version):
            return unchanged()
        return render(request, "evals/candidates/detail.html#check", context)
    runs = list(Run.objects.filter(candidate=candidate).for_list()[:20])
    for run in runs:
        run.count_up()
    return render(request, "evals/candidates/detail.html", {**context, "runs": runs})


@require_POST
@require(Role.ENGINEER)
def check(request: HttpRequest, pk: int) -> HttpResponse:
    candidate = get_candidate(request, pk)
    candidates.check(candidate.endpoint, by=request.user)
    return redirect(candidate)
