"""What is read out of an answer: a label, names, or a short text; nothing where nothing fits.

A label is, in this order: the answer itself; the label that it begins with; the label with the
fewest edits, of which at most a third of its letters may be (and only one label may be that
near). Letters of options are too short to be near each other: they must begin or end the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from evals.stats.spans import Span

EDITS = 1 / 3  # of a label's letters
LONGEST = 200  # characters of an answer that are compared to labels
MOST_NAMES = 200  # of one kind that are looked for in a sentence
QUOTES = "\"'`“”„‚‘’«»*_"
KEY = "label"


def label(text: str, words: Sequence[str]) -> int | None:
    """The place in ``words`` that an answer means, None where none or several fit."""
    said = _tidy(_unwrapped(text))
    plain = [word.casefold() for word in words]
    if said in plain:
        return plain.index(said)
    if not said:
        return None
    if all(len(word) == 1 for word in plain):
        return _letter(said, plain)
    for place, word in enumerate(plain):
        if re.match(rf"{re.escape(word)}(?!\w)", said):
            return place
    first = said.split()[0].strip(".,:;!?")
    near = [
        place
        for place, word in enumerate(plain)
        if min(_edits(first, word), _edits(said, word)) <= EDITS * len(word)
    ]
    return near[0] if len(near) == 1 else None


def short(text: str) -> str:
    """The first line with anything in it, without quotes around it."""
    lines = [line.strip() for line in text.splitlines()]
    return next((line for line in lines if line), "").strip(QUOTES + " ")


def names(text: str, labels: Mapping[str, str]) -> dict[str, list[str]] | None:
    """The names by internal kind out of the first JSON object of an answer.

    ``labels`` maps kinds to the keys of the language. None where there is no object with at
    least one of them.
    """
    start = text.find("{")
    if start < 0:
        return None
    try:
        found, _end = json.JSONDecoder().raw_decode(text[start:])
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    by_key = {str(key).casefold(): value for key, value in found.items()}
    if not any(word.casefold() in by_key for word in labels.values()):
        return None
    return {kind: _texts(by_key.get(word.casefold())) for kind, word in labels.items()}


def spans_of(found: Mapping[str, Sequence[str]], tokens: Sequence[str]) -> set[Span]:
    """Where the names stand in a sentence: every place with exactly these characters.

    Blanks do not count, but a name begins and ends with a word. A word belongs to one name:
    the longest first, then the kind that comes first.
    """
    starts, text = {}, ""
    for place, token in enumerate(tokens):
        starts[len(text)] = place
        text += token
    ends = {at: place for at, place in starts.items() if at} | {len(text): len(tokens)}
    wanted = [("".join(name.split()), kind) for kind, own in found.items() for name in own]
    spans: set[Span] = set()
    taken: set[int] = set()
    for name, kind in sorted(wanted, key=lambda each: -len(each[0])):
        at = text.find(name) if name else -1
        while at >= 0:
            first, last = starts.get(at), ends.get(at + len(name))
            whole = first is not None and last is not None
            if whole and not taken.intersection(range(first, last)):
                spans.add(Span(kind, first, last))
                taken.update(range(first, last))
            at = text.find(name, at + 1)
    return spans


def schema(words: Sequence[str]) -> dict[str, Any]:
    """The JSON schema of an answer that is one of ``words``."""
    return _object({KEY: {"type": "string", "enum": list(words)}})


def names_schema(labels: Mapping[str, str]) -> dict[str, Any]:
    """The JSON schema of an answer that lists names by kind."""
    each = {"type": "array", "items": {"type": "string"}}
    return _object(dict.fromkeys(labels.values(), each))


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _unwrapped(text: str) -> str:
    """The label of a JSON object or text, other answers as they are."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(found, dict) and len(found) == 1:
        found = next(iter(found.values()))
    return found if isinstance(found, str) else text


def _tidy(text: str) -> str:
    return text.strip().strip(QUOTES + " .,:;!?\n").casefold()[:LONGEST]


def _letter(said: str, letters: Sequence[str]) -> int | None:
    some = "|".join(letters)
    begins = re.match(rf"\(?({some})(?=[.):,\"'\n]|\s*$)", said)
    if begins:
        return letters.index(begins[1])
    ends = re.search(rf"(?<!\w)\(?['\"*]*({some})['\"*]*\)?$", said)
    return letters.index(ends[1]) if ends else None


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [each.strip() for each in values[:MOST_NAMES] if isinstance(each, str) and each.strip()]


def _edits(one: str, other: str) -> int:
    """Levenshtein's distance."""
    row = list(range(len(other) + 1))
    for number, char in enumerate(one, start=1):
        corner, row[0] = row[0], number
        for place, match in enumerate(other, start=1):
            corner, row[place] = (
                row[place],
                min(row[place] + 1, row[place - 1] + 1, corner + (char != match)),
            )
    return row[-1]
