from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from evals import beside, boards, leaderboard, rank_boards
from evals.beside import Imported
from evals.boards import Found
from evals.leaderboard import Board, Models, Place, Row, View
from evals.models import Suite
from evals.models.suites import Scoring
from evals.stats.ranks import DEFAULT
from evals.templatetags.evals import points, span
from evals.words import CORRECTIONS
from portal.accounts.models import Role
from portal.accounts.permissions import require
from portal.ui import charts, downloads
from portal.ui.downloads import Download
from portal.ui.htmx import page_or_part
from portal.ui.tables import Sort, sort_of

MANY_COLUMNS = 12  # more benchmarks than this are first shown as one column a language
MOST_BARS = 15


@require(Role.VIEWER)
def index(request: HttpRequest) -> HttpResponse:
    """The board that the project opens first: its default one, else that of a suite in use."""
    if chosen := boards.default_of(request.project):
        return redirect(chosen)
    suites = list(Suite.objects.in_project(request.project))
    used = next((suite for suite in suites if suite.frozen_at), suites[0] if suites else None)
    if used is None:
        return render(request, "evals/leaderboard/empty.html")
    return redirect("evals:board", slug=used.slug)


@require(Role.VIEWER)
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    suite, versions = suite_of(request, slug)
    view, models = _view(request, suite), _models(request)
    columns = _columns(request, suite, view)
    by_language, correction = columns == "languages", _correction(request)
    found = leaderboard.board(suite, view, by_language=by_language, correction=correction)
    sort = sort_of(request, {"model", "overall", *_keys(found, columns)}, default="-overall")
    kept = [row for row in found.rows if models.holds(row.candidate)]
    others = [each for each in beside.shown(found) if models.names(each.model)]
    if downloads.asked(request):
        return _table(request, replace(found, rows=kept), others)
    rows = _sorted(kept, found, sort)
    context = {
        "suite": suite,
        "versions": versions,
        "suites": newest(Suite.objects.in_project(request.project)),
        "view": view,
        "models": models,
        "sort": sort,
        "columns": columns,
        "choice": len(found.languages) > 1,
        "board": found,
        "rows": _lines(found, rows, columns),
        "imported": _imported(found, others) if columns == "benchmarks" else [],
        "groups": _groups(found),
        "leaders": _leaders(found),
        "forest": _forest(rows),
        "corrections": CORRECTIONS.items(),
        "most_bars": MOST_BARS,
        "ranked": bool(rank_boards.ranked_of(suite)),
        **_choices(found, suite),
    }
    return page_or_part(request, "evals/leaderboard/detail.html", context, part="board")


def _table(request: HttpRequest, found: Board, others: list[Imported]) -> Download:
    suite = found.suite
    name = f"leaderboard-{suite.slug}-v{suite.version}"
    rows = leaderboard.records(found) + beside.records(found, others)
    return downloads.table(
        request, "leaderboard.export", name, rows, leaderboard.COLUMNS, target=suite
    )


def suite_of(request: HttpRequest, slug: str) -> tuple[Suite, list[Suite]]:
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


def newest(suites: Iterable[Suite]) -> list[Suite]:
    """One suite a slug, the newest version."""
    found = {suite.slug: suite for suite in sorted(suites, key=lambda suite: suite.version)}
    return sorted(found.values(), key=lambda suite: suite.name)


def _view(request: HttpRequest, suite: Suite) -> View:
    """The filter of the URL; unknown values mean "all" rather than an error page."""
    known = _choices_of(suite)
    asked = {name: request.GET.get(name, "") for name in View._fields}
    return View(**{name: value if value in known[name] else "" for name, value in asked.items()})


def _correction(request: HttpRequest) -> str:
    asked = request.GET.get("correction", "")
    return asked if asked in CORRECTIONS else DEFAULT


