"""Times of day that repeat: once a day or week, whatever the clocks of the zone do."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.due import next_due

BERLIN = ZoneInfo("Europe/Berlin")
zones = st.sampled_from(
    [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia")]
)
moments = st.datetimes(datetime(2012, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
times = st.times().map(lambda found: found.replace(second=0, microsecond=0))


@settings(deadline=None)  # the first use of a zone reads it from the disk
@given(moments, times, zones, st.none() | st.integers(0, 6))
def test_it_is_later_and_no_further_than_a_day_or_a_week(
    after: datetime, at: time, zone: ZoneInfo, weekday: int | None
) -> None:
    found = next_due(after, at, zone, weekday)
    # The hour that clocks are put by, and the day that Samoa left out in 2011, are before.
    most = timedelta(days=1 if weekday is None else 7, hours=1)
    assert timedelta(0) < found - after <= most
    assert next_due(found, at, zone, weekday) > found


@settings(deadline=None)  # the first use of a zone reads it from the disk
@given(moments, times, zones, st.integers(0, 6))
def test_it_is_that_time_of_that_day(
    after: datetime, at: time, zone: ZoneInfo, weekday: int
) -> None:
    found = next_due(after, at, zone, weekday).astimezone(zone)
    left_out = datetime.combine(found.date(), at, zone).astimezone(UTC).astimezone(zone)
    assert found.time() == at or found == left_out
    assert found.weekday() == weekday


@pytest.mark.parametrize(
    ("first", "at"),
    [(datetime(2026, 3, 28), time(2, 30)), (datetime(2026, 10, 24), time(2, 30))],
)
def test_every_day_has_it_once_when_clocks_are_put_forward_and_back(
    first: datetime, at: time
) -> None:
    moment, days = first.replace(tzinfo=BERLIN).astimezone(UTC), []
    for _night in range(3):
        moment = next_due(moment, at, BERLIN)
        days.append(moment.astimezone(BERLIN).date())
    assert days == [first.date() + timedelta(days=n) for n in range(3)]


def test_it_is_told_in_the_time_of_the_zone() -> None:
    summer = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert next_due(summer, time(2), BERLIN) == datetime(2026, 7, 2, 0, tzinfo=UTC)
    assert next_due(summer, time(15), BERLIN) == datetime(2026, 7, 1, 13, tzinfo=UTC)
    sunday = next_due(summer, time(2), BERLIN, weekday=6)
    assert sunday == datetime(2026, 7, 5, 0, tzinfo=UTC)
