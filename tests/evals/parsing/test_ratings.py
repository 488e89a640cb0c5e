from __future__ import annotations

import json
from math import isfinite

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evals.llm import thinking
from evals.parsing import ratings
from tests import conformance

replies = st.text() | st.lists(
    st.sampled_from(
        ["[[", "]]", "[", "]", "8", "7.5", "7,5", "10", "0", "-1", "²", "٣", "/10", "rating: ",
         "\n", "<think>", "</think>", '{"rating": ', "}", '"', " "]
    )
).map("".join)  # fmt: skip


def test_all_vectors_are_read_as_they_should_be() -> None:
    vectors = conformance.data("judge/parser_vectors.json")
    assert len(vectors) == 23
    for vector in vectors:
        theirs = vector["fastchat"]
        expected = None if theirs == -1 or isinstance(theirs, str) else theirs
        assert ratings.fastchat(vector["text"]).value == expected, vector["name"]
        found = ratings.strict(thinking.split(vector["text"]).answer)
        assert found == (vector["strict"], vector["strict_status"]), vector["name"]


@given(replies)
@example("[[" + "9" * 5000 + "]]")
@example("[[" * 2000 + "{" * 2000)
def test_no_reply_breaks_a_reader_or_leaves_the_scale(text: str) -> None:
    for read in (ratings.strict, ratings.structured):
        found = read(text)
        assert (found.value is None) == (not found.status.startswith("ok"))
        assert found.value is None or 1 <= found.value <= 10
    found = ratings.fastchat(text)
    assert found.value is None or isfinite(found.value)


@given(st.integers(10, 100), st.text(st.characters(exclude_characters="[]"), max_size=30))
def test_a_rating_at_the_end_is_read_by_both_rules(tenths: int, before: str) -> None:
    text = f"{before}\nRating: [[{tenths / 10}]]"
    assert ratings.strict(text) == ratings.fastchat(text) == (tenths / 10, "ok")


@pytest.mark.parametrize(
    ("text", "value", "status"),
    [
        ("[[4/5]]", None, "no_rating"),  # another scale than the one asked for
        ("[[8]] … [[8.0]]", 8, "ok"),  # twice the same is no doubt
        ("[[9]] and, after all, [[11]]", None, "out_of_range"),  # the last one counts
        ("[[7]", None, "no_rating"),
        ("[[1e3]]", None, "no_rating"),
    ],
)
def test_the_strict_rule_takes_the_last_rating_on_the_scale(text, value, status) -> None:
    assert ratings.strict(text) == (value, status)


def test_the_scale_is_that_of_the_prompt() -> None:
    assert ratings.strict("[[0]]", low=0, high=5).value == 0
    assert ratings.strict("[[4/5]]", low=0, high=5).value == 4
    assert ratings.strict("[[6]]", low=0, high=5).status == "out_of_range"


@pytest.mark.parametrize(
    ("text", "value", "status"),
    [
        ('{"reason": "good", "rating": 8}', 8, "ok"),
        ('```json\n{"reason": "a {brace} and [[3]]", "rating": "7,5"}\n```', 7.5, "ok"),
        ('{"reason": "x", "rating": 3} {"rating": 9}', 9, "ok_multiple"),
        ('{"rating": true}', None, "no_rating"),
        ('{"rating": 0}', None, "out_of_range"),
        ('{"rating": NaN}', None, "no_rating"),
        ('{"verdict": {"rating": 8}}', None, "no_rating"),
        ('{"reason": "cut of', None, "no_rating"),
    ],
)
def test_a_rating_is_read_out_of_json(text, value, status) -> None:
    assert ratings.structured(text) == (value, status)


@given(st.text(), st.integers(1, 10))
def test_what_the_reason_says_cannot_forge_the_rating_beside_it(reason: str, value: int) -> None:
    text = json.dumps({"reason": reason + '{"rating": 10}', "rating": value})
    assert ratings.structured(text) == (value, "ok")
