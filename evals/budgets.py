"""Budgets of runs: how much of one is used, by what all workers have stored so far."""

from __future__ import annotations

from typing import NamedTuple

from django.utils import translation
from django.utils.translation import gettext as _

from evals import words
from evals.costs import Budget, exhausted
from evals.models import Part, Price, Run
from evals.spending import spent


class Fault(NamedTuple):
    """What is wrong with a budget: the field and a sentence."""

    field: str
    sentence: str


class Watch:
    """The budget of a run while one of its parts is at work.

    Each worker reads it anew after each batch that it stores, and the sums are stored in one
    transaction with the samples. So no question is begun after the budget is seen to be used
    up, and beyond it goes at most what all workers have in flight at that moment.
    """

    def __init__(self, part: Part) -> None:
        self._run, self._budget = part.run_id, part.run.budget
        self.reason = ""  # a key of `words.STOPPED`, once nothing more may be begun
        self.cut_off = False  # whether something was left unasked because of it

    def look(self) -> None:
        """Read what is used from the database; nothing is read without a budget."""
        if self._budget and not self.reason:
            self.reason = state(Run.objects.get(pk=self._run), self._budget)

    def stops(self) -> bool:
        """Whether the next question may not be asked."""
        self.cut_off = self.cut_off or bool(self.reason)
        return bool(self.reason)


def state(run: Run, budget: Budget) -> str:
    """Why ``run`` may ask nothing more under ``budget``, as `costs.exhausted` says it."""
    return exhausted(budget, *spent([run])[run.pk])


def told(run: Run, reason: str) -> str:
    """Why ``run`` stopped, as its row keeps it: in English, as all that rows hold."""
    with translation.override("en"):
        return words.stopped(reason, run.budget, run.currency)


def fault(budget: Budget, price: Price | None) -> Fault | None:
    """Why a run at ``price`` cannot have ``budget``."""
    if budget.money is not None and price is None:
        said = _(
            "A budget in money needs a price. Set one on the page of the model, or give the "
            "budget in tokens."
        )
        return Fault("budget_money", said)
    return None


def used_up(run: Run, budget: Budget) -> Fault | None:
    """Why ``run`` cannot go on under ``budget``: it began without a price, or it is used up."""
    if found := fault(budget, run.price):
        return found
    reason = state(run, budget) if budget else ""
    if not reason:
        return None
    if reason == "uncounted":
        field = "budget_tokens" if budget.tokens is not None else "budget_money"
        return Fault(field, words.stopped(reason, budget, run.currency))
    said = _("%(amount)s are used already. Give a higher budget.")
    used = spent([run])[run.pk]
    amount = (
        words.tokens(used.usage.tokens or 0)
        if reason == "tokens"
        else words.money(used.cost.amount, run.currency)
    )
    return Fault(f"budget_{reason}", said % {"amount": amount})
