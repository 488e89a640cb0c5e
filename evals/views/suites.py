from __future__ import annotations

from django.contrib import messages
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from evals import suites
from evals.models import Suite
from portal.accounts.models import Role
from portal.accounts.permissions import require


def get_suite(request: HttpRequest, pk: int) -> Suite:
    return get_object_or_404(Suite.objects.in_project(request.project), pk=pk)


@require(Role.VIEWER)
def index(request: HttpRequest) -> HttpResponse:
    found = Suite.objects.in_project(request.project).annotate(
        benchmark_count=Count("benchmarks"), question_count=Sum("benchmarks__questions__count")
    )
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
        messages.error(request, str(error))
        return redirect("evals:suites")


@require(Role.VIEWER)
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    suite = get_suite(request, pk)
    benchmarks = list(suite.benchmarks.select_related("questions"))
    return render(
        request,
        "evals/suites/detail.html",
        {
            "suite": suite,
            "benchmarks": benchmarks,
            "questions": sum(benchmark.questions.count for benchmark in benchmarks),
        },
    )
