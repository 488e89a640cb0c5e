"""Samples of a run: page by page, one whole, or all of them as one stream."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

from asgiref.sync import sync_to_async
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Field, Query, Router, Schema

from evals.api.fields import Pk
from evals.models import Part, Run, Sample
from evals.samples import KINDS
from portal.accounts import audit
from portal.api.callers import READ
from portal.api.paging import Page, Paging, closed, opened
from portal.api.problems import invalid

router = Router(tags=["Samples"])
BATCH = 200
NDJSON = "application/x-ndjson"
SHORT = (
    "doc_id", "prompt", "target", "answer", "correct", "value", "prompt_tokens",
    "completion_tokens", "latency_ms", "error", "error_kind",
)  # fmt: skip
FULL = (
    *SHORT, "metrics", "choices", "loglikelihoods", "p_gold", "margin", "nll", "brier",
    "attempts", "raw", "finish_reason",
)  # fmt: skip


class SampleOut(Schema):
    """One question and its answer. An `error` means: not answered, never wrong."""

    id: int
    run: int
    benchmark: str
    doc_id: int
    prompt: str
    target: str
    answer: str
    correct: bool | None
    value: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_ms: float | None
    error: str
    error_kind: str


class SampleDetail(SampleOut):
    metrics: dict[str, float]
    choices: list[str]
    loglikelihoods: list[float] = Field(description="Of the choices, in nats.")
    p_gold: float | None
    margin: float | None
    nll: float | None
    brier: float | None
    attempts: int
    raw: str = Field(description="The server's reply as it came.")
    finish_reason: str


class Choice(Schema):
    benchmark: str = Field("", max_length=120, description="Only of the benchmark of this name.")
    kind: Literal["", "wrong", "correct", "error"] = Field(
        "", description="`error`: without an answer."
    )


class Filters(Paging, Choice):
    pass


def shown(sample: Sample, part: Part, fields: tuple[str, ...] = SHORT) -> dict[str, Any]:
    return {
        "id": sample.pk,
        "run": part.run_id,
        "benchmark": part.benchmark.name,
        **{name: getattr(sample, name) for name in fields},
    }


@router.get("/runs/{run}/samples", auth=READ, response=Page[SampleOut], operation_id="samples")
def samples_list(request: HttpRequest, run: Pk, filters: Query[Filters]) -> dict[str, Any]:
    """The samples of a run by benchmark and question."""
    parts = _parts(request, run, filters)
    place, doc_id = opened(filters.cursor, 2) if filters.cursor else (0, -1)
    found: list[tuple[int, Sample]] = []
    for number, part in enumerate(parts):
        if number < place:
            continue
        missing = filters.limit + 1 - len(found)
        rows = _rows(part, filters.kind, doc_id if number == place else -1)
        rows = rows.defer("raw", "loglikelihoods", "choices", "metrics")
        found += [(number, row) for row in rows[:missing]]
        if len(found) > filters.limit:
            break
    more = len(found) > filters.limit
    found = found[: filters.limit]
    after = closed(found[-1][0], found[-1][1].doc_id) if more else None
    return {"items": [shown(row, parts[number]) for number, row in found], "next": after}


@router.get("/samples/{sample}", auth=READ, response=SampleDetail, operation_id="sample")
def sample_detail(request: HttpRequest, sample: Pk) -> dict[str, Any]:
    """One exchange with all its figures."""
    mine = Sample.objects.filter(part__run__candidate__project=request.project)
    found = get_object_or_404(
        mine.select_related("part__benchmark").defer(
            "part__values", "part__benchmark__task", "part__benchmark__options"
        ),
        pk=sample,
    )
    return shown(found, found.part, FULL)


@router.get(
    "/runs/{run}/export",
    auth=READ,
    operation_id="export",
    openapi_extra={
        "responses": {
            200: {
                "description": "One sample a line, as JSON (see SampleDetail).",
                "content": {NDJSON: {"schema": {"type": "string"}}},
            }
        }
    },
)
def samples_export(request: HttpRequest, run: Pk, filters: Query[Choice]) -> StreamingHttpResponse:
    """All samples of a run as JSON Lines, in one stream."""
    parts = _parts(request, run, filters)
    found = get_object_or_404(Run.objects.in_project(request.project), pk=run)
    audit.record(request.project, "run.export", found, by=request.caller.user, format="ndjson")
    under_asgi = hasattr(request, "scope")
    lines = _later(parts, filters.kind) if under_asgi else _lines(parts, filters.kind)
    answer = StreamingHttpResponse(lines, content_type=NDJSON)
    answer["Content-Disposition"] = f'attachment; filename="run-{run}.ndjson"'
    return answer


def _parts(request: HttpRequest, run: int, chosen: Choice) -> list[Part]:
    """The parts that have such samples, in the order of the suite."""
    found = get_object_or_404(Run.objects.in_project(request.project), pk=run)
    parts = list(
        Part.objects.filter(run=found)
        .select_related("benchmark")
        .defer("values", "benchmark__task", "benchmark__options")
    )
    names = [part.benchmark.name for part in parts]
    if chosen.benchmark and chosen.benchmark not in names:
        hint = _("This run measures: %(names)s.") % {"names": ", ".join(names)}
        raise invalid("benchmark", hint, chosen.benchmark)
    return [part for part in parts if chosen.benchmark in ("", part.benchmark.name)]


def _rows(part: Part, kind: str, after: int) -> Any:
    rows = Sample.objects.filter(part=part, doc_id__gt=after).order_by("doc_id")
    return rows.filter(KINDS[kind][0]) if kind else rows


def _lines(parts: list[Part], kind: str) -> Iterator[bytes]:
    """The samples in batches, so that a run of any size takes little memory."""
    for part in parts:
        after = -1
        while batch := list(_rows(part, kind, after)[:BATCH]):
            after = batch[-1].doc_id
            yield b"".join(
                json.dumps(shown(row, part, FULL), cls=DjangoJSONEncoder).encode() + b"\n"
                for row in batch
            )


async def _later(parts: list[Part], kind: str) -> AsyncIterator[bytes]:
    """The same, so that ASGI sends while it reads instead of reading all first."""
    lines = _lines(parts, kind)
    while (block := await sync_to_async(next)(lines, None)) is not None:
        yield block
