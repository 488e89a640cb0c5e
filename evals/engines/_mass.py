"""TruthfulQA's mc2: how much of the probability of all choices the true ones have."""

from __future__ import annotations

from typing import Any

from evals.euro.rows import true_mass

METRIC = "mc2"
LABELS = "labels"  # the field of a row: 1 for each true choice, 0 for each other one


def results(doc: dict[str, Any], results: list[tuple[float, bool]]) -> dict[str, float]:
    """In the place of lm-eval's ``process_results``; the values are in nats."""
    return {METRIC: true_mass([value for value, _ in results], doc[LABELS])}


def fault(doc: dict[str, Any], choices: list[str]) -> str | None:
    """What is wrong with the labels of a row, None when they fit its choices."""
    labels = doc.get(LABELS)
    if not isinstance(labels, list) or len(labels) != len(choices) or set(labels) - {0, 1}:
        return f"{LABELS} must have a 0 or a 1 for each of {len(choices)} choices; it is {labels}."
    return None if 1 in labels else f"{LABELS} names no choice as true."
