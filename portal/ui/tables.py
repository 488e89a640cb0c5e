"""Order of a table, read from and written to the page's address."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from django.http import HttpRequest


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
