"""The score of EQ-Bench v1 and v2, in the variants that results have been published in.

Source: S. J. Paech, arXiv 2312.06281, and the released code of EQ-Bench. All published results
follow the text of its README (a difference of 5 counts as 5) and not the released code, which
lm-eval took over (a difference of 5 counts as 4.995): hence two variants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from statistics import fmean
from typing import Literal

Variant = Literal["published", "code"]

EMOTIONS = 4
SCALE = 0.7477  # chosen by the authors so that random answers score about 0
KNEE = 5  # from here on, differences count in full
ENOUGH = 0.8333  # share of parseable answers below which a result does not count
BETTER_PARTS = 0.95  # share of first passes that revised ones must reach to count


def penalty(difference: float, variant: Variant = "published") -> float:
    """What one emotion costs: small differences are forgiven by a sigmoid."""
    if difference == 0:
        return 0.0
    if difference < KNEE or (variant == "code" and difference == KNEE):
        return 6.5 / (1 + exp(-1.2 * (difference - 4)))
    return difference


def score_v2(
    answer: Mapping[str, float], reference: Mapping[str, float], variant: Variant = "published"
) -> float | None:
    """10 for the reference itself, down to below 0; None where the answer cannot be scored.

    It must name exactly the emotions of ``reference``, and not all of them with 0: then the
    first version's score, which asks for a sum above 0, would not exist.
    """
    if set(answer) != set(reference) or len(reference) != EMOTIONS or sum(answer.values()) <= 0:
        return None
    cost = sum(penalty(abs(answer[name] - value), variant) for name, value in reference.items())
    return 10 - SCALE * cost


def score_v1(answer: Mapping[str, float], reference: Mapping[str, float]) -> float | None:
    """10 minus the summed differences, the answer scaled to a sum of 10; None as `score_v2`."""
    total = sum(answer.values())
    if set(answer) != set(reference) or len(reference) != EMOTIONS or total <= 0:
        return None
    return 10 - sum(abs(answer[name] * 10 / total - value) for name, value in reference.items())


def benchmark(first: Sequence[float | None], revised: Sequence[float | None] = ()) -> float | None:
    """The result from 0 (about random) to 100, by the scores of the questions; None for none.

    Revised answers count where they are better and at most a twentieth fewer can be scored.
    """
    before, after = (
        [score for score in scores if score is not None] for scores in (first, revised)
    )
    if not before:
        return None
    value = fmean(before)
    if after and len(after) >= BETTER_PARTS * len(before):
        value = max(value, fmean(after))
    return 10 * value
