"""How far a choice among options was from the right answer.

Accuracy only says whether the right option came first; these say by how much, from the
log-likelihoods that were paid for anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf, isnan, log
from typing import NamedTuple


class Distances(NamedTuple):
    """Distances of one sample; q is the softmax of the log-likelihoods over the options.

    ``p_gold``: q of the right option, 0…1.
    ``nll``: −log q of the right option, in nats, 0…∞.
    ``brier``: Σ(q − [right option])², 0…2 (G. W. Brier, Mon. Weather Rev. 78 (1950), 1–3).
    ``margin``: log-likelihood of the right option less the best other one, in nats: positive
    when chosen; ∞ where no other option is possible at all (or there is none).
    ``rank``: 1 + the number of options that are strictly more likely.
    ``margin_norm``: margin of log-likelihood per length, in nats per unit of length; its sign
    decides acc_norm. None when no lengths were given.
    """

    p_gold: float
    nll: float
    brier: float
    margin: float
    rank: int
    margin_norm: float | None


def distances(
    loglikelihoods: Sequence[float], gold: int, lengths: Sequence[int] | None = None
) -> Distances:
    """The distances of one sample from the log-likelihood (nats) of each option.

    ``gold`` is the index of the right option, ``lengths`` the options' lengths (acc_norm: in
    characters). −inf is an impossible option; where all are impossible, all count as equally
    likely. ValueError for no options, NaN, +inf, an index or lengths that do not fit.
    """
    scores = [float(value) for value in loglikelihoods]
    if not scores:
        raise ValueError("A choice needs at least one option.")
    if not 0 <= gold < len(scores):
        raise ValueError(f"Option {gold} is not one of {len(scores)}.")
    if any(isnan(value) or value == inf for value in scores):
        raise ValueError("A log-likelihood is a number below infinity.")
    top = max(scores)
    # Relative to the most likely option nothing overflows, and what underflows is truly 0.
    shifted = [0.0 if value == top else value - top for value in scores]
    weights = [exp(value) for value in shifted]
    total = sum(weights)
    shares = [weight / total for weight in weights]
    others = [share for option, share in enumerate(shares) if option != gold]
    return Distances(
        p_gold=shares[gold],
        nll=max(0.0, log(total) - shifted[gold]),
        # 1 − q of the right option as the sum of the others: exact also when q is close to 1.
        brier=sum(others) ** 2 + sum(share * share for share in others),
        margin=_margin(scores, gold),
        rank=1 + sum(value > scores[gold] for value in scores),
        margin_norm=None if lengths is None else _margin(_per_length(scores, lengths), gold),
    )


def _per_length(scores: Sequence[float], lengths: Sequence[int]) -> list[float]:
    if len(lengths) != len(scores) or any(length <= 0 for length in lengths):
        raise ValueError("Each option needs a length above 0.")
    return [score / length for score, length in zip(scores, lengths, strict=True)]


def _margin(scores: Sequence[float], gold: int) -> float:
    rival = max((value for option, value in enumerate(scores) if option != gold), default=-inf)
    if rival == scores[gold]:  # also −inf against −inf, whose difference is not a number
        return inf if len(scores) == 1 else 0.0
    return scores[gold] - rival
