"""What the pages of the European task set show."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.translation import gettext

from evals.catalogue import Offer
from evals.euro.entries import TITLES, card
from evals.models.suites import Scoring
from evals.words import ORIGINS, TASK_ABILITIES, language_name

register = template.Library()


@register.simple_tag
def task_axis(by: str, key: str) -> str:
    """The head of a group of tasks: a language, or a family with what it asks."""
    if by == "family":
        return f"{TITLES[key]}: {TASK_ABILITIES[key]}"
    return language_name(key)


@register.inclusion_tag("evals/european/_offer.html")
def task_offer(offer: Offer, by: str) -> dict[str, Any]:
    """A family in one language, named by what the rows are not grouped by."""
    grouped = by == "family"
    return {
        "offer": offer,
        "name": language_name(offer.language) if grouped else TITLES[offer.family],
        "ability": "" if grouped else TASK_ABILITIES[offer.family],
        "scoring": Scoring(offer.first.scoring).label,
        "card": card(offer.first.repo),
        "licence": offer.licence or gettext("licence: see its card"),
        "origin": ORIGINS[offer.origin],
    }
