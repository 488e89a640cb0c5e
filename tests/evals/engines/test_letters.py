"""Letters by one request: what is read from the list of first tokens, and what is not."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.engines import ENGINES
from evals.engines._base import TaskInvalid
from evals.engines._letters import spelled, summed
from evals.engines.lm_eval import prepare
from tests.evals.engines.specs import outcomes, spec_of
from tests.evals.making import choice, letter
from tests.evals.stub_server import StubServer, logprob

SPELLED = [" A", " B", " C", " D"]


async def test_it_asks_once_a_question_and_takes_the_most_likely_letter(stub: StubServer) -> None:
    found = await outcomes(stub, spec_of(letter(count=12)))
    assert len(stub.counts()["texts"]) == 12
    for outcome in found.values():
        likely = [logprob(outcome.prompt, text) for text in SPELLED]
        assert outcome.answer == "ABCD"[likely.index(max(likely))]
        kept = json.loads(outcome.raw)
        for mark, value, given_value in zip("ABCD", likely, outcome.loglikelihoods, strict=True):
            assert given_value == (kept["floor"] if mark in kept["floored"] else value)
        shares = [math.exp(value) for value in outcome.loglikelihoods]
        assert outcome.p_gold == pytest.approx(shares["ABCD".index(outcome.target)] / sum(shares))
        assert outcome.metrics["letter_missing"] == float(bool(kept["floored"]))


async def test_it_reads_letters_of_a_chat_answer(stub: StubServer) -> None:
    found = await outcomes(stub, spec_of(letter(options={"num_fewshot": 0, "chat": True})))
    assert {outcome.answer for outcome in found.values()} <= set("ABCD")
    assert not any(outcome.error for outcome in found.values())


async def test_it_counts_an_answer_without_any_letter(stub: StubServer) -> None:
    stub.reset(say="something else")
    for outcome in (await outcomes(stub, spec_of(letter()))).values():
        assert (outcome.value, outcome.metrics["no_letter"], outcome.answer) == (0.0, 1.0, "")
        assert (outcome.p_gold, outcome.loglikelihoods, outcome.error) == (None, (), "")
        assert json.loads(outcome.raw)["floored"] == list("ABCD")


async def test_it_makes_a_reply_without_a_list_an_error(stub: StubServer) -> None:
    stub.reset(logprobs=False)
    for outcome in (await outcomes(stub, spec_of(letter()))).values():
        assert (outcome.value, outcome.error_kind) == (None, "malformed reply")


def test_it_refuses_choices_that_are_no_letters() -> None:
    with pytest.raises(TaskInvalid, match="needs choices of one letter"):
        prepare(spec_of(choice() | {"scoring": "letter"}))


def test_it_needs_lists_of_first_tokens_only() -> None:
    engine = ENGINES["lm_eval"]
    assert engine.needs(spec_of(letter())) == {"top_logprobs"}
    assert engine.needs(spec_of(letter(options={"chat": True}))) == {"chat_top_logprobs"}


def test_it_takes_one_spelling_for_all_letters_as_lm_eval_does() -> None:
    top = [("A", -0.1), (" B", -1.0), (" A", -2.0), ("▁C", -3.0)]
    found = spelled(top, SPELLED)
    assert found.logprobs == (-2.0, -1.0, -3.0, found.floor)
    assert found.floored == (False, False, False, True)
    assert all(spelled([("A", -0.1), (" x", -1.0)], SPELLED).floored)


def test_it_takes_bare_letters_where_the_server_shows_no_blanks() -> None:
    found = spelled([("B", -0.2), ("x", -4.0)], SPELLED)
    assert found.logprobs == (found.floor, -0.2, found.floor, found.floor)
    assert found.floor == pytest.approx(-4.0)


def test_a_letter_that_ends_the_list_is_ahead_of_those_that_are_missing() -> None:
    found = spelled([("x", -0.1), ("y", -1.0), (" C", -3.0)], SPELLED)
    assert max(range(4), key=found.logprobs.__getitem__) == SPELLED.index(" C")


def test_it_adds_the_spellings_of_a_chat_answer() -> None:
    found = summed([("A", math.log(0.3)), (" A", math.log(0.2)), ("B", math.log(0.4))], SPELLED[:2])
    assert found.logprobs == pytest.approx((math.log(0.5), math.log(0.4)))


@given(
    st.lists(st.floats(-30, -0.01), min_size=26, max_size=26, unique=True),
    st.integers(2, 20),
)
def test_the_most_likely_letter_is_the_same_as_without_a_floor(
    values: list[float], listed: int
) -> None:
    tokens = [*SPELLED, *(f"w{place}" for place in range(22))]
    every = dict(zip(tokens, values, strict=True))
    top = sorted(every.items(), key=lambda pair: -pair[1])[:listed]
    found = spelled(top, SPELLED)
    if not all(found.floored):
        truth = max(range(4), key=lambda place: every[SPELLED[place]])
        assert max(range(4), key=found.logprobs.__getitem__) == truth
        assert not found.floored[truth]
