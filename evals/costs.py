"""What a run costs: from a price, tokens and seconds. No Django, no floats for money."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple, Protocol

MILLION = Decimal(1_000_000)
HOUR = Decimal(3600)
MOST_TOKENS = 10**15  # of a budget; more than any run could use


class Rate(Protocol):
    """What `evals.models.Price` holds: per token, or per GPU-hour times GPUs."""

    pricing: str
    currency: str
    per_million_prompt: Decimal | None
    per_million_answer: Decimal | None
    per_gpu_hour: Decimal | None
    gpus: int | None


class Usage(NamedTuple):
    """What was used. None is unknown, which is not zero.

    ``partial``: some answers came without token counts, so the true counts are higher.
    """

    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    partial: bool = False
    seconds: float | None = None

    @property
    def tokens(self) -> int | None:
        """Prompt and answer together; None when neither is known."""
        known = [count for count in (self.prompt_tokens, self.answer_tokens) if count is not None]
        return sum(known) if known else None

    @property
    def at_least(self) -> bool:
        """Whether ``tokens`` leaves some out."""
        return self.partial or None in (self.prompt_tokens, self.answer_tokens)


class Cost(NamedTuple):
    """An amount of money; None is unknown and ``reason`` says why (a key of `REASONS`)."""

    amount: Decimal | None
    currency: str = ""
    at_least: bool = False
    reason: str = ""


class Budget(NamedTuple):
    """The most that may be used, ``money`` in the currency of the price; None is no limit."""

    tokens: int | None = None
    money: Decimal | None = None

    def __bool__(self) -> bool:
        return self != (None, None)


# Why a cost is unknown; the sentences stand in evals.words.
REASONS = ("no_price", "no_tokens", "no_time")


def cost(price: Rate | None, usage: Usage) -> Cost:
    """What ``usage`` costs at ``price``.

    Per token: both counts at their price per million; a count that is unknown makes the sum a
    lower bound, unless its tokens are free. Per GPU-hour: price × GPUs × hours of wall time,
    whatever else the GPUs did in that time.
    """
    if price is None:
        return Cost(None, reason="no_price")
    if price.pricing == "gpu_hour":
        if usage.seconds is None or price.per_gpu_hour is None:
            return Cost(None, price.currency, reason="no_time")
        hours = Decimal(str(usage.seconds)) / HOUR
        return Cost(price.per_gpu_hour * (price.gpus or 1) * hours, price.currency)
    sides = [
        (usage.prompt_tokens, price.per_million_prompt or Decimal(0)),
        (usage.answer_tokens, price.per_million_answer or Decimal(0)),
    ]
    charged = [(count, rate) for count, rate in sides if rate]
    known = [count * rate / MILLION for count, rate in charged if count is not None]
    if charged and not known:
        return Cost(None, price.currency, reason="no_tokens")
    missing = usage.partial or len(known) < len(charged)
    return Cost(sum(known, Decimal(0)), price.currency, bool(charged) and missing)


def exhausted(budget: Budget, usage: Usage, spent: Cost) -> str:
    """Why nothing more may be asked, "" where something is left.

    "tokens", "money": so much is used. "uncounted": some answers came without the token counts
    that the budget needs, so whether something is left cannot be told.
    """
    if budget.tokens is not None and (usage.tokens or 0) >= budget.tokens:
        return "tokens"
    if budget.money is not None and (spent.amount or 0) >= budget.money:
        return "money"
    priced = spent.at_least or spent.reason == "no_tokens"
    if usage.partial and (budget.tokens is not None or (budget.money is not None and priced)):
        return "uncounted"
    return ""
