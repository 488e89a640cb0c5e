"""Which examples go before a question: drawn by seed, their labels in balance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def ordered(kinds: Sequence[Sequence[str]], seed: int) -> list[int]:
    """All places of ``kinds`` (the labels of each example) in the order they are taken.

    Labels take turns: each time the first example in a seeded order that has the label and is
    not taken yet. So any first k of them hold each label as often as there are examples, give
    or take one.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(kinds)).tolist()
    labels = sorted({label for own in kinds for label in own})
    labels = [labels[at] for at in rng.permutation(len(labels))]
    waiting = {label: iter([at for at in order if label in kinds[at]]) for label in labels}
    taken, out = bytearray(len(order)), []
    while len(out) < len(order):
        for label in labels:
            place = next((at for at in waiting[label] if not taken[at]), None)
            if place is not None:
                taken[place] = 1
                out.append(place)
    return out


def draw(order: Sequence[int], count: int, kinds: Sequence[Sequence[str]], asked: int) -> list[int]:
    """The first ``count`` of ``order`` without ``asked``, whose place its next of kind takes.

    ``asked`` is the place of the question itself where examples come from the questions, else
    −1: then every question has the same examples and a server reads them once.
    """
    chosen = list(order[:count])
    if asked not in chosen:
        return chosen
    rest = [at for at in order[count:] if set(kinds[at]) & set(kinds[asked])] or list(order[count:])
    place = chosen.index(asked)
    return [*chosen[:place], *rest[:1], *chosen[place + 1 :]]
