"""Every table as a file: ``?format=csv|json|parquet`` on the address of its page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from tempfile import SpooledTemporaryFile
from typing import IO

from asgiref.sync import sync_to_async
from django.db.models import Model
from django.http import FileResponse, Http404, HttpRequest

from portal import tables
from portal.accounts import audit

KINDS = ("csv", "json", "parquet")
IN_MEMORY = 4 * 1024 * 1024  # bytes; a larger file waits on the disk


class Download(FileResponse):
    """A file that is sent in pieces by ASGI servers, too; Django's own is read whole for them."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = iter(self)
        while (piece := await sync_to_async(next)(pieces, None)) is not None:
            yield piece


def asked(request: HttpRequest, table: str = "") -> str:
    """The kind of file that the address asks for, "" for the page; 404 for an unknown kind.

    A page with several tables names them: ``?format=csv&table=samples``.
    """
    kind = request.GET.get("format", "")
    if kind and kind not in KINDS:
        raise Http404
    return kind if request.GET.get("table", "") == table else ""


def table(
    request: HttpRequest,
    action: str,
    name: str,
    rows: tables.Rows,
    columns: tables.Columns | None = None,
    *,
    target: Model | None = None,
    kind: str = "",
    **details: object,
) -> Download:
    """``rows`` as the file ``name``, in the format asked for, written down as ``action``."""
    kind = kind or request.GET["format"]
    file: IO[bytes] = SpooledTemporaryFile(IN_MEMORY)  # type: ignore[assignment] # noqa: SIM115
    writer = tables.WRITERS[kind]
    writer.write(file, rows, columns)
    file.seek(0)
    audit.record(request.project, action, target, by=request.user, format=kind, **details)
    return Download(
        file, as_attachment=True, filename=f"{name}.{kind}", content_type=writer.content_type
    )
