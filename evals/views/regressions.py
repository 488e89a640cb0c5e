from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from evals import regressions
from evals.models import Candidate, Run, Suite
from evals.regressions import Report, Side
from evals.stats.intervals import Interval
from evals.templatetags.evals import language_name, points, signed
from evals.words import VERDICTS, titled
from portal.accounts.models import Role
from portal.accounts.permissions import require
from portal.ui import charts, downloads

SAMPLES = 25  # on one page


@require(Role.VIEWER)
def detail(request: HttpRequest) -> HttpResponse:
    sides = _side(request, "before"), _side(request, "after")
    margin = _margin(request)
    suite, suites = _suite(request, *sides)
    found = regressions.report(suite, *sides, margin) if suite else None  # type: ignore[arg-type]
    if found and downloads.asked(request):
        name = f"servings-{found.suite.slug}-v{found.suite.version}"
        rows = regressions.records(found)
        return downloads.table(
            request, "regression.export", name, rows, regressions.COLUMNS, target=found.suite
        )
    everyone = list(Candidate.objects.in_project(request.project).only("pk", "name", "project"))
    context = {
        "before": sides[0], "after": sides[1], "margin": margin, "suite": suite,
        "suites": suites, "everyone": everyone, "found": found,
        "runs": regressions.runs_to_choose(everyone), **_shown(request, found),
    }  # fmt: skip
    return render(request, "evals/regressions/detail.html", context)


def _shown(request: HttpRequest, found: Report | None) -> dict[str, Any]:
    """Plot, page of changed samples and their number by kind."""
    if found is None:
        return {}
    flips = [flip for flip in found.flips if request.GET.get("show", "") in ("", flip.kind)]
    page = Paginator(flips, SAMPLES).get_page(request.GET.get("page"))
    samples = regressions.samples_of(found, page.object_list)
    lines = [found.lines[flip.line] for flip in page.object_list]
    return {
        "plot": _plot(found),
        "page": page,
        "rows": list(zip(page.object_list, lines, samples, strict=True)),
        "show": request.GET.get("show", ""),
        "lost": sum(len(line.lost) for line in found.lines),
        "gained": sum(len(line.gained) for line in found.lines),
    }


def _side(request: HttpRequest, name: str) -> Side | None:
    """What the address names: m12 is a candidate, r34 a run; 404 for others' and for nonsense."""
    asked = request.GET.get(name, "")
    if not asked:
        return None
    kind, number = asked[0], asked[1:]
    if kind not in "mr" or not number.isdecimal() or len(number) > 18:
        raise Http404
    if kind == "m":
        rows = Candidate.objects.in_project(request.project).select_related("endpoint")
        if candidate := rows.filter(pk=number).first():
            return Side(candidate)
    elif run := Run.objects.in_project(request.project).filter(pk=number).first():
        return Side(run.candidate, run)
    raise Http404


def _suite(
    request: HttpRequest, before: Side | None, after: Side | None
) -> tuple[Suite | None, list[Suite]]:
    if before is None or after is None or before.key == after.key:
        return None, []
    suites = regressions.suites_of(before, after)
    asked = request.GET.get("suite", ""), request.GET.get("version", "")
    fitting = [suite for suite in suites if (suite.slug, str(suite.version)) == asked]
    return next(iter(fitting or suites), None), suites


def _margin(request: HttpRequest) -> float:
    """The margin of the address in points, "1,5" too, as a share; the usual one for nonsense."""
    try:
        margin = float(request.GET.get("margin", "").replace(",", ".")) / 100
    except ValueError:
        return regressions.MARGIN
    return margin if 0 < margin < 1 else regressions.MARGIN


def _plot(found: Report) -> str:
    def bar(name: str, group: str, change: Interval, said: str) -> charts.Bar:
        span = f"[{signed(change.low)} – {signed(change.high)}]"
        tip = f"{signed(change.value)} {span}\n{VERDICTS[said]} · n = {change.n}"
        return charts.Bar(name, change.value, change.low, change.high, tip, group=group)

    bars = [bar(_("Overall"), "", found.overall, found.verdict)] if found.overall else []
    bars += [
        bar(titled(line.benchmark.title), language_name(line.benchmark.language), line.change,
            line.verdict)
        for line in found.compared if line.change
    ]  # fmt: skip
    title = _("Change on each benchmark, in points; margin %(margin)s")
    return charts.differences(bars, title % {"margin": points(found.margin)}) if bars else ""
