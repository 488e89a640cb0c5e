"""Questions on disk and sets of places behave as lists and sets do."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.compact import AT_ONCE, Places, Rows
from evals.models import QuestionSet, suites

ROWS = [{"question": f"Wie heißt Nummer {n}? \u2028 „{n}“ 😀"} for n in range(2 * AT_ONCE + 5)]


def lines(rows):
    return [json.dumps(row, ensure_ascii=False).encode() for row in rows]


def test_rows_are_read_back_in_any_order() -> None:
    rows = Rows(lines(ROWS))
    assert len(rows) == len(ROWS) and list(rows) == ROWS
    assert [rows[n] for n in (300, 0, -1)] == [ROWS[n] for n in (300, 0, -1)]
    assert rows[250:260] == ROWS[250:260]
    with pytest.raises(IndexError):
        rows[len(ROWS)]
    assert not Rows([])


def test_rows_take_a_few_bytes_of_memory_each() -> None:
    text = json.dumps({"question": "why " * 200}).encode()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    rows = Rows(text for _ in range(5000))
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(rows) == 5000 and taken < 16 * 5000


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40))))
def test_places_are_a_set(steps):
    found, expected = Places(), set()
    for add, place in steps:
        (found.add if add else found.discard)(place)
        (expected.add if add else expected.discard)(place)
    assert sorted(expected) == list(found) and len(found) == len(expected)
    assert all((place in found) == (place in expected) for place in range(-1, 50))
    assert "1" not in found


@pytest.mark.django_db
@pytest.mark.parametrize("piece", [1, 7, 2**22])
def test_questions_are_read_piece_by_piece(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS[:20]) + "\n"
    stored = QuestionSet.objects.create(sha256="0" * 64, count=20, lines=text)
    monkeypatch.setattr(suites, "PIECE", piece)
    found = QuestionSet.objects.defer("lines").get(pk=stored.pk)
    assert list(found.each()) == list(found.rows()) == list(stored.each()) == ROWS[:20]
    assert found.some(range(5, 8)) == ROWS[5:8]
    assert found.get_deferred_fields() == {"lines"}
