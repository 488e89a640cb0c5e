"""Named entities: spans out of IOB2 tags, and F1 over all exact spans of a set.

A span counts as found only with its type, its first and its last word. Source: E. F. Tjong Kim
Sang, F. De Meulder, CoNLL-2003 shared task (the scoring by exact spans).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """An entity: its type in lower case and the words from ``start`` to before ``end``."""

    kind: str
    start: int
    end: int


def spans(tags: Sequence[str]) -> set[Span]:
    """The entities of one sentence, a tag (``O``, ``B-PER``, ``I-PER``) per word.

    An ``I-`` without a beginning of its type before it begins an entity.
    """
    found: set[Span] = set()
    kind, start = "", 0
    for place, tag in enumerate([*tags, "O"]):
        mark, _, name = tag.lower().partition("-")
        if kind and (mark != "i" or name != kind):
            found.add(Span(kind, start, place))
            kind = ""
        if not kind and mark in ("b", "i"):
            kind, start = name, place
    return found


def micro_f1(pairs: Iterable[tuple[set[Span], set[Span]]], without: str = "") -> float:
    """F1, 0…1, over the (right, answered) spans of all sentences together.

    ``without`` names a type that is left out on both sides, such as ``misc``. 1 where neither
    side has a span.
    """
    hits = met = 0
    for right, answered in pairs:
        gold = {span for span in right if not without or span.kind != without}
        said = {span for span in answered if not without or span.kind != without}
        hits += len(gold & said)
        met += len(gold) + len(said)
    return 2 * hits / met if met else 1.0
