"""The engine lm_eval against a server: answers, failures, and what is asked."""

from __future__ import annotations

import asyncio
import math

import pytest

from evals.engines import ENGINES
from evals.llm import EndpointSpec
from tests.evals.engines.specs import endpoint_of, outcomes, spec_of
from tests.evals.making import answer, answer_rows, choice, choice_rows
from tests.evals.stub_server import StubServer, logprob, reply, tokens


def loglikelihood(context: str, continuation: str) -> float:
    text, start, total = context + continuation, len(tokens(context)), 0.0
    found = tokens(text)
    for place in range(start, len(found)):
        total += logprob("".join(found[:place]), found[place])
    return total


async def test_it_scores_a_choice_by_the_log_likelihood_of_each_option(stub: StubServer) -> None:
    rows = choice_rows(24)
    found = await outcomes(stub, spec_of(choice(rows=rows)))
    assert sorted(found) == list(range(24))
    for doc_id, outcome in found.items():
        row = rows[doc_id]
        assert outcome.prompt == f"Question: {row['question']}\nAnswer:"
        expected = [loglikelihood(outcome.prompt, f" {choice}") for choice in row["choices"]]
        assert outcome.loglikelihoods == pytest.approx(expected)
        best = max(range(4), key=expected.__getitem__)
        assert outcome.answer == row["choices"][best]
        assert outcome.target == row["choices"][row["answer"]]
        assert outcome.value == outcome.metrics["acc"] == float(best == row["answer"])
        assert not outcome.error
    assert {outcome.value for outcome in found.values()} == {0.0, 1.0}


async def test_it_says_how_far_each_choice_was_from_the_right_one(stub: StubServer) -> None:
    rows = choice_rows(6)
    for doc_id, outcome in (await outcomes(stub, spec_of(choice(rows=rows)))).items():
        gold = rows[doc_id]["answer"]
        logs = outcome.loglikelihoods
        shares = [math.exp(value) for value in logs]
        share = shares[gold] / sum(shares)
        assert outcome.p_gold == pytest.approx(share)
        assert outcome.nll == pytest.approx(-math.log(share))
        others = [value for index, value in enumerate(logs) if index != gold]
        assert outcome.margin == pytest.approx(logs[gold] - max(others))
        assert (outcome.margin > 0) == (outcome.value == 1.0)
        assert 0 <= outcome.brier <= 2


async def test_it_takes_generated_text_as_the_answer(stub: StubServer) -> None:
    rows = answer_rows(12)
    found = await outcomes(stub, spec_of(answer(rows=rows)))
    for doc_id, outcome in found.items():
        said = reply(rows[doc_id]["question"])
        assert (outcome.raw, outcome.answer, outcome.target) == (said, said, "tree")
        assert outcome.value == float(said == "tree")
        assert outcome.finish_reason == "stop"
        assert outcome.prompt_tokens and outcome.completion_tokens
        assert outcome.latency_ms and outcome.latency_ms > 0
    assert {outcome.value for outcome in found.values()} == {0.0, 1.0}


async def test_it_asks_without_a_chat_template_when_told_so(stub: StubServer) -> None:
    entry = answer(options={"num_fewshot": 0, "chat": False})
    found = await outcomes(stub, spec_of(entry))
    assert set(stub.counts()["texts"]) == {outcome.prompt for outcome in found.values()}
    assert not any(outcome.prompt.startswith("[") for outcome in found.values())


@pytest.mark.parametrize("entry", [choice(), answer()], ids=["choice", "answer"])
async def test_it_makes_a_failed_request_an_error_and_never_a_wrong_answer(
    stub: StubServer, entry: dict
) -> None:
    whole = await outcomes(stub, spec_of(entry))
    stub.reset(match="No 3:", kind="400")
    found = await outcomes(stub, spec_of(entry))
    failed = found.pop(3)
    assert failed.error == "HTTP 400: out of order"
    assert failed.error_kind == "bad request"
    assert (failed.value, failed.metrics, failed.loglikelihoods) == (None, {}, ())
    assert failed.answer == failed.raw == ""
    assert failed.prompt == whole[3].prompt  # what was asked can be read all the same
    assert failed.target == whole[3].target
    for doc_id, outcome in found.items():
        assert (outcome.value, outcome.error) == (whole[doc_id].value, "")


async def test_it_asks_again_after_a_passing_fault_and_says_how_often(stub: StubServer) -> None:
    stub.reset(every=5, kind="503")  # the fifth request, so its repetition is the sixth
    found = await outcomes(stub, spec_of(choice()), concurrency=1)
    assert not [outcome for outcome in found.values() if outcome.error]
    assert sum(outcome.attempts for outcome in found.values()) == stub.counts()["requests"] == 9


