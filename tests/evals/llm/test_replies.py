"""Reading replies: any JSON gives a value that holds or is called malformed."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.llm import replies
from evals.llm.replies import Echo, Malformed

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
LOGPROBS = st.floats(max_value=0, min_value=-1e6)
WORDS = st.lists(st.text("abø \n", min_size=1, max_size=3), min_size=1, max_size=8)


@st.composite
def almost_replies(draw: st.DrawFn) -> Any:
    """Right replies in which one place holds something else."""
    lists = {
        "tokens": ["a", "b"],
        "token_logprobs": [None, -1.0],
        "top_logprobs": [None, {"b": -1.0}],
    }
    choice = {
        "index": 0,
        "text": "ab",
        "finish_reason": "stop",
        "message": {"content": "ab", "reasoning": None},
        "logprobs": lists,
    }
    reply = {"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    place = draw(st.sampled_from([reply, choice, lists, choice["message"], reply["usage"]]))
    place[draw(st.sampled_from(sorted(place)))] = draw(JSON)
    return reply


@given(JSON | almost_replies(), st.integers(1, 3))
def test_it_never_fails_in_another_way_than_malformed(data: Any, prompts: int) -> None:
    for read in (replies.model_ids, replies.completion, replies.chat, replies.token_count):
        try:
            read(data)
        except Malformed as wrong:
            assert str(wrong)
    try:
        for echo in replies.echoes(data, prompts)[0]:
            scored = replies.score(echo, 1)
            assert math.isfinite(scored.loglikelihood)
            assert scored.loglikelihood <= 1e-5
    except Malformed as wrong:
        assert str(wrong)


@given(JSON | almost_replies() | st.text())
def test_it_makes_a_short_line_of_any_complaint(data: Any) -> None:
    for body in (json.dumps(data), json.dumps({"error": data}), json.dumps({"detail": data})):
        said = replies.complaint(body)
        assert 0 < len(said) <= 400
        assert "\n" not in said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"error": {"message": "No such model.", "code": 404}}', "No such model."),
        ('{"error": "Unauthorized"}', "Unauthorized"),
        ('{"detail": "Not Found"}', "Not Found"),
        ('{"detail": [{"loc": ["body", "n"], "msg": "wrong"}]}', "body.n: wrong"),
        ('{"message": "busy"}', "busy"),
        ("Internal Server Error", "Internal Server Error"),
        ("<!doctype html><title>502", "an HTML page"),
        ("", "nothing"),
    ],
)
def test_it_reads_the_complaints_of_all_servers(body: str, said: str) -> None:
    assert replies.complaint(body) == said


@given(st.lists(LOGPROBS, min_size=1, max_size=9), LOGPROBS, st.integers(1, 5))
def test_it_sums_the_tokens_between_context_and_generated(
    values: list[float], generated: float, context: int
) -> None:
    logprobs = [None, *([-7.0] * (context - 1)), *values, generated]
    echo = Echo("", [], logprobs, [None, *logprobs[1:]])
    assert replies.score(echo, context) == replies.OptionScore(sum(values), True, len(values))


@given(WORDS, WORDS, st.sampled_from(["", "<s>"]))
def test_it_finds_the_boundary_where_a_token_begins(
    context: list[str], rest: list[str], front: str
) -> None:
    tokens = ([front] if front else []) + context + rest + ["generated"]
    echo = Echo("", tokens, [], [])
    text = "".join(context + rest)
    found = replies.boundary(echo, "".join(context), text)
    assert found == len(context) + bool(front)


def test_it_sees_when_a_token_reaches_over_the_boundary_or_the_text_differs() -> None:
    echo = Echo("", ["ab", "cd", "x"], [], [])
    assert replies.boundary(echo, "a", "abcd") is None
    assert replies.boundary(echo, "ab", "abXX") is None
    assert replies.boundary(Echo("", [], [], []), "ab", "abcd") is None
    # A token without text of its own is the first part of the character after it.
    assert replies.boundary(Echo("", ["a", "", "ø", "x"], [], []), "a", "aø") == 1


@given(st.text(" \n\tab"), st.lists(st.text(" ab"), max_size=3))
def test_it_moves_blanks_without_changing_the_text(context: str, parts: list[str]) -> None:
    bare, moved = replies.move_spaces(context, parts)
    assert [bare + part for part in moved] == [context + part for part in parts]
    assert bare == bare.rstrip()


def test_it_joins_content_that_comes_in_parts() -> None:
    parts = [{"type": "text", "text": "Ber"}, {"type": "text", "text": "lin"}]
    reply = {"choices": [{"message": {"content": parts}, "finish_reason": "stop"}]}
    assert replies.chat(reply).text == "Berlin"
