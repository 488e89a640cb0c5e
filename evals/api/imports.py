"""Take in what others measured; it stands apart from own results."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from django.db.models import Count
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Field, Query, Router, Schema, Status
from pydantic import StringConstraints

from evals import imports, words
from evals.api.fields import Given
from evals.formats import boards
from evals.formats.given import Fault as Place
from evals.models import ExternalResult, Import
from portal.api.callers import READ, RUN
from portal.api.paging import BIGGEST, Page, Paging, page
from portal.api.problems import Fault, Problem, invalid

router = Router(tags=["External results"])
SHOWN_FAULTS = 50


class NewImport(Given):
    name: Annotated[str, Field(min_length=1, max_length=200, examples=["results.jsonl"])]
    content: Annotated[str, StringConstraints(min_length=1, strip_whitespace=False)] = Field(
        description="The file as text: lm-eval's results, EuroEval's JSON lines, or a board."
    )
    source: Annotated[str, Field(max_length=200)] = Field("", description="A board needs it.")
    url: Annotated[str, Field(max_length=500)] = Field("", description="Kept as text.")
    dated: Annotated[date, Field(strict=False)] | None = Field(
        None, description="When the results were published; a board needs it."
    )
    columns: dict[str, str] | None = Field(
        None, description=f"What each column of a board is: {', '.join(boards.ROLES)}."
    )


class UnusableOut(Schema):
    line: int = Field(description="0 where the file as a whole is meant.")
    message: str


class ImportOut(Schema):
    id: int
    kind: Literal["lm_eval", "euroeval", "board"]
    source: str
    url: str
    dated: date | None
    results: int
    faults: int = Field(description="Places of the file that could not be used.")
    unusable: list[UnusableOut] = Field(description=f"The first {SHOWN_FAULTS} of those places.")
    imported_at: datetime
    imported_by: str = Field(description="The key or the person.")


class ExternalOut(Schema):
    """A number of others, in the scale of its file."""

    id: int
    source: str
    dated: date | None
    model: str
    benchmark: str
    languages: list[str]
    metric: str
    value: float
    low: float | None
    high: float | None
    spread: float | None
    spread_kind: str = Field(description="What spread or low and high are.")
    samples: int | None
    engine: str


class Filters(Paging):
    source: Annotated[int, Field(ge=1, le=BIGGEST)] | None = Field(
        None, description="`id` of an import."
    )


@router.post(
    "/imports", auth=RUN, response={200: ImportOut, 201: ImportOut}, operation_id="import_results"
)
def create(request: HttpRequest, data: NewImport) -> Status:
    """Keep the results in a file; 200 when it is there already with the same facts.

    409 when it is there with another source, date, address or columns.
    """
    file = imports.File(data.name, data.content.encode())
    try:
        found, new = imports.keep(
            request.project, [file], source=data.source, url=data.url, dated=data.dated,
            roles=data.columns, by=request.caller.user,
        )  # fmt: skip
    except imports.ImportRefused as error:
        raise _problem(error) from error
    return Status(201 if new else 200, _shown(_counted(request).get(pk=found.pk)))


def _problem(error: imports.ImportRefused) -> Problem:
    status = 409 if isinstance(error, imports.KeptAlready) else 422
    faults = [Fault(name, str(error), value) for name, value in error.fields.items()]
    more = {"faults": error.faults, "unusable": _unusable(error.unusable)} if error.faults else {}
    return Problem(status, str(error), faults, **more)


def _unusable(found: list[Place]) -> list[dict[str, Any]]:
    return [{"line": each.line, "message": words.fault(each)} for each in found[:SHOWN_FAULTS]]


@router.get("/external", auth=READ, response=Page[ExternalOut], operation_id="external_results")
def external(request: HttpRequest, filters: Query[Filters]) -> dict[str, Any]:
    """What others measured, newest first."""
    rows = ExternalResult.objects.filter(
        source__project=request.project, source__confirmed_at__isnull=False
    ).select_related("source")
    if filters.source:
        if not _counted(request).filter(pk=filters.source).exists():
            raise invalid("source", _("This project has no such import."), filters.source)
        rows = rows.filter(source=filters.source)
    return page(rows, filters, _result)


def _counted(request: HttpRequest) -> Any:
    mine = Import.objects.in_project(request.project).confirmed()
    return mine.annotate(count=Count("results"))


def _shown(found: Import) -> dict[str, Any]:
    return {
        "id": found.pk,
        **{name: getattr(found, name) for name in ("kind", "source", "url", "dated", "faults")},
        "results": found.count,  # type: ignore[attr-defined]
        "unusable": _unusable(imports.preview(found).first_faults) if found.faults else [],
        "imported_at": found.confirmed_at,
        "imported_by": found.imported_by,
    }


def _result(found: ExternalResult) -> dict[str, Any]:
    fields = ("model", "benchmark", "languages", "metric", "value", "low", "high", "spread",
              "spread_kind", "samples", "engine")  # fmt: skip
    return {
        "id": found.pk,
        "source": str(found.source.source),
        "dated": found.source.dated,
        **{name: getattr(found, name) for name in fields},
    }
