"""The log-probabilities of the letters, read from the list of most likely first tokens."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf, log, nextafter
from typing import NamedTuple

SPACES = str.maketrans({"▁": " ", "Ġ": " "})  # how SentencePiece and byte-level BPE show a blank


class Letters(NamedTuple):
    """Of each letter its log-probability in nats; where ``floored`` it is ``floor`` instead.

    The floor is next below the least likely token of the list: a letter that is not in the
    list is at most that likely, so the most likely letter is the same as with its true value.
    """

    logprobs: tuple[float, ...]
    floored: tuple[bool, ...]
    floor: float


def spelled(top: Sequence[tuple[str, float]], continuations: Sequence[str]) -> Letters:
    """The letters as the prompt goes on with them (" A"): the tokens that lm-eval scores.

    Adding other spellings would answer another question than lm-eval's acc. Only where the
    whole list is without blanks are they taken bare: some servers show tokens without them.
    """
    found = _spellings(top)
    if not any(token.startswith(" ") for token in found):
        continuations = [continuation.strip() for continuation in continuations]
    return _floored([found.get(continuation, -inf) for continuation in continuations], top)


def summed(top: Sequence[tuple[str, float]], continuations: Sequence[str]) -> Letters:
    """The letters with and without a blank before them together: how a chat answer begins."""
    found = _spellings(top)
    bare = [continuation.strip() for continuation in continuations]
    return _floored(
        [_together(found.get(letter, -inf), found.get(f" {letter}", -inf)) for letter in bare], top
    )


def _spellings(top: Sequence[tuple[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for token, value in top:
        token = token.translate(SPACES)
        found[token] = _together(found.get(token, -inf), value)
    return found


def _together(one: float, other: float) -> float:
    """The logarithm of the sum of two probabilities."""
    high, low = max(one, other), min(one, other)
    return high if low == -inf else high + log(1 + exp(low - high))


def _floored(values: Sequence[float], top: Sequence[tuple[str, float]]) -> Letters:
    # Below it, not at it: a letter that ends the list is ahead of all that are missing.
    floor = nextafter(min(value for _, value in top), -inf)
    return Letters(
        tuple(floor if value == -inf else value for value in values),
        tuple(value == -inf for value in values),
        floor,
    )
