"""Suites of benchmarks, and bringing shipped ones into the project."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Field, Query, Router, Schema, Status

from evals import suites, words
from evals.api.fields import Given, Pk, Scoring
from evals.models import Benchmark, Suite
from portal.api.callers import READ, RUN
from portal.api.paging import BIGGEST, Page, Paging, page
from portal.api.problems import Problem, invalid

router = Router(tags=["Suites"])
Slug = Annotated[str, Field(min_length=1, max_length=80, examples=["demo"])]


class SuiteOut(Schema):
    id: int
    slug: str
    version: int
    name: str
    description: str
    licence: str
    tags: list[str]
    sha256: str = Field(description="Of everything in it.")
    frozen_at: datetime | None = Field(description="Since its first run nothing in it can change.")
    benchmarks: int = Field(description="How many.")
    url: str


class BenchmarkOut(Schema):
    id: int
    name: str
    title: str
    family: str
    language: str
    engine: str
    scoring: Scoring
    metric: str
    tags: list[str]
    source: dict[str, str] = Field(
        description="Where the questions come from: repository, revision, licence, as far as said."
    )
    questions: int = Field(description="How many.")


class SuiteChoice(Given):
    slug: Slug


class Filters(Paging):
    slug: str = Field("", max_length=80, description="All versions of this suite.")


def in_project(request: HttpRequest) -> Any:
    return Suite.objects.in_project(request.project)


def shown(suite: Suite) -> dict[str, Any]:
    fields = ("slug", "version", "name", "description", "licence", "tags", "sha256", "frozen_at")
    return {
        "id": suite.pk,
        **{name: getattr(suite, name) for name in fields},
        "benchmarks": suite.count,  # type: ignore[attr-defined]
        "url": suite.get_absolute_url(),
    }


def shown_benchmark(benchmark: Benchmark) -> dict[str, Any]:
    fields = (
        "name", "title", "family", "language", "engine", "scoring", "metric", "tags", "source",
    )  # fmt: skip
    return {
        "id": benchmark.pk,
        **{name: getattr(benchmark, name) for name in fields},
        "questions": benchmark.questions.count,
    }


def named(request: HttpRequest, wanted: int | str, version: int | None = None) -> Suite | None:
    """The suite with this id, or the newest (or given) version with this slug."""
    mine = in_project(request).order_by("-version")
    if isinstance(wanted, int):
        return mine.filter(pk=wanted).first() if wanted <= BIGGEST else None
    return mine.filter(slug=wanted, **({"version": version} if version else {})).first()


@router.get("/suites", auth=READ, response=Page[SuiteOut], operation_id="suites")
def suites_list(request: HttpRequest, filters: Query[Filters]) -> dict[str, Any]:
    """The suites of the project, newest first; each version is one."""
    found = in_project(request).annotate(count=Count("benchmarks"))
    if filters.slug:
        found = found.filter(slug=filters.slug)
    return page(found, filters, shown)


@router.post(
    "/suites", auth=RUN, response={200: SuiteOut, 201: SuiteOut}, operation_id="install_suite"
)
def suite_install(request: HttpRequest, data: SuiteChoice, response: HttpResponse) -> Status:
    """Bring a suite that ships with the portal into the project; 200 when it is there already."""
    before = set(in_project(request).values_list("pk", flat=True))
    try:
        made = suites.install(request.project, data.slug, by=request.caller.user)
    except LookupError:
        known = ", ".join(sorted({each.slug for each in suites.shipped()}))
        hint = _("These suites come with the portal: %(known)s.") % {"known": known}
        raise invalid("slug", hint, data.slug) from None
    except suites.SuiteInvalid as error:
        raise Problem(409, words.told(error)) from error
    response["Location"] = f"/api/v1/suites/{made.pk}"
    found = in_project(request).annotate(count=Count("benchmarks")).get(pk=made.pk)
    return Status(200 if made.pk in before else 201, shown(found))


@router.get("/suites/{suite}", auth=READ, response=SuiteOut, operation_id="suite")
def suite_detail(request: HttpRequest, suite: Pk) -> dict[str, Any]:
    """One version of a suite."""
    found = in_project(request).annotate(count=Count("benchmarks"))
    return shown(get_object_or_404(found, pk=suite))


@router.get(
    "/suites/{suite}/benchmarks", auth=READ, response=Page[BenchmarkOut], operation_id="benchmarks"
)
def benchmarks_list(request: HttpRequest, suite: Pk, paging: Query[Paging]) -> dict[str, Any]:
    """What a suite measures: its columns, in their order."""
    found = get_object_or_404(in_project(request), pk=suite)
    rows = (
        Benchmark.objects.filter(suite=found)
        .select_related("questions")
        .defer("questions__lines", "task", "options")
    )
    return page(rows, paging, shown_benchmark, newest_first=False)
