"""What is read out of an answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.stats.spans import Span
from evals.styles import answers

MOODS = ("positiv", "neutral", "negativ")
LETTERS = ("a", "b", "c", "d")
KINDS = {"per": "person", "loc": "ort"}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("positiv", 0),
        (" 'Negativ'.", 2),
        ("**neutral**", 1),
        ("Negativ, weil das Essen kalt war", 2),
        ('{"label": "neutral"}', 1),
        ('"neutral"', 1),
        ("positive", 0),
        ("nagativ", 2),
        ("Die Stimmung ist positiv.", None),
        ("negativität", None),
        ("unklar", None),
        ("", None),
    ],
)
def test_it_takes_the_label_itself_its_beginning_or_the_nearest(text, place):
    assert answers.label(text, MOODS) == place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("b", 1),
        ("B.", 1),
        ("(c)", 2),
        ("b) Berlin", 1),
        ("d: the last", 3),
        ("The answer is c", 2),
        ("Die Antwort ist **b**.", 1),
        ("A good question", None),
        ("bd", None),
        ("e", None),
    ],
)
def test_it_takes_a_letter_only_where_it_begins_or_ends_the_answer(text, place):
    assert answers.label(text, LETTERS) == place


@given(st.text(max_size=80), st.sampled_from([MOODS, LETTERS, ("ja", "nein")]))
def test_no_answer_makes_it_stumble(text, words):
    found = answers.label(text, words)
    assert found is None or 0 <= found < len(words)
    answers.names(text, KINDS)
    answers.short(text)


@pytest.mark.parametrize("words", [MOODS, LETTERS, ("ja", "nein"), ("yes", "no")])
def test_it_reads_back_what_it_demands_of_a_server(words):
    schema = answers.schema(words)
    key = schema["required"][0]
    for place, word in enumerate(schema["properties"][key]["enum"]):
        assert answers.label(json.dumps({key: word}), words) == place


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"person": ["Ada"], "ort": []}', {"per": ["Ada"], "loc": []}),
        ('Gern: ```json\n{"Person": "Ada", "dog": ["x"]}\n```', {"per": ["Ada"], "loc": []}),
        ('{"person": [1, null, " ", "Ada"]}', {"per": ["Ada"], "loc": []}),
        ('{"person": ["Ada"', None),
        ("Ada", None),
        ("{}", None),
        ('["Ada"]', None),
    ],
)
def test_it_reads_names_out_of_the_first_object(text, found):
    assert answers.names(text, KINDS) == found


def test_it_finds_names_only_as_whole_words_and_everywhere():
    tokens = ["In", "New", "York", "traf", "Ada", "die", "Adaja", "aus", "York", "und", "Ada", "."]
    found = answers.spans_of({"per": ["Ada"], "loc": ["New York", "York"]}, tokens)
    assert found == {Span("loc", 1, 3), Span("per", 4, 5), Span("loc", 8, 9), Span("per", 10, 11)}
    assert answers.spans_of({"per": ["da", ""]}, tokens) == set()


def test_a_word_belongs_to_one_name():
    found = answers.spans_of({"per": ["Paris"], "loc": ["Paris"]}, ["Paris", "lacht"])
    assert found == {Span("per", 0, 1)}


@given(st.lists(st.text("ab.", min_size=1, max_size=3), min_size=1, max_size=8), st.data())
def test_a_name_taken_from_the_sentence_is_found_there(tokens, data):
    first = data.draw(st.integers(0, len(tokens) - 1))
    last = data.draw(st.integers(first + 1, len(tokens)))
    found = answers.spans_of({"per": [" ".join(tokens[first:last])]}, tokens)
    assert any(
        "".join(tokens[span.start : span.end]) == "".join(tokens[first:last]) for span in found
    )
