from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from evals import compare
from evals.compare import Comparison, Flip, Flips, Kind
from evals.models import Benchmark, Candidate, Sample, Suite
from evals.templatetags.evals import language_name, points, signed
from evals.views.leaderboard import MANY_COLUMNS
from evals.words import ability, titled
from portal.accounts.models import Role
from portal.accounts.permissions import require
from portal.ui import charts, downloads
from portal.ui.downloads import Download

SAMPLES = 25  # on one page
# What parts the benchmarks → how the address says "a row for each", and the words of the tab.
ROWS = {
    "language": ("languages", gettext_lazy("A row for each language")),
    "family": ("families", gettext_lazy("A row for each ability")),
}


@require(Role.VIEWER)
def detail(request: HttpRequest) -> HttpResponse:
    chosen = _chosen(request)
    everyone = list(Candidate.objects.in_project(request.project).only("pk", "name", "project"))
    context = {"chosen": chosen, "everyone": everyone, "slots": _slots(chosen)}
    suite, suites = _suite(request, chosen)
    context |= {"suite": suite, "suites": suites}
    if suite is None:
        return render(request, "evals/compare/detail.html", context)
    found = compare.compare(suite, chosen)
    if downloads.asked(request):
        return _table(request, found)
    show, benchmark = _filter(request)
    lines = _lines(request, found)
    every = compare.flips(found, benchmark)
    page = Paginator(every.of(show), SAMPLES).get_page(request.GET.get("page"))
    context |= {
        "found": found,
        "lines": lines,
        "tabs": ROWS.get(found.grouped_by),
        "plot": _plot(found, lines),
        "radar": _radar(found),
        "show": show,
        "benchmark": benchmark,
        "kinds": [(kind, label, every.counts[kind]) for kind, label in Kind.choices],
        "page": page,
        "rows": _rows(found, list(page.object_list)),
        "query": _query(request),
    }
    return render(request, "evals/compare/detail.html", context)


def _table(request: HttpRequest, found: Comparison) -> Download:
    suite, models = found.suite, [candidate.name for candidate in found.candidates]
    name = f"compare-{suite.slug}-v{suite.version}"
    rows = compare.records(found)
    return downloads.table(
        request, "compare.export", name, rows, compare.COLUMNS, target=suite, models=models
    )


@require(Role.VIEWER)
def sample(request: HttpRequest, pk: int, doc_id: int) -> HttpResponse:
    """One question, and what each of the compared models made of it."""
    benchmark = get_object_or_404(
        Benchmark.objects.select_related("suite"), pk=pk, suite__project=request.project
    )
    chosen = _chosen(request)
    if len(chosen) < compare.LEAST:
        return redirect("evals:compare")
    found = compare.compare(benchmark.suite, chosen)
    line = next(line for line in found.lines if line.benchmark.pk == pk)
    parts = [cell.part for cell in line.cells if cell.part]
    samples = {s.part_id: s for s in Sample.objects.filter(part__in=parts, doc_id=doc_id)}
    if not samples:
        raise Http404
    show, only = _filter(request)
    context = {
        "benchmark": benchmark,
        "doc_id": doc_id,
        "found": found,
        "first": next(iter(samples.values())),
        "same_prompt": len({s.prompt for s in samples.values()}) == 1,
        "answers": [(c, samples.get(c.part.pk) if c.part else None) for c in line.cells],
        **_neighbours(found, compare.flips(found, only).of(show), pk, doc_id),
    }
    return render(request, "evals/compare/sample.html", context)


def _query(request: HttpRequest) -> str:
    """The address's parameters without page and benchmark, to add others to."""
    kept = request.GET.copy()
    kept.pop("page", None)
    kept.pop("benchmark", None)
    return kept.urlencode()


def _chosen(request: HttpRequest) -> list[Candidate]:
    """The candidates of the address in its order, each once, at most four; 404 for others'."""
    asked = list(dict.fromkeys(value for value in request.GET.getlist("m") if value))
    if not all(value.isdecimal() and len(value) < 19 for value in asked):
        raise Http404
    rows = Candidate.objects.in_project(request.project).select_related("endpoint")
    found = {str(candidate.pk): candidate for candidate in rows.filter(pk__in=asked)}
    if len(found) < len(asked):
        raise Http404
    return [found[value] for value in asked][: compare.MOST]


def _suite(request: HttpRequest, chosen: list[Candidate]) -> tuple[Suite | None, list[Suite]]:
    """The suite of the address, else the one that most of ``chosen`` were measured on."""
    if len(chosen) < compare.LEAST:
        return None, []
    suites = compare.suites_of(chosen)
    slug, version = request.GET.get("suite", ""), request.GET.get("version", "")
    fitting = [
        suite
        for suite in suites
        if slug in ("", suite.slug) and version in ("", str(suite.version))
    ]
    return next(iter(fitting or suites), None), suites


