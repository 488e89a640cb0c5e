"""The seven tasks: their labels, what a row holds, and how many examples go before a question.

Shots and lengths of answers are those of EuroEval 16.11 (also known as ScandEval), so that
scores of both are about the same thing. Labels here are internal names; people and models only
meet the words that a language's template gives them.
"""

from __future__ import annotations

from typing import NamedTuple


class Task(NamedTuple):
    """``fields`` fill the placeholders of a template; ``labels`` are what it must name.

    ``shots`` and ``tokens`` are the defaults: examples before a question, length of an answer.
    The first of ``metrics`` is the primary one.
    """

    fields: tuple[str, ...]
    labels: tuple[str, ...]
    shots: int
    tokens: int
    metrics: tuple[str, ...]


LETTERS = "abcdefghijklmno"
TASKS = {
    "sentiment": Task(
        ("text",), ("positive", "neutral", "negative"), 12, 10, ("mcc", "macro_f1", "acc")
    ),
    "acceptability": Task(("text",), ("correct", "incorrect"), 12, 10, ("mcc", "macro_f1", "acc")),
    "entities": Task(
        ("text",), ("per", "loc", "org", "misc"), 8, 128, ("micro_f1_no_misc", "micro_f1")
    ),
    "reading": Task(("text", "question"), (), 4, 32, ("f1", "exact_match")),
    "summary": Task(("text",), (), 1, 256, ("rouge_l", "chrf")),
    "knowledge": Task(("text",), (), 5, 10, ("mcc", "acc", "macro_f1")),
    "commonsense": Task(("text",), (), 5, 10, ("mcc", "acc", "macro_f1")),
}
CHOICES = frozenset({"knowledge", "commonsense"})
"""Tasks whose text lists options and whose labels are their letters."""
