"""The portal's own questions and prompts for judges: complete, alike in both languages, right."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from datetime import datetime, timedelta
from itertools import permutations, product
from pathlib import Path
from typing import Any

import pytest

import evals
from evals.formats import question_sets
from evals.formats.question_sets import Question
from evals.prompts import judging
from evals.prompts.judging import Role

FOLDER = Path(evals.__file__).parent / "data" / "judging"
LANGUAGES = ("en", "de")
CATEGORIES = ("writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem",
              "humanities")  # fmt: skip


def questions(language: str) -> list[Question]:
    name = f"questions_{language}.jsonl"
    loaded = question_sets.questions((FOLDER / name).read_bytes(), name)
    assert loaded.faults == []
    return loaded.questions


def reference(language: str, number: int, turn: int) -> str:
    found = questions(language)[number - 1].references[turn - 1]
    assert found
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_three_questions_of_two_turns_in_each_category(language: str) -> None:
    found = questions(language)
    assert Counter(question.category for question in found) == dict.fromkeys(CATEGORIES, 3)
    assert all(len(question.turns) == 2 for question in found)
    for question in found:
        objective = question.kind in {"math", "reasoning", "coding", "extraction"}
        assert [text is not None for text in question.references] == [objective] * 2


def test_both_languages_ask_the_same_in_the_same_order() -> None:
    english, german = questions("en"), questions("de")
    assert [q.ext_id.split("_")[0] for q in english] == [q.ext_id.split("_")[0] for q in german]
    assert [q.category for q in english] == [q.category for q in german]
    for one, other in zip(english, german, strict=True):
        for numbers in zip(one.references, other.references, strict=True):
            digits = [sorted(re.findall(r"\d+", text or "")) for text in numbers]
            assert len(digits[0]) == len(digits[1])


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_is_a_prompt_for_each_role(language: str) -> None:
    name = f"prompts_{language}.jsonl"
    loaded = question_sets.templates((FOLDER / name).read_bytes(), name)
    assert loaded.faults == []
    roles = {template.role for template in loaded.templates}
    assert roles == {
        Role(kind, turns, given)
        for kind in ("single", "pairwise")
        for turns in (1, 2)
        for given in (False, True)
    }
    for template in loaded.templates:
        assert template.name.startswith("own-")
        sent = judging.messages(template, {})
        assert sent[0]["role"] == "system" and "<answer" in sent[0]["content"]


# What can be computed is computed: a wrong reference would make every judge wrong.
def test_the_references_of_reasoning_are_right() -> None:
    colours = ("red", "blue", "green", "yellow", "white")
    fitting = [
        order for order in permutations(colours)
        if order.index("red") + 1 == order.index("blue")
        and order.index("green") in (0, 4)
        and order[2] == "yellow"
    ]  # fmt: skip
    only = [order for order in fitting if order.index("white") > 2]
    assert reference("en", 8, 1) == ", ".join(only[0]) and len(only) == 1
    assert len(fitting) == 2 and all(", ".join(each) in reference("en", 8, 2) for each in fitting)

    start, end = datetime(2026, 1, 1, 9, 40), datetime(2026, 1, 1, 13)
    second = end - (start + timedelta(minutes=95 + 25))
    assert reference("en", 9, 1).startswith(f"{second.seconds // 60} minutes")
    later = start + timedelta(minutes=95 + 20 + 10) + second
    assert reference("en", 9, 2).startswith(f"At {later:%H:%M}")

    heights = [
        dict(zip("ABCDE", order, strict=True)) for order in permutations(range(5))
    ]  # fmt: skip
    possible = [
        h for h in heights if h["A"] > h["B"] > h["C"] and h["D"] > h["A"] > h["E"] > h["C"]
    ]
    thirds = {name for h in possible for name, height in h.items() if height == 2}
    assert thirds == {"B", "E"} and reference("en", 7, 2).startswith("No.")


def test_the_references_of_math_are_right() -> None:
    width = 54 / 6
    assert reference("en", 10, 1).startswith(f"{width * 2 * width:.0f} cm²")
    assert reference("en", 10, 2).startswith(f"By {(1.1**2 - 1) * 100:.0f} %")
    paid = 80 * 0.75 * 0.9
    assert reference("en", 11, 1).startswith(f"{paid:.0f} euros")
    assert reference("en", 11, 2).startswith(f"{(1 - paid / 80) * 100:.1f} %")
    numbers = [a * 100 + b * 10 + c for a, b, c in product(range(2, 9, 2), *[range(0, 9, 2)] * 2)]
    assert reference("en", 12, 1).startswith(f"{len(numbers)}:")
    assert reference("en", 12, 2) == f"{sum(number % 3 == 0 for number in numbers)}."


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_references_of_coding_run(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(reference(language, 13, 1), names)
    exec(reference(language, 13, 2).split("\n\n")[0], names)
    assert names["runs"]("aabccc") == [("a", 2), ("b", 1), ("c", 3)]
    for text in ("", "a", "aaabba"):
        assert names["text_of"](names["runs"](text)) == text
    assert names["text_of"]([("a", 0), ("b", 1)]) == "b"

    exec("rows = [[0] * 2] * 3\nrows[0][1] = 5\nprint(rows)")
    assert reference(language, 14, 1).startswith(capsys.readouterr().out.strip())
    line = re.match(r"rows = .*?\)\]", reference(language, 14, 2))
    assert line
    exec(f"{line[0]}\nrows[0][1] = 5\nprint(rows)")
    assert capsys.readouterr().out.strip() in reference(language, 14, 2)

    base = sqlite3.connect(":memory:")
    base.executescript(
        "CREATE TABLE customers (id, name);"
        "INSERT INTO customers VALUES (1, 'Berg'), (2, 'Adler'), (3, 'Cohn');"
        "CREATE TABLE orders (id, customer_id, amount, day);"
        "INSERT INTO orders VALUES (1, 1, 700, '2025-01-01'), (2, 1, 800, '2025-12-31'),"
        " (3, 2, 900, '2025-06-01'), (4, 2, 5000, '2024-12-31'), (5, 2, 5000, '2026-01-01');"
    )
    assert base.execute(reference(language, 15, 1)).fetchall() == [(1, 1500)]
    query = reference(language, 15, 2).split("\n\n")[0]
    assert base.execute(query).fetchall() == [("Adler", 900), ("Berg", 1500), ("Cohn", 0)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_references_of_extraction_stand_in_the_texts(language: str) -> None:
    found = json.loads(reference(language, 16, 1))
    text = questions(language)[15].turns[0]
    assert all(name in text for name in [found["chair"], *found["present"]])
    assert str(found["amount_eur"]) in text.replace(",", "").replace(".", "")
    dates = [datetime.fromisoformat(found[name]).date() for name in ("date", "task_until")]
    assert all(re.search(rf"\b{day.day}\b", text) for day in dates)
    mean = f"{(39 + 45 + 37) / 3:.2f}"
    assert mean in reference(language, 17, 2).replace(",", ".")
    days = reference(language, 18, 1).split(", ")
    assert days == sorted(days) == ["2024-05-03", "2024-06-01", "2024-11-17"]