def _slots(chosen: list[Candidate]) -> list[Candidate | None]:
    """What stands in each of the four choices of the page."""
    return [*chosen, *[None] * (compare.MOST - len(chosen))]


def _filter(request: HttpRequest) -> tuple[str, str]:
    """Kind and benchmark of the address; an unknown kind means all."""
    show = request.GET.get("show", "")
    return show if show in Kind.values else "", request.GET.get("benchmark", "")


def _rows(found: Comparison, page: list[Flip]) -> list[dict[str, object]]:
    labels = dict(Kind.choices)
    return [
        {
            "benchmark": found.lines[flip.line].benchmark,
            "doc_id": flip.doc_id,
            "kind": labels[flip.kind],
            "sample": next((sample for sample in samples if sample), None),
            "samples": samples,
        }
        for flip, samples in zip(page, compare.samples_of(found, page), strict=True)
    ]


def _neighbours(
    found: Comparison, order: Flips, pk: int, doc_id: int
) -> dict[str, tuple[int, int] | None]:
    """The samples before and after this one in the list that the person came from."""
    line = next(at for at, line in enumerate(found.lines) if line.benchmark.pk == pk)
    here = order.index_of(line, doc_id)

    def place(at: int) -> tuple[int, int] | None:
        if here is None or not 0 <= at < len(order):
            return None
        return found.lines[order[at].line].benchmark.pk, order[at].doc_id

    return {"previous": place((here or 0) - 1), "next": place((here or 0) + 1)}


def _lines(request: HttpRequest, found: Comparison) -> str:
    """One row a language or family, or one a benchmark; without a choice what can be taken in."""
    if found.grouped_by not in ROWS:
        return "benchmarks"
    groups, _words = ROWS[found.grouped_by]
    asked = request.GET.get("rows", "")
    if asked in (groups, "benchmarks"):
        return asked
    return groups if len(found.lines) > MANY_COLUMNS else "benchmarks"


def _group_name(found: Comparison, name: str) -> str:
    return language_name(name) if found.grouped_by == "language" else ability(name)


def _plot(found: Comparison, lines: str) -> str:
    """Differences to the first candidate, overall on top; of groups where benchmarks are many."""
    several = len(found.candidates) > compare.LEAST
    colours = {candidate.pk: at + 1 for at, candidate in enumerate(found.candidates)}
    words = {True: _("real"), False: _("could be chance")}
    bars = []
    for language, name, cells in [("", _("Overall"), found.overall), *_plotted(found, lines)]:
        for cell in cells[1:]:
            if cell.figures is None:
                continue
            gap = cell.figures.gap
            tip = f"{signed(gap.value)} [{signed(gap.low)} – {signed(gap.high)}]\n{words[gap.real]}"
            group = " · ".join(filter(None, (name, language))) if several else language
            bars.append(
                charts.Bar(
                    cell.candidate.name if several else name, gap.value, gap.low, gap.high,
                    f"{tip} · n = {cell.figures.n}",
                    group=group, colour=colours[cell.candidate.pk],
                )
            )  # fmt: skip
    title = _("Difference to %(name)s") % {"name": found.candidates[0].name}
    return charts.differences(bars, title) if bars else ""


def _plotted(found: Comparison, lines: str) -> list[tuple[str, str, list[Any]]]:
    """Heading, name and cells of what stands below "Overall"."""
    if found.groups and (lines != "benchmarks" or len(found.lines) > MANY_COLUMNS):
        return [("", _group_name(found, group.name), group.overall) for group in found.groups]
    return [
        (language_name(line.benchmark.language), titled(line.benchmark.title), line.cells)
        for line in found.lines
    ]


def _radar(found: Comparison) -> str:
    """Mean scores by family, else by language, of two or three models on three to eight axes."""
    if len(found.candidates) > 3:
        return ""
    for of in ("family", "language"):
        axes: dict[str, list[compare.Line]] = {}
        for line in found.shared:
            axes.setdefault(getattr(line.benchmark, of), []).append(line)
        if 3 <= len(axes) <= 8:
            break
    else:
        return ""
    shapes = []
    for at, candidate in enumerate(found.candidates):
        means = [sum(li.cells[at].score.value for li in ls) / len(ls) for ls in axes.values()]
        shapes.append(charts.Shape(candidate.name, [min(1, max(0, m)) for m in means], at + 1))
    names = [language_name(axis) if of == "language" else ability(axis) for axis in axes]
    said = [
        f"{shape.name}: "
        + ", ".join(f"{n} {points(v)}" for n, v in zip(names, shape.values, strict=True))
        for shape in shapes
    ]
    return charts.radar(names, shapes, "; ".join(said))
