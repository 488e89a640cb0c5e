"""What runs used and cost, for pages that show many of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.db.models import Sum

from evals.costs import Cost, Usage, cost
from evals.models import Part, Price, Run


class Spent(NamedTuple):
    usage: Usage
    cost: Cost


def spent(runs: Sequence[Run]) -> dict[int, Spent]:
    """Tokens, seconds and cost by run, at the price in force when it started: two queries."""
    sums = {
        row["run"]: row
        for row in Part.objects.filter(run__in=runs)
        .order_by()
        .values("run")
        .annotate(
            prompt=Sum("prompt_tokens"),
            answer=Sum("completion_tokens"),
            answered=Sum("done"),
            counted=Sum("counted"),
        )
    }
    prices = Price.objects.in_bulk({run.price_id for run in runs if run.price_id})
    found = {}
    for run in runs:
        row = sums.get(run.pk) or dict.fromkeys(("prompt", "answer", "answered", "counted"))
        usage = Usage(
            prompt_tokens=row["prompt"],
            answer_tokens=row["answer"],
            partial=(row["answered"] or 0) > (row["counted"] or 0),
            seconds=run.wall_seconds or None,
        )
        found[run.pk] = Spent(usage, cost(prices.get(run.price_id), usage))
    return found


def with_spending(runs: Iterable[Run]) -> list[Run]:
    """``runs`` counted up, each with its ``spent``, as the table of runs shows them."""
    rows = list(runs)
    found = spent(rows)
    for run in rows:
        run.count_up()
        run.spent = found[run.pk]  # type: ignore[attr-defined]
    return rows