def _choices_of(suite: Suite) -> dict[str, list[str]]:
    """What each field of a view can be on ``suite``."""
    benchmarks = suite.benchmarks.all()
    return {
        "language": sorted({benchmark.language for benchmark in benchmarks}),
        "scoring": [value for value in Scoring.values if value],
        "tag": sorted({tag for benchmark in benchmarks for tag in benchmark.tags}),
    }


def _choices(found: Board, suite: Suite) -> dict[str, Any]:
    """What can be chosen in the filter."""
    known = _choices_of(suite)
    candidates = [row.candidate for row in found.rows]
    return {
        "languages": known["language"],
        "scorings": Scoring.choices,
        "tags": known["tag"],
        "licences": sorted({c.licence for c in candidates} - {""}),
        "quantisations": sorted({c.quantisation for c in candidates} - {""}),
    }


def _models(request: HttpRequest) -> Models:
    return Models(
        text=request.GET.get("q", "").strip(),
        smallest=_size(request.GET.get("smallest", "")),
        largest=_size(request.GET.get("largest", "")),
        licence=request.GET.get("licence", ""),
        quantisation=request.GET.get("quantisation", ""),
    )


def _size(text: str) -> float | None:
    """Billions as a person types them, "7,5" too; None for anything else."""
    try:
        size = float(text.replace(",", "."))
    except ValueError:
        return None
    return size if 0 <= size < 1e6 else None


def _columns(request: HttpRequest, suite: Suite, view: View) -> str:
    """One column a language, or one a benchmark; without a choice what can be taken in."""
    benchmarks = leaderboard.shown(suite, view)
    if len({benchmark.language for benchmark in benchmarks}) < 2:
        return "benchmarks"
    usual = "languages" if len(benchmarks) > MANY_COLUMNS else "benchmarks"
    asked = request.GET.get("columns", "")
    return asked if asked in ("languages", "benchmarks") else usual


def _keys(found: Board, columns: str) -> list[str]:
    """What the columns are sorted by."""
    if columns == "languages":
        return found.languages
    return [benchmark.name for benchmark in found.benchmarks]


def _sorted(rows: list[Row], found: Board, sort: Sort) -> list[Row]:
    """``rows`` by ``sort``; those without a value come last."""
    if sort.key == "model":
        return sorted(rows, key=lambda row: row.candidate.name, reverse=sort.descending)
    benchmark = next((b for b in found.benchmarks if b.name == sort.key), None)

    def value(row: Row) -> float | None:
        if place := row.languages.get(sort.key):
            return place.overall[0]
        if benchmark and (cell := row.cells[benchmark.pk]) and cell.valid:
            return cell.value
        return row.overall[0] if sort.key == "overall" and row.overall else None

    known = sorted((row for row in rows if value(row) is not None), key=value)  # type: ignore[arg-type]
    if sort.descending:
        known.reverse()
    return [*known, *(row for row in rows if value(row) is None)]


def _lines(found: Board, rows: list[Row], columns: str) -> list[dict[str, Any]]:
    """Each row with its cells in the order of the columns, and its comparison to the first."""
    cells = _by_language(found) if columns == "languages" else cells_by_benchmark(found)
    first, *others = [row.candidate.pk for row in found.ranked] or [None]
    address = f"{reverse('evals:compare')}?suite={found.suite.slug}&version={found.suite.version}"
    lines = []
    for row in rows:
        rival = first if row.candidate.pk != first else others[0] if others else None
        compare = f"{address}&m={first}&m={row.candidate.pk if rival == first else rival}"
        lines.append(
            {
                "row": row,
                "cells": cells(row),
                "compare": compare if row.overall and rival else "",
            }
        )
    return lines


