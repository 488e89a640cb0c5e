"""Scores of four emotions out of an answer to an EQ-Bench question.

Source: S. J. Paech, arXiv 2312.06281, and the released code of EQ-Bench (2.x).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

ENGLISH = re.compile(r"(\w+):\s+(\d+)")
GERMAN = re.compile(r"([^\W\d_](?:[^\W\d_]|[^\S\n])*):\s+(\d+(?:,\d+)?)")
HEADINGS = {
    "en": ("First pass scores:", "Revised scores:"),
    "de": ("Erste Bewertung:", "Überarbeitete Bewertung:"),
}
VALUE = r"[0-9]{1,3}(?:[.,][0-9]{1,4})?"


class Passes(NamedTuple):
    """Scores by label, 0 … 10 as written, before and after the model revised them.

    Empty where the answer holds none; ``revised`` is empty too where no revision was asked.
    """

    first: dict[str, float]
    revised: dict[str, float]


def original(text: str, language: str = "en", revision: bool = False) -> Passes:
    """What the released code finds: every ``label: number``, whatever the label.

    A decimal point ends the number (7.5 is 7), and a number with a decimal comma, which the
    German code fails on, counts as no pair. With ``revision`` both headings must be there for
    a first pass.
    """
    text = text.replace("*", "").replace("#", "")
    if not revision:
        return Passes(_pairs(text, language), {})
    before, after = HEADINGS[language]
    _, headed, rest = text.partition(before)
    first, revised_headed, _ = rest.partition(after)
    _, any_revised, revised = text.partition(after)
    return Passes(
        _pairs(first, language) if headed and revised_headed else {},
        _pairs(revised, language) if any_revised else {},
    )


def tolerant(text: str, labels: Collection[str]) -> dict[str, float]:
    """The last number after each of ``labels``, in any case, with Markdown and decimals.

    Labels without a number from 0 to 10 are missing; other words with numbers are not looked at.
    """
    found = {}
    plain = re.sub(r"[*_`#]", "", text)
    for label in labels:
        name = re.escape(label)
        pattern = rf"(?<!\w){name}(?!\w)[^\S\n]{{0,9}}[:=–-][^\S\n]{{0,9}}({VALUE})(?![\w.,]?\d)"
        values = [float(value.replace(",", ".")) for value in re.findall(pattern, plain, re.I)]
        if values and 0 <= values[-1] <= 10:
            found[label] = values[-1]
    return found


def _pairs(text: str, language: str) -> dict[str, float]:
    pattern = GERMAN if language == "de" else ENGLISH
    found = {}
    for label, number in pattern.findall(text):
        # Text without numerals of the Latin script, or longer than any score, is no score.
        if "," not in number and number.isascii() and len(number) < 10:
            found[label.strip()] = float(number)
    return found
