from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Prefetch, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from evals import forecasts, licences, set_scores, suites, tables, words
from evals.models import Benchmark, Run, Sample, Suite
from portal.accounts.models import Role
from portal.accounts.permissions import require
from portal.ui import downloads

QUESTIONS = 10  # on one page


def get_suite(request: HttpRequest, pk: int) -> Suite:
    return get_object_or_404(Suite.objects.in_project(request.project), pk=pk)


@require(Role.VIEWER)
def index(request: HttpRequest) -> HttpResponse:
    columns = Benchmark.objects.only("suite_id", "position", "language", "tags")
    found = list(
        Suite.objects.in_project(request.project)
        .annotate(question_count=Sum("benchmarks__questions__count"))
        .prefetch_related(Prefetch("benchmarks", columns))
    )
    for suite in found:
        suite.columns = list(suite.benchmarks.all())
        suite.languages = languages_of(suite.columns)
        suite.uses = tags_of(suite, suite.columns)
    if downloads.asked(request):
        rows = tables.suites(found)
        return downloads.table(request, "suite.list", "suites", rows, tables.SUITES)
    installed = {(suite.slug, suite.version) for suite in found}
    missing = [entry for entry in suites.shipped() if (entry.slug, entry.version) not in installed]
    return render(request, "evals/suites/index.html", {"suites": found, "missing": missing})


@require_POST
@require(Role.ENGINEER)
def install(request: HttpRequest) -> HttpResponse:
    slug = request.POST.get("slug", "")
    if slug not in {entry.slug for entry in suites.shipped()}:
        return redirect("evals:suites")
    try:
        return redirect(suites.install(request.project, slug, by=request.user))
    except suites.SuiteInvalid as error:
        messages.error(request, words.told(error))
        return redirect("evals:suites")


@require(Role.VIEWER)
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    suite = get_suite(request, pk)
    benchmarks = forecasts.planned(suite)
    if downloads.asked(request):
        name, rows = f"suite-{suite.slug}-v{suite.version}", tables.benchmarks(suite)
        return downloads.table(request, "suite.export", name, rows, tables.BENCHMARKS, target=suite)
    measured = Run.objects.filter(suite=suite).aggregate(
        models=Count("candidate", distinct=True), runs=Count("pk")
    )
    context = {
        "suite": suite,
        "benchmarks": benchmarks,
        "questions": sum(benchmark.asked for benchmark in benchmarks),
        "languages": languages_of(benchmarks),
        "tags": tags_of(suite, benchmarks),
        "outline": forecasts.outline(benchmarks),
        "measured": measured,
        "concerns": list(licences.concerns(suites.describe(suite))),
        "versions": Suite.objects.in_project(request.project).filter(slug=suite.slug),
    }
    return render(request, "evals/suites/detail.html", context)


@require(Role.VIEWER)
def benchmark(request: HttpRequest, pk: int) -> HttpResponse:
    """One benchmark: what it asks, its questions, and a prompt as a model has seen it."""
    found = get_object_or_404(
        Benchmark.objects.with_questions().select_related("suite"),
        pk=pk, suite__project=request.project,
    )  # fmt: skip
    page = Paginator(range(found.questions.count), QUESTIONS).get_page(request.GET.get("page"))
    rows = zip(page.object_list, found.questions.some(page.object_list), strict=False)
    shots = int(found.options.get("num_fewshot", 0))
    asked = Sample.objects.filter(part__benchmark=found, error="").select_related("part__run")
    context = {
        "benchmark": found,
        "suite": found.suite,
        "page": page,
        "questions": [(number, _fields(row)) for number, row in rows],
        "shots": shots,
        "protocol": set_scores.protocol_of(found),
        "examples": [_fields(row) for row in found.examples.some(range(shots))]
        if found.examples
        else [],
        "asked": asked.defer("part__values").order_by("doc_id", "-pk").first(),
        "task": json.dumps(found.task, ensure_ascii=False, indent=2),
    }
    return render(request, "evals/suites/benchmark.html", context)


def languages_of(benchmarks: Iterable[Benchmark]) -> list[str]:
    """Codes in the order in which they come first."""
    return list(dict.fromkeys(benchmark.language for benchmark in benchmarks))


def tags_of(suite: Suite, benchmarks: Iterable[Benchmark]) -> list[str]:
    """The use cases of the suite and of its benchmarks, each once."""
    tags = [*suite.tags, *(tag for benchmark in benchmarks for tag in benchmark.tags)]
    return list(dict.fromkeys(tags))


def _fields(row: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    """A row's fields as name, text and list; one of the two is empty."""
    return [
        (name, "", [str(item) for item in value])
        if isinstance(value, list)
        else (name, "" if value is None else str(value), [])
        for name, value in row.items()
    ]
