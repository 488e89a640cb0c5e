from __future__ import annotations

from collections.abc import Iterable

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from evals import leaderboard
from evals.leaderboard import Board, Row, View
from evals.models import Suite
from evals.models.suites import Scoring
from evals.templatetags.evals import points, span
from portal import tables
from portal.accounts import audit
from portal.accounts.models import Role
from portal.accounts.permissions import require
from portal.ui import charts
from portal.ui.htmx import page_or_part
from portal.ui.tables import Sort, sort_of


@require(Role.VIEWER)
def index(request: HttpRequest) -> HttpResponse:
    suites = list(Suite.objects.in_project(request.project))
    used = next((suite for suite in suites if suite.frozen_at), suites[0] if suites else None)
    if used is None:
        return render(request, "evals/leaderboard/empty.html")
    return redirect("evals:board", slug=used.slug)


@require(Role.VIEWER)
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    suite, versions = _suite(request, slug)
    view = _view(request, suite)
    found = leaderboard.board(suite, view)
    keys = {"model", "overall", *(benchmark.name for benchmark in found.benchmarks)}
    sort = sort_of(request, keys, default="-overall")
    rows = _sorted(found, request.GET.get("q", ""), sort)
    context = {
        "suite": suite,
        "versions": versions,
        "suites": _newest(Suite.objects.in_project(request.project)),
        "view": view,
        "sort": sort,
        "board": found,
        "rows": [_row(found, row) for row in rows],
        "groups": _groups(found),
        "forest": _forest(rows),
        "languages": sorted({b.language for b in suite.benchmarks.all()}),
        "scorings": Scoring.choices,
    }
    return page_or_part(request, "evals/leaderboard/detail.html", context, part="board")


@require(Role.VIEWER)
def download(request: HttpRequest, slug: str, kind: str) -> HttpResponse:
    suite, _versions = _suite(request, slug)
    if kind not in tables.WRITERS:
        raise Http404
    rows = leaderboard.records(leaderboard.board(suite, _view(request, suite)))
    writer = tables.WRITERS[kind]
    response = HttpResponse(writer.write(rows), content_type=writer.content_type)
    audit.record(request.project, "leaderboard.export", suite, by=request.user, format=kind)
    name = f"leaderboard-{suite.slug}-v{suite.version}.{kind}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _suite(request: HttpRequest, slug: str) -> tuple[Suite, list[Suite]]:
    versions = list(
        Suite.objects.in_project(request.project)
        .filter(slug=slug)
        .order_by("-version")
        .prefetch_related("benchmarks")
    )
    wanted = request.GET.get("version", "")
    for suite in versions:
        if not wanted or str(suite.version) == wanted:
            return suite, versions
    raise Http404


def _newest(suites: Iterable[Suite]) -> list[Suite]:
    """One suite a slug, the newest version."""
    found = {suite.slug: suite for suite in sorted(suites, key=lambda suite: suite.version)}
    return sorted(found.values(), key=lambda suite: suite.name)


def _view(request: HttpRequest, suite: Suite) -> View:
    """The filter of the URL; unknown values mean "all" rather than an error page."""
    languages = {benchmark.language for benchmark in suite.benchmarks.all()}
    language = request.GET.get("language", "")
    scoring = request.GET.get("scoring", "")
    return View(
        language=language if language in languages else "",
        scoring=scoring if scoring in Scoring.values else "",
    )


def _sorted(found: Board, query: str, sort: Sort) -> list[Row]:
    """The rows whose name holds ``query``, by ``sort``; those without a value come last."""
    rows = [row for row in found.rows if query.lower() in row.candidate.name.lower()]
    if sort.key == "model":
        return sorted(rows, key=lambda row: row.candidate.name, reverse=sort.descending)
    benchmark = next((b for b in found.benchmarks if b.name == sort.key), None)

    def value(row: Row) -> float | None:
        if benchmark is None:
            return row.overall[0] if row.overall else None
        cell = row.cells[benchmark.pk]
        return cell.value if cell and cell.valid else None

    known = sorted((row for row in rows if value(row) is not None), key=value)  # type: ignore[arg-type]
    if sort.descending:
        known.reverse()
    return [*known, *(row for row in rows if value(row) is None)]


def _row(found: Board, row: Row) -> dict[str, object]:
    """Cells in column order, with how far up its column each one is (0 to 100, for the heat)."""
    cells = []
    for benchmark in found.benchmarks:
        cell = row.cells[benchmark.pk]
        column = [
            other.cells[benchmark.pk].value
            for other in found.rows
            if other.cells[benchmark.pk] and other.cells[benchmark.pk].valid
        ]
        column = [value for value in column if value is not None]
        heat = 0
        if cell and cell.value is not None and column and max(column) > min(column):
            heat = round(100 * (cell.value - min(column)) / (max(column) - min(column)))
        cells.append({"score": cell, "heat": heat, "benchmark": benchmark})
    return {"row": row, "cells": cells}


def _groups(found: Board) -> list[dict[str, object]]:
    """Header row above the benchmarks: languages with the number of their columns."""
    groups: list[dict[str, object]] = []
    for benchmark in found.benchmarks:
        if groups and groups[-1]["language"] == benchmark.language:
            groups[-1]["span"] += 1  # type: ignore[operator]
        else:
            groups.append({"language": benchmark.language, "span": 1})
    return groups


def _forest(rows: list[Row]) -> str:
    bars = [
        charts.Bar(
            name=row.candidate.name,
            value=row.overall[0],
            low=row.overall[1],
            high=row.overall[2],
            tip=f"{points(row.overall[0])} {span(*row.overall[1:])}",
            href=row.candidate.get_absolute_url(),
        )
        for row in rows
        if row.overall
    ]
    return charts.forest(bars, _("Overall score of each model")) if bars else ""
