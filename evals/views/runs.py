from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Avg, Count, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from evals import runs
from evals.forms import RunForm
from evals.models import Run, Sample, Suite
from portal.accounts.models import Role
from portal.accounts.permissions import require
from portal.ui.htmx import unchanged

FILTERS = {
    "": Q(),
    "wrong": Q(error="", correct=False),
    "correct": Q(error="", correct=True),
    "error": ~Q(error=""),
}


def get_run(request: HttpRequest, pk: int) -> Run:
    return get_object_or_404(Run.objects.in_project(request.project).for_list(), pk=pk)


@require(Role.VIEWER)
def index(request: HttpRequest) -> HttpResponse:
    page = Paginator(Run.objects.in_project(request.project).for_list(), 50).get_page(
        request.GET.get("page")
    )
    for run in page:
        run.count_up()
    return render(request, "evals/runs/index.html", {"page": page})


@require(Role.ENGINEER)
def create(request: HttpRequest) -> HttpResponse:
    suite = request.GET.get("suite") or Suite.objects.in_project(request.project).first()
    initial = {"suite": suite, "candidates": request.GET.getlist("model")}
    form = RunForm(request.POST or None, project=request.project, initial=initial)
    refused: list[tuple[str, list[dict[str, Any]]]] = []
    if request.method == "POST" and form.is_valid():
        started = []
        for candidate in form.cleaned_data["candidates"]:
            try:
                started.append(
                    runs.start(
                        candidate,
                        form.cleaned_data["suite"],
                        scoring=form.cleaned_data["scoring"],
                        again=form.cleaned_data["again"],
                        by=request.user,
                    )
                )
            except runs.CannotStart as error:
                refused.append((candidate.name, error.evidence))
                form.add_error("candidates", f"{candidate.name}: {error}")
        if started and not refused:
            return redirect(started[0] if len(started) == 1 else "evals:runs")
        if started:
            count = len(started)
            said = ngettext("%(count)s run was started.", "%(count)s runs were started.", count)
            messages.info(request, said % {"count": count})
    return render(
        request,
        "evals/runs/new.html",
        {"form": form, "refused": refused},
        status=422 if form.is_bound else 200,
    )


@require(Role.VIEWER)
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    run = get_run(request, pk)
    show = request.GET.get("show", "")
    part = request.GET.get("benchmark", "")
    samples = Sample.objects.filter(FILTERS.get(show, Q()), part__run=run).select_related(
        "part__benchmark"
    )
    if part:
        samples = samples.filter(part__benchmark__name=part)
    samples = samples.defer("raw", "loglikelihoods", "choices").order_by(
        "part__benchmark__position", "doc_id"
    )
    page = Paginator(samples, 50).get_page(request.GET.get("page"))
    context = {**_progress(run), "page": page, "show": show, "benchmark": part}
    return render(request, "evals/runs/detail.html", context)


@require(Role.VIEWER)
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """The live part of a run's page; 204 while nothing has changed."""
    run = get_run(request, pk)
    run.count_up()
    if request.GET.get("v") == str(run.version):
        return unchanged()
    context = _progress(get_run(request, pk))
    return render(request, "evals/runs/detail.html#progress", context)


def _progress(run: Run) -> dict[str, object]:
    parts = list(run.parts.select_related("benchmark").prefetch_related("scores"))
    run.count_up(parts)
    so_far = {
        row["part"]: row
        for row in Sample.objects.filter(part__run=run, error="")
        .values("part")
        .annotate(mean=Avg("value"), answered=Count("pk"))
        .order_by()
    }
    for part in parts:
        part.so_far = so_far.get(part.pk)
        part.score = next(
            (score for score in part.scores.all() if score.metric == part.benchmark.metric), None
        )
    figures = Sample.objects.filter(part__run=run).aggregate(
        prompt=Sum("prompt_tokens"), completion=Sum("completion_tokens"), latency=Avg("latency_ms")
    )
    values = [part.so_far["mean"] for part in parts if part.so_far]
    figures["mean"] = sum(values) / len(values) if values else None
    return {"run": run, "parts": parts, "figures": figures}


@require_POST
@require(Role.ENGINEER)
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    run = get_run(request, pk)
    try:
        runs.resume(run, by=request.user)
    except runs.CannotStart as error:
        messages.error(request, str(error))
    return redirect(run)


@require(Role.VIEWER)
def sample(request: HttpRequest, run_pk: int, pk: int) -> HttpResponse:
    """One exchange, with the neighbours of the same benchmark for stepping through."""
    run = get_run(request, run_pk)
    found = get_object_or_404(
        Sample.objects.select_related("part__benchmark"), pk=pk, part__run=run
    )
    siblings = Sample.objects.filter(part=found.part)
    context = {
        "run": run,
        "sample": found,
        "benchmark": found.part.benchmark,
        "previous": siblings.filter(doc_id__lt=found.doc_id).order_by("-doc_id").first(),
        "next": siblings.filter(doc_id__gt=found.doc_id).order_by("doc_id").first(),
        "others": Sample.objects.filter(
            part__benchmark=found.part.benchmark,
            doc_id=found.doc_id,
            part__run__candidate__project=request.project,
        )
        .exclude(part__run__candidate=run.candidate)
        .select_related("part__run__candidate"),
        "options": _options(found),
    }
    return render(request, "evals/runs/sample.html", context)


def _options(sample: Sample) -> list[dict[str, object]]:
    """The choices with their log-likelihood and probability among each other, best first."""
    from math import exp

    if not sample.loglikelihoods:
        return []
    top = max(sample.loglikelihoods)
    weights = [exp(value - top) for value in sample.loglikelihoods]
    rows = [
        {
            "text": choice,
            "loglikelihood": value,
            "share": weight / sum(weights),
            "chosen": choice == sample.answer,
            "right": choice == sample.target,
        }
        for choice, value, weight in zip(
            sample.choices, sample.loglikelihoods, weights, strict=True
        )
    ]
    return sorted(rows, key=lambda row: -float(row["share"]))
