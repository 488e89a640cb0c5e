"""When something is due that repeats at a time of day. No Django."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


def next_due(after: datetime, at: time, zone: ZoneInfo, weekday: int | None = None) -> datetime:
    """The first moment later than ``after`` at which clocks in ``zone`` show ``at``, in UTC.

    ``weekday`` counts from 0, Monday; None is every day. A time that a day has twice (clocks
    are put back) counts the first time; one that it leaves out (put forward) counts as if they
    had not been put yet, so each day has exactly one.
    """
    day = after.astimezone(zone).date()
    for later in range(-1, 9):
        date = day + timedelta(days=later)
        if weekday is not None and date.weekday() != weekday:
            continue
        moment = datetime.combine(date, at, zone).astimezone(UTC)
        if moment > after:
            return moment
    raise AssertionError("a week has every weekday")