def cells_by_benchmark(found: Board | Found) -> Callable[[Row], list[tuple[Any, int, str]]]:
    """What `board_cells` shows of a row: each result, its heat and where its samples are."""
    columns = [(benchmark.pk, benchmark.name) for benchmark in found.benchmarks]
    heats = _heats(found)
    address: dict[int, str] = {}

    def cells(row: Row) -> list[tuple[Any, int, str]]:
        made: list[tuple[Any, int, str]] = []
        for pk, name in columns:
            if (cell := row.cells[pk]) is None:
                made.append((None, 0, ""))
                continue
            if cell.run not in address:
                address[cell.run] = reverse("evals:run", args=[cell.run])
            href = f"{address[cell.run]}?benchmark={name}#samples"
            made.append((cell, heats[pk](cell.value), href))
        return made

    return cells


def _heats(found: Board | Found) -> dict[int, Callable[[float | None], int]]:
    """How far up its column a value is, by benchmark."""
    return {
        benchmark.pk: _heat(
            cell.value
            for row in found.rows
            if (cell := row.cells[benchmark.pk]) and cell.valid and cell.value is not None
        )
        for benchmark in found.benchmarks
    }


def _imported(found: Board, others: list[Imported]) -> list[dict[str, Any]]:
    """Imported results as `_lines` has own ones; each leads to the samples in its file."""
    heats = _heats(found)
    lines = []
    for each in others:
        address = reverse("evals:import_samples", args=[each.source.pk])
        cells = []
        for benchmark in found.benchmarks:
            cell = each.cells.get(benchmark.pk)
            href = f"{address}?{urlencode({'task': benchmark.name})}"
            cells.append((cell, heats[benchmark.pk](cell.value) if cell else 0, href))
        lines.append({"row": each, "cells": cells})
    return lines


def _by_language(found: Board) -> Callable[[Row], list[tuple[Any, int, str]]]:
    def mean(row: Row, language: str) -> float | None:
        place = row.languages.get(language)
        return place.overall[0] if place else None

    heats = {
        language: _heat(value for row in found.rows if (value := mean(row, language)) is not None)
        for language in found.languages
    }
    query = {"version": found.suite.version, "scoring": found.view.scoring, "tag": found.view.tag}
    kept = {name: value for name, value in query.items() if value}
    address = {
        language: f"?{urlencode({**kept, 'language': language})}" for language in found.languages
    }

    def cells(row: Row) -> list[tuple[Any, int, str]]:
        return [
            (row.languages.get(code), heats[code](mean(row, code)), address[code])
            for code in found.languages
        ]

    return cells


def _heat(values: Iterable[float]) -> Callable[[float | None], int]:
    """How far up its column a value is: 0 to 100."""
    known = list(values)
    low, high = min(known, default=0.0), max(known, default=0.0)

    def heat(value: float | None) -> int:
        return round(100 * (value - low) / (high - low)) if value is not None and high > low else 0

    return heat


def _leaders(found: Board) -> list[dict[str, Any]]:
    """Who is first overall and in each language, and how many could be just as good."""

    def leading(place_of: Callable[[Row], Place | None]) -> dict[str, Any]:
        placed = [(place, row) for row in found.rows if (place := place_of(row))]
        if not placed:
            return {"row": None, "shared": 0}
        place, row = max(placed, key=lambda pair: pair[0].overall[0])
        return {"row": row, "place": place, "shared": sum(p.leads for p, _row in placed) - 1}

    return [
        {"language": "", **leading(lambda row: row.place)},
        *(
            {"language": code, **leading(lambda row, code=code: row.languages.get(code))}
            for code in found.languages
        ),
    ]


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
    """The best of ``rows``; all of them stand in the table."""
    ranked = sorted((row for row in rows if row.overall), key=lambda row: -row.overall[0])
    bars = [
        charts.Bar(
            name=row.candidate.name,
            value=row.overall[0],
            low=row.overall[1],
            high=row.overall[2],
            tip=f"{points(row.overall[0])} {span(*row.overall[1:])}",
            href=row.candidate.get_absolute_url(),
        )
        for row in ranked[:MOST_BARS]
    ]
    return charts.forest(bars, _("Overall score of each model")) if bars else ""
