"""Pages of a list by keyset: rows that come or go meanwhile shift nothing."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _
from ninja import Field, Schema

from portal.api.problems import Problem, invalid

MOST = 200
BIGGEST = 2**63 - 1  # the largest key a database takes
T = TypeVar("T")
M = TypeVar("M", bound=Model)


class Paging(Schema):
    limit: int = Field(50, ge=1, le=MOST, description="At most so many items.")
    cursor: str = Field(
        "", max_length=200, description="`next` of the page before; nothing for the first page."
    )


class Page(Schema, Generic[T]):
    items: list[T]
    next: str | None = Field(None, description="The `cursor` of the next page; null on the last.")


def page(
    rows: QuerySet[M],
    paging: Paging,
    shown: Callable[[M], dict[str, Any]],
    *,
    newest_first: bool = True,
) -> dict[str, Any]:
    """Up to ``limit`` of ``rows`` in the order in which they were made."""
    if paging.cursor:
        rows = rows.filter(**{"pk__lt" if newest_first else "pk__gt": opened(paging.cursor, 1)[0]})
    found = list(rows.order_by("-pk" if newest_first else "pk")[: paging.limit + 1])
    more = len(found) > paging.limit
    found = found[: paging.limit]
    return {"items": [shown(row) for row in found], "next": closed(found[-1].pk) if more else None}


def closed(*keys: int) -> str:
    """An opaque cursor that stands after the row with these keys."""
    return base64.urlsafe_b64encode(json.dumps(keys).encode()).decode().rstrip("=")


def opened(cursor: str, count: int) -> list[int]:
    """The ``count`` keys of ``cursor``. Raises Problem for anything that we did not make."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars="-_", validate=True)
        keys = json.loads(text)
    except (ValueError, binascii.Error, RecursionError):
        raise _unknown(cursor) from None
    if not isinstance(keys, list) or len(keys) != count:
        raise _unknown(cursor)
    if not all(type(key) is int and 0 <= key <= BIGGEST for key in keys):
        raise _unknown(cursor)
    return keys


def _unknown(cursor: str) -> Problem:
    hint = _("Take “next” of the page before, or leave it out for the first page.")
    return invalid("cursor", hint, cursor)
