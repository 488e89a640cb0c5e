"""Order of a table, read from and written to the page's address."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

PER_PAGE = 50


class Sort(NamedTuple):
    """``?sort=key`` is ascending, ``?sort=-key`` descending."""

    key: str
    descending: bool

    def __str__(self) -> str:
        return f"-{self.key}" if self.descending else self.key


def sort_of(request: HttpRequest, allowed: Collection[str], default: str) -> Sort:
    """The order asked for, or ``default`` when none or an unknown one is asked for."""
    asked = request.GET.get("sort", "")
    chosen = asked if asked.removeprefix("-") in allowed else default
    return Sort(chosen.removeprefix("-"), chosen.startswith("-"))


def paged(request: HttpRequest, rows: QuerySet, per_page: int = PER_PAGE) -> Page:
    """The page of ``rows`` that ``?page=`` asks for; the nearest one for nonsense."""
    return Paginator(rows, per_page).get_page(request.GET.get("page"))
