"""Rows of a question file as prompts: one running text, or turns of a conversation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from evals.stats.spans import spans
from evals.styles.tasks import CHOICES, LETTERS, TASKS
from evals.styles.templates import Language, Template, fill

MOST_TEXT = 200_000  # characters of one text of a row
MOST_WORDS = 5_000  # words of a sentence with entities


class RowInvalid(ValueError):
    """A row does not hold what its task needs; the text names the field and what it takes."""


class Item(NamedTuple):
    """One row, ready to be asked.

    ``values`` fill the template; ``right`` is the answer as an example shows it. ``words`` are
    the answers to choose from, () where the answer is free. ``kinds`` are the labels it stands
    for when examples are balanced. ``golds``: right texts, ``tokens`` and ``tags`` of entities.
    """

    values: dict[str, str]
    right: str
    words: tuple[str, ...]
    kinds: tuple[str, ...]
    golds: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


def item(task: str, template: Template, row: dict[str, Any]) -> Item:
    """``row`` as ``task`` takes it; RowInvalid where it lacks something."""
    if task in CHOICES:
        return _choice(row)
    if task == "entities":
        return _entities(template, row)
    if task == "reading":
        values = {"text": _text(row, "text"), "question": _text(row, "question")}
        golds = _texts(row, "answers", least=1)
        return Item(values, golds[0], (), ("",), golds)
    if task == "summary":
        gold = _text(row, "summary")
        return Item({"text": _text(row, "text")}, gold, (), ("",), (gold,))
    names = TASKS[task].labels
    name = names[_number(row, len(names))]
    words = tuple(template.labels[each] for each in names)
    return Item({"text": _text(row, "text")}, template.labels[name], words, (name,))


def base(language: Language, template: Template, shots: Sequence[Item], asked: Item) -> str:
    """The running text for a model that continues it, up to where its answer begins."""
    heading = fill(template.prefix, _labels(language, template, asked))
    shown = [_once(language, template, shot, shot.right) for shot in shots]
    return "\n\n".join([heading, *shown, _once(language, template, asked, "")])


def turns(
    language: Language, template: Template, shots: Sequence[Item], asked: Item
) -> list[dict[str, str]]:
    """Messages: each example as a question and its answer, then the question asked."""
    messages = []
    for shot in shots:
        messages.append({"role": "user", "content": _message(language, template, shot)})
        messages.append({"role": "assistant", "content": shot.right})
    return [*messages, {"role": "user", "content": _message(language, template, asked)}]


def _once(language: Language, template: Template, shown: Item, answer: str) -> str:
    values = shown.values | _labels(language, template, shown) | {"answer": answer}
    text = fill(template.base, values)
    return text if answer else text.rstrip()


def _message(language: Language, template: Template, shown: Item) -> str:
    return fill(template.instruct, shown.values | _labels(language, template, shown))


def _labels(language: Language, template: Template, shown: Item) -> dict[str, str]:
    words = list(shown.words) or list(template.labels.values())
    return {"labels": language.listed(words)}


def _choice(row: dict[str, Any]) -> Item:
    text = _text(row, "context" if "context" in row else "question")
    choices = _texts(row, "choices", least=2, most=len(LETTERS))
    letters = tuple(LETTERS[: len(choices)])
    listed = "\n".join(f"{letter}. {each}" for letter, each in zip(letters, choices, strict=True))
    right = letters[_number(row, len(choices))]
    return Item({"text": f"{text}\n{listed}"}, right, letters, (right,))


def _entities(template: Template, row: dict[str, Any]) -> Item:
    tokens = _texts(row, "tokens", least=1, most=MOST_WORDS)
    tags = _texts(row, "tags", least=1, most=MOST_WORDS)
    if len(tokens) != len(tags):
        raise RowInvalid(f"tags has {len(tags)} entries for {len(tokens)} tokens.")
    known = {"o"} | {f"{mark}-{kind}" for mark in "bi" for kind in template.labels}
    if unknown := {tag.lower() for tag in tags} - known:
        raise RowInvalid(
            f"tags holds {sorted(unknown)[0]!r}; known are {', '.join(sorted(known))}."
        )
    found = sorted(spans(tags), key=lambda span: span.start)
    by_kind: dict[str, list[str]] = {word: [] for word in template.labels.values()}
    for span in found:
        name = " ".join(tokens[span.start : span.end])
        if name not in by_kind[template.labels[span.kind]]:
            by_kind[template.labels[span.kind]].append(name)
    kinds = tuple(dict.fromkeys(span.kind for span in found)) or ("",)
    right = json.dumps(by_kind, ensure_ascii=False)
    return Item({"text": " ".join(tokens)}, right, (), kinds, (), tokens, tags)


def _number(row: dict[str, Any], count: int) -> int:
    value = row.get("answer")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < count:
        raise RowInvalid(f"answer is {value!r}; write a whole number from 0 to {count - 1}.")
    return value


def _text(row: dict[str, Any], field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not value.strip() or len(value) > MOST_TEXT:
        raise RowInvalid(f"{field} must be a text of 1 to {MOST_TEXT} characters.")
    return value


def _texts(row: dict[str, Any], field: str, least: int, most: int = 100) -> tuple[str, ...]:
    value = row.get(field)
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise RowInvalid(f"{field} must be a list of {least} to {most} texts.")
    return tuple(_text({field: each}, field) for each in value)
