"""Saved boards, as people put them together."""

from __future__ import annotations

from typing import Annotated, Any

from django.db.models import Prefetch
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Path, Router, Schema

from evals import boards
from evals.api.leaderboard import Column, RowOut, row_out
from evals.models import SavedBoard, Suite
from portal.api.callers import READ

router = Router(tags=["Leaderboard"])


class SuiteOfBoard(Schema):
    slug: str
    version: int


class BoardSummary(Schema):
    slug: str
    name: str
    suites: list[SuiteOfBoard]
    languages: list[str] = Field(description="[] is all.")
    tags: list[str] = Field(description="Use cases; [] is all.")
    correction: str = Field(description="Of ranks for the number of pairs: holm or bh.")
    is_default: bool = Field(description="What the portal opens first.")
    shared: bool = Field(description="There is a public link.")
    url: str


class Weighted(Column):
    suite: SuiteOfBoard
    weight: float


class SavedBoardOut(BoardSummary):
    benchmarks: list[Weighted]
    rows: list[RowOut] = Field(description="Best first; ranks are ranges.")


def in_project(request: HttpRequest) -> Any:
    suites = Suite.objects.only("pk", "slug", "version")
    rows = SavedBoard.objects.filter(project=request.project)
    return rows.prefetch_related(Prefetch("suites", suites))


@router.get("/boards", auth=READ, response=list[BoardSummary], operation_id="list_boards")
def index(request: HttpRequest) -> list[dict[str, Any]]:
    """The saved boards of the project, by name."""
    return [_summary(request, saved) for saved in in_project(request).defer("fit")]


@router.get("/boards/{board}", auth=READ, response=SavedBoardOut, operation_id="get_board")
def detail(
    request: HttpRequest, board: Annotated[str, Path(description="Its `slug`.", example="europe")]
) -> dict[str, Any]:
    """One saved board by its address, with its results."""
    saved = get_object_or_404(in_project(request), slug=board)
    found = boards.compute(saved)
    fields = ("name", "title", "language", "scoring", "metric")
    return _summary(request, saved) | {
        "benchmarks": [
            {name: getattr(each, name) for name in fields}
            | {"suite": each.suite, "weight": found.weight(each)}
            for each in found.benchmarks
        ],
        "rows": [row_out(row, found.benchmarks) for row in found.rows],
    }


def _summary(request: HttpRequest, saved: SavedBoard) -> dict[str, Any]:
    fields = ("slug", "name", "languages", "tags", "correction", "is_default")
    return {name: getattr(saved, name) for name in fields} | {
        "suites": list(saved.suites.all()),
        "shared": bool(saved.share_digest),
        "url": request.build_absolute_uri(saved.get_absolute_url()),
    }
