"""Which of two answers a judge prefers, and what two verdicts in both orders say together."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Choice = Literal["a", "b", "tie", "both_bad"]
Winner = Literal["first", "second", "tie", "inconsistent", "both_bad"]
Status = Literal["ok", "ok_multiple", "no_verdict"]

CHOICES: dict[str, Choice] = {"A": "a", "B": "b", "C": "tie", "D": "both_bad"}
MARKED = re.compile(r"\[\[[^\S\n]{0,9}([A-D])[^\S\n]{0,9}\]\]")
CLOSE = 0.1  # ratings that differ by no more are a tie, in FastChat and here
NUMBER = r"[0-9]{1,6}(?:\.[0-9]{1,6})?"
PAIR = re.compile(rf"\[\[\s{{0,9}}({NUMBER})\s{{0,9}},\s{{0,9}}({NUMBER})\s{{0,9}}\]\]")


class Verdict(NamedTuple):
    """``choice`` of the answer shown as A or as B, None when the reply holds none.

    ``ok_multiple``: the reply holds verdicts that differ, of which the last one counts.
    """

    choice: Choice | None
    status: Status


NONE = Verdict(None, "no_verdict")


def fastchat(text: str) -> Verdict:
    """The first of ``[[A]]``, ``[[B]]``, ``[[C]]`` that stands anywhere, tried in this order.

    A text with both ``[[B]]`` and ``[[A]]`` counts as A, as in FastChat's ``run_judge_pair``.
    """
    for letter in "ABC":
        if f"[[{letter}]]" in text:
            return Verdict(CHOICES[letter], "ok")
    return NONE


def strict(text: str, both_bad: bool = False) -> Verdict:
    """The last verdict in ``text``; ``[[D]]`` is one only where the prompt offers ``both_bad``."""
    allowed = "ABCD" if both_bad else "ABC"
    found = [letter for letter in MARKED.findall(text) if letter in allowed]
    if not found:
        return NONE
    return Verdict(CHOICES[found[-1]], "ok" if len(set(found)) == 1 else "ok_multiple")


def of_ratings(a: float, b: float) -> Choice:
    """The verdict that two ratings stand for; a difference up to 0.1 is a tie."""
    if abs(a - b) <= CLOSE + 1e-9:
        return "tie"
    return "a" if a > b else "b"


def rated(text: str, low: float = 1, high: float = 10) -> Verdict:
    """The verdict of a reply that ends in ``[[rating_a, rating_b]]``; the last pair counts."""
    found = [(float(a), float(b)) for a, b in PAIR.findall(text)]
    inside = [(a, b) for a, b in found if low <= a <= high and low <= b <= high]
    if not found or found[-1] not in inside:
        return NONE
    return Verdict(of_ratings(*found[-1]), "ok" if len(set(found)) == 1 else "ok_multiple")


def together(given: Choice | None, swapped: Choice | None) -> Winner | None:
    """What two verdicts on one pair say, the second with the answers in the other order.

    ``first`` and ``second`` name the answers as they stood in the first order. Verdicts that
    contradict each other are ``inconsistent``, which counts as a tie; without one of the two
    there is no result.
    """
    if given is None or swapped is None:
        return None
    named: dict[Choice, Winner] = {"a": "first", "b": "second"}
    turned: dict[Choice, Winner] = {"a": "second", "b": "first"}
    one: Winner = named.get(given, given)  # type: ignore[arg-type]
    other: Winner = turned.get(swapped, swapped)  # type: ignore[arg-type]
    return one if one == other else "inconsistent"