async def test_it_counts_a_time_out_as_an_error(stub: StubServer) -> None:
    stub.reset(match="No 1:", kind="hang")
    entry = choice(rows=choice_rows(3))
    found = await outcomes(stub, spec_of(entry), timeout=0.3)
    assert found[1].error_kind == "timeout"
    assert [found[doc_id].error for doc_id in (0, 2)] == ["", ""]


@pytest.mark.parametrize("entry", [choice(), answer()], ids=["choice", "answer"])
async def test_it_asks_only_what_is_not_skipped(stub: StubServer, entry: dict) -> None:
    found = await outcomes(stub, spec_of(entry), skip={0, 2, 7})
    assert sorted(found) == [1, 3, 4, 5, 6]
    assert set(stub.asked()) == {"1", "3", "4", "5", "6"}


async def test_it_keeps_the_prompts_of_the_rest_when_some_are_skipped(stub: StubServer) -> None:
    spec = spec_of(choice(options={"num_fewshot": 3}))
    whole = await outcomes(stub, spec)
    rest = await outcomes(stub, spec, skip=range(5))
    assert {doc_id: outcome.prompt for doc_id, outcome in rest.items()} == {
        doc_id: whole[doc_id].prompt for doc_id in (5, 6, 7)
    }


async def test_it_never_has_more_samples_begun_than_the_concurrency(stub: StubServer) -> None:
    stub.reset(delay=0.02)
    spec = spec_of(answer(rows=answer_rows(30)))
    engine = ENGINES["lm_eval"]
    taken = 0
    async for batch in engine.run(endpoint_of(stub, concurrency=5), spec, ()):
        # What was asked and not yet handed over is at most the concurrency.
        assert stub.counts()["requests"] - taken <= 5
        taken += len(batch)
    assert taken == 30
    assert 2 <= stub.counts()["most_open"] <= 5


async def test_it_stops_asking_when_it_is_closed(stub: StubServer) -> None:
    stub.reset(delay=0.05)
    spec = spec_of(answer(rows=answer_rows(100)))
    batches = ENGINES["lm_eval"].run(endpoint_of(stub), spec, ())
    await anext(batches)
    await batches.aclose()
    asked = stub.counts()["requests"]
    await asyncio.sleep(0.15)
    assert stub.counts()["requests"] == asked <= 8


async def test_it_sends_text_of_any_language_unchanged(stub: StubServer) -> None:
    row = {"question": "No 0: Wo ist das Haus? 家はどこ؟ 🏠 \u2028 e\u0301", "target": "家"}
    found = await outcomes(stub, spec_of(answer(rows=[row])))
    (text,) = stub.counts()["texts"]
    assert row["question"] in text
    assert found[0].target == "家"


async def test_it_uses_the_filters_of_the_task(stub: StubServer) -> None:
    stub.reset(say="The answer is tree, of course.")
    filters = [
        {
            "name": "word",
            "filter": [
                {"function": "regex", "regex_pattern": "answer is (\\w+)"},
                {"function": "take_first"},
            ],
        }
    ]
    found = await outcomes(stub, spec_of(answer(), filter_list=filters))
    assert {outcome.answer for outcome in found.values()} == {"tree"}
    assert {outcome.raw for outcome in found.values()} == {"The answer is tree, of course."}
    assert found[0].value == 1.0
    assert found[0].metrics == {"exact_match,word": 1.0, "exact_match": 1.0}


async def test_it_takes_fields_that_only_later_rows_have(stub: StubServer) -> None:
    rows = answer_rows(3)
    rows[1]["hint"] = "it has leaves"
    template = "{% if hint %}{{hint}} {% endif %}{{question}}"
    found = await outcomes(stub, spec_of(answer(rows=rows), doc_to_text=template))
    assert "it has leaves No 1" in found[1].prompt
    assert "it has leaves" not in found[0].prompt


def test_it_needs_what_the_way_of_asking_needs() -> None:
    engine = ENGINES["lm_eval"]
    assert engine.needs(spec_of(choice())) == {"loglikelihood"}
    assert engine.needs(spec_of(answer())) == {"chat"}
    assert engine.needs(spec_of(answer(options={}))) == {"completions"}


def test_the_endpoint_keeps_its_key_to_itself(stub: StubServer) -> None:
    spec = EndpointSpec(stub.base_url, "m", endpoint_of(stub).policy, api_key="sk-very-secret")
    assert "sk-very-secret" not in repr(spec)
