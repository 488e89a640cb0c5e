"""What runs cost: unknown is never zero, and money is exact."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.costs import Cost, Usage, cost


@dataclass(frozen=True)
class PerToken:
    per_million_prompt: Decimal | None
    per_million_answer: Decimal | None
    pricing: str = "token"
    currency: str = "EUR"
    per_gpu_hour: Decimal | None = None
    gpus: int | None = None


@dataclass(frozen=True)
class PerHour:
    per_gpu_hour: Decimal | None
    gpus: int | None
    pricing: str = "gpu_hour"
    currency: str = "EUR"
    per_million_prompt: Decimal | None = None
    per_million_answer: Decimal | None = None


money = st.decimals(0, 10_000, places=6)
counts = st.integers(0, 10**10)
seconds = st.floats(0, 1e7)
TWO_SIX = PerToken(Decimal(2), Decimal(6))


def test_tokens_are_charged_by_the_million() -> None:
    assert cost(TWO_SIX, Usage(3_000_000, 500_000)) == Cost(Decimal(9), "EUR")
    assert cost(TWO_SIX, Usage(0, 0)).amount == 0


def test_gpu_hours_are_charged_for_every_gpu() -> None:
    assert cost(PerHour(Decimal("2.50"), 4), Usage(seconds=1800)) == Cost(Decimal(5), "EUR")


@pytest.mark.parametrize(
    ("price", "usage", "reason"),
    [
        (None, Usage(1, 1, seconds=1), "no_price"),
        (TWO_SIX, Usage(seconds=1), "no_tokens"),
        (PerHour(Decimal(1), 1), Usage(1, 1), "no_time"),
    ],
)
def test_what_is_unknown_is_not_zero(price: object, usage: Usage, reason: str) -> None:
    found = cost(price, usage)  # type: ignore[arg-type]
    assert (found.amount, found.reason) == (None, reason)


def test_partial_counts_make_a_lower_bound() -> None:
    assert cost(TWO_SIX, Usage(1_000_000, 0, partial=True)) == Cost(Decimal(2), "EUR", True)
    assert cost(TWO_SIX, Usage(1_000_000, None)) == Cost(Decimal(2), "EUR", True)


def test_free_tokens_need_no_counts() -> None:
    free = PerToken(Decimal(0), Decimal(0))
    assert cost(free, Usage()) == Cost(Decimal(0), "EUR")
    only_prompt = PerToken(Decimal(1), Decimal(0))
    assert cost(only_prompt, Usage(1_000_000, None)) == Cost(Decimal(1), "EUR")


@given(money, money, counts, counts, counts, counts)
def test_costs_of_tokens_add_up_exactly(
    prompt: Decimal, answer: Decimal, a: int, b: int, c: int, d: int
) -> None:
    price = PerToken(prompt, answer)
    together = cost(price, Usage(a + c, b + d)).amount
    apart = cost(price, Usage(a, b)).amount, cost(price, Usage(c, d)).amount
    assert together == sum(apart)  # type: ignore[arg-type]
    assert together >= 0


@given(money, money, counts, st.one_of(st.none(), counts), st.booleans())
def test_a_lower_bound_is_never_above_the_whole(
    prompt: Decimal, answer: Decimal, a: int, b: int | None, partial: bool
) -> None:
    found = cost(PerToken(prompt, answer), Usage(a, b, partial))
    whole = cost(PerToken(prompt, answer), Usage(a, b or 0))
    if found.amount is not None:
        assert found.amount <= whole.amount
        assert not found.at_least or partial or b is None


@given(money, st.integers(1, 64), seconds, seconds)
def test_longer_is_never_cheaper(price: Decimal, gpus: int, one: float, other: float) -> None:
    short, long = sorted((one, other))
    rate = PerHour(price, gpus)
    assert cost(rate, Usage(seconds=short)).amount <= cost(rate, Usage(seconds=long)).amount


def test_tokens_together_say_when_some_are_missing() -> None:
    assert (Usage(5, 7).tokens, Usage(5, 7).at_least) == (12, False)
    assert (Usage(5, None).tokens, Usage(5, None).at_least) == (5, True)
    assert Usage().tokens is None
