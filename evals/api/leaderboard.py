"""Which model is best on a suite, and which differences are real."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Field, Query, Router, Schema

from evals import beside, leaderboard, rank_boards
from evals.api import suites
from evals.api.fields import Scoring
from evals.api.runs import Named, SuiteNamed
from evals.leaderboard import Row, View
from evals.models import Benchmark
from portal.api.callers import READ
from portal.api.problems import Problem, invalid

router = Router(tags=["Leaderboard"])


class Interval(Schema):
    value: float
    low: float
    high: float


class GapOut(Interval):
    """Paired difference to the first row on the same samples."""

    real: bool = Field(description="It could hardly be chance: p is at most 0.05.")
    p: float | None = Field(description="Corrected for the number of pairs on the board.")


class Figures(Schema):
    benchmark: str
    value: float | None
    low: float | None
    high: float | None
    method: str
    answered: int
    asked: int
    valid: bool


class Cell(Figures):
    run: int


class ImportedOut(Schema):
    """A model that others measured with lm-eval, where all that decides a score is the same."""

    model: str
    imported: int = Field(description="The import that it comes from.")
    scores: list[Figures]


class RowOut(Schema):
    candidate: Named
    rank_best: int | None
    rank_worst: int | None
    overall: Interval | None = Field(description="null unless every column is valid.")
    gap: GapOut | None
    scores: list[Cell]


class Column(Schema):
    name: str
    title: str
    language: str
    scoring: Scoring
    metric: str


class BoardOut(Schema):
    suite: SuiteNamed
    benchmarks: list[Column]
    rows: list[RowOut] = Field(description="Best first; ranks are ranges.")
    imported: list[ImportedOut] = Field(description="Results of others; they have no rank.")


class Filters(Schema):
    suite: str = Field(
        max_length=80, min_length=1, description="Its slug.", json_schema_extra={"example": "demo"}
    )
    version: int | None = Field(
        None, ge=1, le=2**31 - 1, description="Of the suite; the newest without it."
    )
    language: str = Field("", max_length=12, description="Only its benchmarks in this language.")
    scoring: Scoring | None = Field(None, description="Only its benchmarks asked in this way.")


@router.get("/leaderboard", auth=READ, response=BoardOut, operation_id="leaderboard")
def board(request: HttpRequest, filters: Query[Filters]) -> dict[str, Any]:
    """The leaderboard of a suite; 404 when the project has no such suite."""
    suite = suites.named(request, filters.suite, filters.version)
    if suite is None:
        hint = _("This project has no such suite. GET /api/v1/suites lists them.")
        raise Problem(404, hint)
    languages = sorted(set(suite.benchmarks.values_list("language", flat=True)))
    if filters.language and filters.language not in languages:
        hint = _("This suite has: %(languages)s.") % {"languages": ", ".join(languages)}
        raise invalid("language", hint, filters.language)
    view = View(language=filters.language, scoring=filters.scoring or "")
    found = leaderboard.board(suite, view)
    fields = ("name", "title", "language", "scoring", "metric")
    return {
        "suite": {
            "id": suite.pk, "name": suite.name, "slug": suite.slug, "version": suite.version,
        },
        "benchmarks": [
            {name: getattr(each, name) for name in fields} for each in found.benchmarks
        ],
        "rows": [row_out(row, found.benchmarks) for row in found.rows],
        "imported": [
            {
                "model": each.model,
                "imported": each.source.pk,
                "scores": _figures(each.cells, found.benchmarks),
            }
            for each in beside.shown(found)
        ],
    }  # fmt: skip


class RankOut(Schema):
    rank: int = Field(description="1 is best; what cannot be told apart shares it.")
    value: float = Field(description="1 is best, smaller is better.")
    low: float | None = Field(description="null under 16.x, which has no interval.")
    high: float | None


class LanguageRank(RankOut):
    language: str


class MissingOut(Schema):
    benchmark: str
    language: str
    reason: Literal["not_run", "not_valid", "no_replicates"]


class RankRow(Schema):
    model: str
    overall: RankOut | None = Field(description="null where a benchmark is missing.")
    languages: list[LanguageRank] = Field(description="Those without a missing benchmark.")
    benchmarks: int = Field(description="How many it has scores of.")
    missing: list[MissingOut]
    failed_extractions: int | None = Field(description="Answers in which nothing could be read.")
    starred: bool = Field(description="On a benchmark a tenth or more could not be read.")


class RankBoard(Schema):
    formula: Literal["18.0", "16.x"]
    benchmarks: int
    rows: list[RankRow] = Field(description="Best first; those without an overall score last.")


class RankFilters(Schema):
    suite: str = Field(
        "", max_length=80, description="Its slug; without it imported EuroEval records."
    )
    version: int | None = Field(
        None, ge=1, le=2**31 - 1, description="Of the suite; the newest without it."
    )
    formula: Literal["18.0", "16.x"] = Field("18.0", description="Of which EuroEval.")
    split: str | None = Field(
        None, max_length=16, description="Of imported records; what most have without it."
    )
    few_shot: bool | None = Field(
        None, description="Of imported records; what most have without it."
    )


@router.get("/rank-scores", auth=READ, response=RankBoard, operation_id="rank_scores")
def ranks(request: HttpRequest, filters: Query[RankFilters]) -> dict[str, Any]:
    """Rank scores as EuroEval counts them, of own results or of imported records, never mixed."""
    if not filters.suite:
        return _rank_board(_imported_ranks(request, filters))
    suite = suites.named(request, filters.suite, filters.version)
    if suite is None:
        hint = _("This project has no such suite. GET /api/v1/suites lists them.")
        raise Problem(404, hint)
    return _rank_board(rank_boards.own(suite, filters.formula))


def _imported_ranks(request: HttpRequest, filters: RankFilters) -> rank_boards.Board:
    project = request.project
    for variant in rank_boards.variants(project):
        if filters.split in (None, variant.split) and filters.few_shot in (None, variant.few_shot):
            return rank_boards.imported(project, variant, filters.formula)
    return rank_boards.Board(filters.formula, [], [])


def _rank_board(found: rank_boards.Board) -> dict[str, Any]:
    def told(rank: rank_boards.Rank) -> dict[str, Any]:
        return {"rank": rank.place, "value": rank.value, "low": rank.low, "high": rank.high}

    return {
        "formula": found.formula,
        "benchmarks": len(found.datasets),
        "rows": [
            {
                "model": row.name,
                "overall": told(row.overall) if row.overall else None,
                "languages": [
                    {"language": code, **told(row.ranks[code])}
                    for code in found.languages
                    if code in row.ranks
                ],
                "benchmarks": row.ranked,
                "missing": [
                    {"benchmark": each.title, "language": each.language, "reason": why}
                    for each, why in found.missing(row)
                ],
                "failed_extractions": row.failed,
                "starred": row.starred,
            }
            for row in found.rows
        ],
    }


def row_out(row: Row, benchmarks: list[Benchmark]) -> dict[str, Any]:
    """What `RowOut` holds."""
    best, worst = row.rank or (None, None)
    return {
        "candidate": {"id": row.candidate.pk, "name": row.candidate.name},
        "rank_best": best,
        "rank_worst": worst,
        "overall": row.overall and dict(zip(("value", "low", "high"), row.overall, strict=True)),
        "gap": row.gap and row.gap._asdict(),
        "scores": _figures(row.cells, benchmarks),
    }


def _figures(
    cells: Mapping[int, leaderboard.Cell | None], benchmarks: list[Benchmark]
) -> list[dict[str, Any]]:
    return [cell._asdict() | {"benchmark": each.name} for each in benchmarks
            if (cell := cells.get(each.pk))]  # fmt: skip
