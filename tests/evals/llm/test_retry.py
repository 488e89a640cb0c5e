"""Waiting times and what a server may wish for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.llm import Retry
from evals.llm.retry import seconds_wished

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@given(st.integers(1, 40), st.floats(0, 1), st.none() | st.floats(0, 1e9))
def test_it_waits_between_nothing_and_the_longest(
    number: int, drawn: float, wish: float | None
) -> None:
    wait = Retry(random=lambda: drawn).wait(number, wish)
    assert 0 <= wait <= 60
    assert wait >= min(wish or 0, 60)
    if wish is None:
        assert wait <= min(20, 0.5 * 2 ** (number - 1))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
    ],
)
def test_it_reads_retry_after(header: str | None, seconds: float | None) -> None:
    assert seconds_wished(header, NOW) == seconds


@given(st.text(max_size=40))
def test_it_reads_any_header_without_failing(header: str) -> None:
    wished = seconds_wished(header, NOW)
    assert wished is None or wished >= 0
