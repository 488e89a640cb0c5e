from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.parsing import verdicts
from evals.parsing.verdicts import of_ratings, together

replies = st.text() | st.lists(
    st.sampled_from(["[[A]]", "[[B]]", "[[C]]", "[[D]]", "[[ A ]]", "[A]", "[[8, 7]]", "[[", " "])
).map("".join)


@given(replies)
def test_no_reply_breaks_a_reader(text: str) -> None:
    for read in (verdicts.fastchat, verdicts.strict, verdicts.rated):
        found = read(text)
        assert (found.choice is None) == (found.status == "no_verdict")
    assert verdicts.strict(text).choice != "both_bad"


@pytest.mark.parametrize(
    ("text", "fastchat", "strict", "status"),
    [
        ("So: [[A]]", "a", "a", "ok"),
        ("[[C]]", "tie", "tie", "ok"),
        ("Not [[A]] but [[B]]", "a", "b", "ok_multiple"),
        ("[[B]], yes, [[B]]", "b", "b", "ok"),
        ("[[ B ]]", None, "b", "ok"),
        ("[A]", None, None, "no_verdict"),
        ("[[D]]", None, None, "no_verdict"),
    ],
)
def test_verdicts_are_read_by_two_rules(text, fastchat, strict, status) -> None:
    assert verdicts.fastchat(text).choice == fastchat
    assert verdicts.strict(text) == (strict, status)


def test_both_can_be_bad_only_where_the_prompt_says_so() -> None:
    assert verdicts.strict("[[D]]", both_bad=True).choice == "both_bad"


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("[[8,7]]", "a"), ("[[6.95, 7]]", "tie"), ("[[2, 9]]", "b"), ("[[0, 9]]", None),
        ("8, 7", None),
    ],
)  # fmt: skip
def test_two_ratings_make_a_verdict(text: str, choice: str | None) -> None:
    assert verdicts.rated(text).choice == choice


def test_ratings_a_tenth_apart_are_a_tie() -> None:
    assert of_ratings(7.1, 7.0) == of_ratings(8.3, 8.4) == "tie"
    assert (of_ratings(7.2, 7.0), of_ratings(7.0, 7.2)) == ("a", "b")


@pytest.mark.parametrize(
    ("given_", "swapped", "result"),
    [
        ("a", "b", "first"), ("b", "a", "second"), ("tie", "tie", "tie"),
        ("both_bad", "both_bad", "both_bad"), ("a", "a", "inconsistent"),
        ("b", "b", "inconsistent"), ("a", "tie", "inconsistent"), (None, "b", None),
        ("a", None, None),
    ],
)  # fmt: skip
def test_an_answer_wins_only_if_it_wins_in_both_orders(given_, swapped, result) -> None:
    assert together(given_, swapped) == result
