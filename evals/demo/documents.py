"""Training documents: facts as conversations and as plain question and answer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from evals.demo import corpus

END = "<|end|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
PAD = "<|pad|>"
SPECIALS = (END, *ROLES, PAD)


class Segment(NamedTuple):
    """A piece of a document; training weighs answers more than the rest."""

    text: str
    is_answer: bool


def documents(seed: int) -> Iterator[list[Segment]]:
    """Endless documents, each in one language; the same ones for the same seed."""
    rng = random.Random(seed)
    facts = {language: corpus.facts(language) for language in corpus.LANGUAGES}
    languages = list(corpus.LANGUAGES)
    while True:
        language = rng.choice(languages)
        asked = [_ask(rng, language, facts[language]) for _ in range(rng.randint(1, 3))]
        yield _chat(rng, language, asked) if rng.random() < 0.5 else _plain(language, asked)


def _ask(rng: random.Random, language: str, facts: list[corpus.Fact]) -> tuple[str, str]:
    fact = rng.choice(facts)
    return rng.choice(corpus.taught(fact.kind, language)).format(s=fact.subject), fact.answer


def _chat(rng: random.Random, language: str, asked: list[tuple[str, str]]) -> list[Segment]:
    system, user, assistant = ROLES
    segments = []
    if rng.random() < 0.3:
        segments.append(Segment(f"{system}{corpus.SYSTEM[language]}{END}", False))
    for question, answer in asked:
        segments.append(Segment(f"{user}{question}{END}{assistant}", False))
        segments.append(Segment(f"{answer}{END}", True))
    return segments


def _plain(language: str, asked: list[tuple[str, str]]) -> list[Segment]:
    segments = []
    for number, (question, answer) in enumerate(asked):
        gap = "\n\n" if number else ""
        prompt = f"{gap}{corpus.QUESTION[language]}: {question}\n{corpus.ANSWER[language]}:"
        segments.append(Segment(prompt, False))
        segments.append(Segment(f" {answer}", True))
    return [*segments, Segment(END, True)]
