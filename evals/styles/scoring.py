"""One answer scored: what was read out of it, its metrics, and what it adds to those of the set."""

from __future__ import annotations

import json
from typing import NamedTuple

from evals.stats import overlap
from evals.stats.spans import Span, micro_f1, spans
from evals.styles import answers
from evals.styles.prompts import Item
from evals.styles.templates import Template

FAILED = "extraction_failed"
MANY_FAILED = 0.1  # share of answers without a finding from which a score is starred
MISC = "misc"


class Scored(NamedTuple):
    """``answer`` is what was read out of the text, ``value`` the sample's own score, 0…1.

    ``counts`` as `evals.stats.corpus` takes them, () where the set's scores are means.
    """

    answer: str
    value: float
    metrics: dict[str, float]
    counts: tuple[int, ...] = ()


def score(task: str, language: str, template: Template, asked: Item, text: str) -> Scored:
    """``text`` as an answer to ``asked``. What cannot be read counts as wrong, and as failed."""
    said = text.strip()
    if asked.words:
        return _labelled(asked, answers.label(said, asked.words))
    if task == "entities":
        return _entities(template, asked, answers.names(said, template.labels))
    if task == "summary":
        return _summary(asked, said)
    short = answers.short(said)
    f1 = overlap.token_f1(short, asked.golds, language)
    exact = overlap.exact_match(short, asked.golds, language)
    return Scored(short, f1, {"f1": f1, "exact_match": exact, FAILED: float(not short)})


def _labelled(asked: Item, place: int | None) -> Scored:
    gold = asked.words.index(asked.right)
    metrics = {"acc": float(place == gold), FAILED: float(place is None)}
    answer = "" if place is None else asked.words[place]
    said = len(asked.words) if place is None else place
    return Scored(answer, metrics["acc"], metrics, (gold, said))


def _entities(template: Template, asked: Item, found: dict[str, list[str]] | None) -> Scored:
    right = spans(asked.tags)
    said = answers.spans_of(found or {}, asked.tokens)
    counts = (*_found(right, said), *_found(_without(right), _without(said)))
    metrics = {
        "sentence_f1_no_misc": micro_f1([(right, said)], without=MISC),
        "sentence_f1": micro_f1([(right, said)]),
        FAILED: float(found is None),
    }
    answer = ""
    if found is not None:
        shown = {template.labels[kind]: own for kind, own in found.items()}
        answer = json.dumps(shown, ensure_ascii=False)
    return Scored(answer, metrics["sentence_f1_no_misc"], metrics, counts)


def _summary(asked: Item, said: str) -> Scored:
    gold = asked.golds[0]
    rouge = overlap.rouge_l(said, gold)
    metrics = {"rouge_l": rouge, "chrf": overlap.chrf(said, gold), FAILED: float(not said)}
    return Scored(said, rouge, metrics)


def _found(right: set[Span], said: set[Span]) -> tuple[int, int]:
    return len(right & said), len(right) + len(said)


def _without(found: set[Span]) -> set[Span]:
    return {span for span in found if span.kind != MISC}
