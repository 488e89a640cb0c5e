"""Rank scores as EuroEval counts them: of own results on a suite, and of imported records."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from evals import rank_boards, set_scores
from evals.models import Suite
from evals.rank_boards import FORMULAS, NEW, OVERALL, Board, Rank, Row, Variant
from evals.views.leaderboard import newest, suite_of
from evals.words import MISSING_RANKS, language_name, titled
from portal.accounts.models import Role
from portal.accounts.permissions import require
from portal.ui import charts, downloads

MOST_BARS = 15


@require(Role.VIEWER)
def own(request: HttpRequest, slug: str) -> HttpResponse:
    suite, versions = suite_of(request, slug)
    found = rank_boards.own(suite, _formula(request))
    if downloads.asked(request):
        rows = rank_boards.records(found, suite)
        return downloads.table(
            request, "leaderboard.export", f"rank-scores-{suite.slug}-v{suite.version}", rows,
            rank_boards.COLUMNS, target=suite, table="rank scores",
        )  # fmt: skip
    context = {"suite": suite, "versions": versions, **_context(request, found)}
    return render(request, "evals/leaderboard/rank_scores.html", context)


@require(Role.VIEWER)
def imported(request: HttpRequest) -> HttpResponse:
    variants = rank_boards.variants(request.project)
    variant = _variant(request, variants)
    found = Board(_formula(request), [], [])
    if variant:
        found = rank_boards.imported(request.project, variant, found.formula)
    if downloads.asked(request):
        return downloads.table(
            request, "result.list", "rank-scores-imported", rank_boards.records(found),
            rank_boards.COLUMNS, table="rank scores",
        )  # fmt: skip
    context = {
        "variants": [(_key(each), _words(each)) for each in variants],
        "variant": _key(variant) if variant else "",
        **_context(request, found),
    }
    return render(request, "evals/leaderboard/rank_scores.html", context)


def _formula(request: HttpRequest) -> str:
    asked = request.GET.get("formula", "")
    return asked if asked in FORMULAS else NEW


def _variant(request: HttpRequest, variants: list[Variant]) -> Variant | None:
    """The one asked for, else that with most records; None without records."""
    asked = request.GET.get("records", "")
    return next((each for each in variants if _key(each) == asked), None) or next(
        iter(variants), None
    )


def _key(variant: Variant) -> str:
    return f"{variant.split or '-'}|{'few' if variant.few_shot else 'zero'}"


def _words(variant: Variant) -> str:
    split = {"test": _("test split"), "val": _("validation split")}.get(
        variant.split, _("split not told")
    )
    shots = _("with examples") if variant.few_shot else _("without examples")
    return f"{split}, {shots}"


def _context(request: HttpRequest, found: Board) -> dict[str, Any]:
    styled = Suite.objects.in_project(request.project).filter(benchmarks__engine=set_scores.ENGINE)
    return {
        "board": found,
        "formulas": FORMULAS,
        "suites": newest(styled.distinct()),
        "rows": [_line(found, row) for row in found.rows],
        "languages": found.languages,
        "forest": _forest(found),
        "most_bars": MOST_BARS,
        "starred": any(row.starred for row in found.rows),
    }


def _line(found: Board, row: Row) -> dict[str, Any]:
    """A row of the table: cells for overall and each language, and what is missing in words."""
    missing = [(each, MISSING_RANKS[why]) for each, why in found.missing(row)]
    cells = []
    for code in (OVERALL, *found.languages):
        lacking = [
            f"{titled(each.title)}: {why}"
            for each, why in missing
            if code in (OVERALL, each.language)
        ]
        starred = any(
            row.given[each.key].starred
            for each in found.datasets
            if code in (OVERALL, each.language)
        )
        cells.append({"rank": row.ranks.get(code), "lacking": lacking, "starred": starred})
    return {
        "row": row,
        "cells": cells,
        "missing": [
            f"{titled(each.title)} ({language_name(each.language)}): {why}"
            if each.language
            else f"{titled(each.title)}: {why}"
            for each, why in missing
        ],
    }


def _forest(found: Board) -> str:
    """The best by overall rank score; all of them stand in the table."""
    ranked = [(row, row.overall) for row in found.rows if row.overall]
    bars = [
        charts.Bar(row.name, rank.value, rank.low, rank.high, _told(rank), href=row.href)
        for row, rank in ranked[:MOST_BARS]
    ]
    title = _("Rank score of each model; further left is better")
    return charts.forest(bars, title, scale=1, within=None) if bars else ""


def _told(rank: Rank) -> str:
    value = number_format(rank.value, 2)
    if rank.low is None or rank.high is None:
        return value
    return f"{value} [{number_format(rank.low, 2)} – {number_format(rank.high, 2)}]"
