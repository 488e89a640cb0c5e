"""Take in what others measured: read, show, keep. It never mixes with own results."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from itertools import islice
from pathlib import PurePosixPath
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from evals import words
from evals.formats import boards, euroeval
from evals.formats.given import Fault, Result, Unusable, bounded
from evals.models import ExternalResult, Import, ImportedFile
from evals.models.imports import Kind
from portal.accounts import audit
from portal.accounts.models import Project, User

MOST_BYTES = 64 * 1024 * 1024  # of one file
MOST_RESULTS = 100_000
SHOWN = 20  # results of a preview
SHOWN_FAULTS = 100
PREVIEW = timedelta(days=1)  # how long files wait to be confirmed


class ImportRefused(ValueError):
    """Nothing was taken in; the text says what to put right."""


class Preview(NamedTuple):
    """What a file was understood as. ``table`` is the head of a board, with its roles."""

    results: int
    faults: int
    first: list[Result]
    first_faults: list[Fault]
    models: list[str]
    benchmarks: list[str]
    engines: list[str]
    columns: list[tuple[str, str, list[str]]]


@transaction.atomic
def receive(project: Project, name: str, content: bytes, *, by: User | None = None) -> Import:
    """The file ``name`` as a preview, or the import that holds the same bytes already.

    Raises ImportRefused for a file that is empty or too large. Previews that nobody confirmed
    within a day are dropped.
    """
    if len(content) > MOST_BYTES:
        raise ImportRefused(words.TOO_LARGE % {"name": _name(name), "size": MOST_BYTES >> 20})
    if not content.strip():
        raise ImportRefused(str(words.FAULTS["empty"]))
    old = Import.objects.filter(confirmed_at=None, created_at__lt=timezone.now() - PREVIEW)
    old.delete()
    digest = hashlib.sha256(content).hexdigest()
    mine = Import.objects.in_project(project).filter(sha256=digest).order_by("-confirmed_at")
    if known := mine.filter(confirmed_at__isnull=False).first() or mine.first():
        return known
    found = Import.objects.create(
        project=project, kind=_kind(content), sha256=digest, created_by=by
    )
    ImportedFile.objects.create(
        source=found,
        name=_name(name),
        packed=gzip.compress(content, mtime=0),
        size=len(content),
    )
    return found


def preview(found: Import, roles: Mapping[str, str] | None = None) -> Preview:
    """What ``found`` holds, with ``roles`` for the columns of a board. Raises ImportRefused."""
    columns: list[tuple[str, str, list[str]]] = []
    if found.kind == Kind.BOARD:
        table = _table(found)
        roles = roles or found.roles or boards.guess(table)
        columns = [
            (name, roles.get(name, "ignore"), [cells[at] for _line, cells in table.rows[:3]])
            for at, name in enumerate(table.columns)
        ]
    results: list[Result] = []
    faults: list[Fault] = []
    for item in islice(_read(found, roles or {}), MOST_RESULTS + 1):
        (results if isinstance(item, Result) else faults).append(item)  # type: ignore[arg-type]
    if len(results) + len(faults) > MOST_RESULTS:
        faults.append(Fault(0, "too_many", value=str(MOST_RESULTS)))
    return Preview(
        len(results),
        len(faults),
        results[:SHOWN],
        faults[:SHOWN_FAULTS],
        *([*dict.fromkeys(getattr(r, name) for r in results)] for name in ("model", "benchmark")),
        [*dict.fromkeys(result.engine for result in results if result.engine)],
        columns,
    )


@transaction.atomic
def confirm(
    found: Import,
    *,
    source: str = "",
    url: str = "",
    dated: date | None = None,
    roles: Mapping[str, str] | None = None,
    by: User | None = None,
) -> Import:
    """Keep what ``found`` holds; what could not be read is counted. Raises ImportRefused.

    A board needs its source and its date: who says so, and when.
    """
    found = Import.objects.select_for_update().get(pk=found.pk)
    if found.confirmed_at:
        return found
    if found.kind == Kind.BOARD and not (source and dated):
        raise ImportRefused(str(words.SOURCE_NEEDED))
    if found.kind == Kind.BOARD:
        table = _table(found)
        roles = {c: r for c, r in (roles or boards.guess(table)).items() if c in table.columns}
    kept, faults = 0, 0
    items = _read(found, roles or {})
    while batch := list(islice(items, 1000)):
        rows = [_row(found, item) for item in batch if isinstance(item, Result)]
        ExternalResult.objects.bulk_create(rows)
        kept, faults = kept + len(rows), faults + len(batch) - len(rows)
        if kept > MOST_RESULTS:
            raise ImportRefused(words.fault(Fault(0, "too_many", value=str(MOST_RESULTS))))
    if not kept:
        raise ImportRefused(str(words.NOTHING_FOUND))
    found.source, found.url, found.dated, found.roles = source, url, dated, dict(roles or {})
    found.faults, found.confirmed_at = faults, timezone.now()
    found.save()
    audit.record(
        found.project, "result.import", found, by=by, kind=found.kind, results=kept, faults=faults
    )
    return found


@transaction.atomic
def remove(found: Import, *, by: User | None = None) -> None:
    """Delete files and results of ``found``."""
    if found.confirmed_at:
        audit.record(found.project, "result.remove", found, by=by, kind=found.kind)
    found.delete()


def _kind(content: bytes) -> str:
    """JSON lines start with a brace; anything else is a table."""
    return Kind.EUROEVAL if content.lstrip(b"\xef\xbb\xbf\r\n\t ")[:1] == b"{" else Kind.BOARD


def _read(found: Import, roles: Mapping[str, str]) -> Iterator[Result | Fault]:
    if found.kind == Kind.EUROEVAL:
        with found.files.get().open() as file:
            yield from euroeval.read(bounded(file))
        return
    table = _table(found)
    if wrong := boards.faults_of(roles, table.columns):
        yield from wrong
    else:
        yield from boards.read(table, roles)


def _table(found: Import) -> boards.Table:
    with found.files.get().open() as file:
        content = file.read()
    try:
        return boards.table(content, MOST_RESULTS)
    except Unusable as error:
        raise ImportRefused(words.fault(error.at(1))) from error


def _row(found: Import, result: Result) -> ExternalResult:
    return ExternalResult(source=found, **vars(result))


def _name(name: str) -> str:
    """The last part of a file's name, without signs that no page shows."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return "".join(sign for sign in last if sign.isprintable())[:200] or "file"
