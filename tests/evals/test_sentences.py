"""Errors that measuring modules raise in English reach people in their language."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import evals
from evals import words
from evals.formats.packs import PackInvalid
from evals.sentences import Told

TOLD = {"PackInvalid", "SuiteInvalid", "UnknownSigner", "Told"}
GERMAN = {
    "The pack has {size} bytes; {most} are the most.": "Höchstens {most} Bytes, nicht {size}.",
    "{field} is {value!r}; write text in quotes.": "{field} ist {value!r}: in Anführungszeichen.",
    "The suite of the pack": "Die Testreihe des Pakets",
}


@pytest.fixture(autouse=True)
def in_german(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "gettext", lambda sentence: GERMAN.get(sentence, sentence))


def test_it_is_english_where_it_is_raised_and_translated_where_it_is_shown() -> None:
    error = PackInvalid("The pack has {size} bytes; {most} are the most.", size=9, most=5)
    assert str(error) == "The pack has 9 bytes; 5 are the most."
    assert words.told(error) == "Höchstens 5 Bytes, nicht 9."


def test_what_it_wraps_is_translated_too() -> None:
    inner = Told("{field} is {value!r}; write text in quotes.", field="slug", value=7)
    error = Told("{origin}: {error}", origin=Told("The suite of the pack"), error=inner)
    assert str(error) == "The suite of the pack: slug is 7; write text in quotes."
    assert words.told(error) == "Die Testreihe des Pakets: slug ist 7: in Anführungszeichen."


def test_foreign_words_stay_as_they_are_whatever_stands_in_them() -> None:
    assert words.told(ValueError("{no} field {0}")) == "{no} field {0}"
    odd = Told("{origin}: {error}", origin=Told("{x}"), error=OSError("{y}"))
    assert words.told(odd) == str(odd) == "{x}: {y}"
    assert words.told(Told("")) == ""  # the catalogue's own head is no translation of nothing


def test_none_of_them_is_put_together_before_it_can_be_translated() -> None:
    found = []
    for path in Path(evals.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in TOLD and isinstance(node.args[0], ast.JoinedStr):
                    found.append(f"{path.name}:{node.lineno}")
    assert found == []
