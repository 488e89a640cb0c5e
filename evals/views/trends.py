from __future__ import annotations

import itertools
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from evals import trends
from evals.models import Candidate
from evals.templatetags.evals import points, span
from evals.trends import Series, Trend
from evals.words import titled
from portal.accounts.models import Role
from portal.accounts.permissions import fetch, require
from portal.ui import charts, downloads

CHARTS = 8  # on one page


@require(Role.VIEWER)
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    candidate = fetch(request, Candidate.objects.select_related("project"), pk=pk)
    others = trends.versions_of(candidate)
    asked = request.GET.getlist("m")
    chosen = [other for other in others if str(other.pk) in asked]
    suites = trends.suites_of([candidate, *chosen])
    slug = request.GET.get("suite", "")
    suite = next((s for s in suites if s.slug == slug), suites[0] if suites else None)
    context: dict[str, Any] = {"candidate": candidate, "others": others, "chosen": chosen,
                               "suites": suites, "suite": suite}  # fmt: skip
    if suite:
        found = trends.trend([candidate, *chosen], suite.slug, request.GET.get("language", ""))
        if downloads.asked(request):
            rows, name = trends.records(found), f"trend-{candidate.pk}-{suite.slug}"
            return downloads.table(
                request, "trend.export", name, rows, trends.COLUMNS, target=candidate
            )
        context |= _shown(request, found)
    return render(request, "evals/trends/detail.html", context)


def _shown(request: HttpRequest, found: Trend) -> dict[str, Any]:
    """Charts of one page of benchmarks, and the table of the same numbers."""
    page = Paginator(found.series, CHARTS).get_page(request.GET.get("page"))
    marks = [{p.run.pk: p for p in series.points} for series in page.object_list]
    return {
        "found": found,
        "page": page,
        "charts": [(series, _chart(found, series)) for series in page.object_list],
        "rows": [
            (run, found.numbers.get(run.pk), found.changes[run.pk],
             [points_of.get(run.pk) for points_of in marks])
            for run in reversed(found.runs)
        ],
    }  # fmt: skip


def _chart(found: Trend, series: Series) -> str:
    known = [p for p in series.points if p.mark.valid and p.mark.value is not None]
    if not known:
        return ""
    moments = [
        charts.Moment(
            point.run.created_at.timestamp(), point.mark.value or 0.0, point.mark.low,
            point.mark.high,
            f"{point.run.candidate.name} · {point.run.suite}\n{points(point.mark.value)} "
            f"{span(point.mark.low or 0.0, point.mark.high or 0.0)}\n"
            f"{date_format(localtime(point.run.created_at), 'SHORT_DATETIME_FORMAT')}",
            href=point.run.get_absolute_url(),
        )
        for point in known
    ]  # fmt: skip
    cuts = [
        charts.Cut(
            (before.run.created_at.timestamp() + after.run.created_at.timestamp()) / 2,
            str(found.numbers[after.run.pk]),
            stops=not after.comparable,
        )
        for before, after in itertools.pairwise(known)
        if after.run.pk in found.numbers
    ]
    ends = tuple(
        date_format(localtime(point.run.created_at), "SHORT_DATE_FORMAT")
        for point in (known[0], known[-1])
    )
    title = _("%(name)s over time") % {"name": titled(series.benchmark.title)}
    return charts.timeline(moments, title, cuts=cuts, ends=ends)  # type: ignore[arg-type]
