"""What the check says about right servers and about those that answer 200 and are wrong."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from evals.llm import CAPABILITIES, PROBES, SENTENCES, ProbeReport, Verdict, check

from .stub import answering, serving

ANSWERS = {"structured_output", "tools", "stream", "deterministic", "context"}
SPEAKS = {"chat", "completions"} | ANSWERS
LISTS = SPEAKS | {"top_logprobs", "chat_top_logprobs"}  # of answers, whatever its echo is worth


EVERYTHING = LISTS | {
    "loglikelihood", "echo_logprobs", "batch_prompts", "tokenize"
}  # fmt: skip


def can(report: ProbeReport) -> set[str]:
    return {name for name, able in report.capabilities.items() if able}


def named(report: ProbeReport, name: str) -> Verdict:
    return next(verdict for verdict in report.verdicts if verdict.name == name)


@pytest.mark.parametrize("quirk", ["vllm", "bos"])
async def test_it_passes_a_server_that_is_right(quirk: str) -> None:
    async with serving(quirk) as server:
        report = await check(server.spec())
    assert not [verdict for verdict in report.verdicts if verdict.ok is False]
    assert can(report) == EVERYTHING
    assert set(report.capabilities) == set(CAPABILITIES)
    assert [verdict.name for verdict in report.verdicts] == list(PROBES)
    assert report.server == "stub 0.1"


async def test_it_passes_a_server_without_a_token_count() -> None:
    async with serving("no-tokenize") as server:
        report = await check(server.spec())
    assert can(report) == EVERYTHING - {"tokenize"}
    assert named(report, "tokenize").ok is None


@pytest.mark.parametrize(
    ("quirk", "code", "rest"),
    [
        ("llama-cpp-python", "malformed", LISTS),
        ("llama.cpp", "failed", LISTS),
        ("transformers-serve", "no_logprobs", SPEAKS - {"context"}),
        ("tabbyapi", "malformed", LISTS),
        ("constant", "malformed", LISTS),
        ("shifted", "echo_differs", LISTS),
        ("blind", "echo_blind", LISTS),
        ("unsteady", "echo_unsteady", LISTS),
        ("textless", "malformed", LISTS),
    ],
)
async def test_it_refuses_log_probabilities_that_are_not_true(
    quirk: str, code: str, rest: set[str]
) -> None:
    async with serving(quirk) as server:
        report = await check(server.spec())
    verdict = named(report, "echo_logprobs")
    assert (verdict.ok, verdict.code) == (False, code)
    assert can(report) == rest
    assert verdict.evidence["request"]
    assert verdict.evidence["response"]


async def test_it_refuses_to_score_where_tokens_are_counted_differently() -> None:
    async with serving("miscounting") as server:
        report = await check(server.spec())
    assert named(report, "tokenize").code == "counts_differently"
    assert "loglikelihood" not in can(report)


async def test_it_says_that_nobody_answers_and_tries_nothing_else() -> None:
    async with serving() as server:
        pass
    report = await check(server.spec())
    assert [verdict.ok for verdict in report.verdicts] == [False] + [None] * (len(PROBES) - 1)
    assert {verdict.code for verdict in report.verdicts[1:]} == {"not_tried"}
    assert not can(report)
    assert set(report.capabilities) == set(CAPABILITIES)


async def test_it_says_that_the_key_is_wrong() -> None:
    async with serving() as server:
        server.always = answering(401, '{"error": "Unauthorized"}')
        report = await check(server.spec(api_key="sk-CANARY-1234"))
        assert len(server.bodies) == 1
    assert named(report, "reachable").code == "unauthorised"


async def test_it_says_that_another_model_is_served() -> None:
    async with serving() as server:
        spec = server.spec()
        report = await check(type(spec)(spec.base_url, "other", spec.policy))
    assert named(report, "model_listed").ok is False
    assert "tiny" in named(report, "model_listed").summary


async def test_it_goes_on_without_a_list_of_models() -> None:
    async with serving("transformers-serve") as server:
        report = await check(server.spec())
    assert named(report, "reachable").ok
    assert named(report, "model_listed").ok is None
    assert named(report, "chat").ok


async def test_it_keeps_thinking_models_but_says_that_tokens_are_not_counted() -> None:
    async with serving("thinking") as server:
        report = await check(server.spec())
    assert named(report, "chat").code == "chat_uncounted"
    assert "chat" in can(report)


async def test_it_does_not_blame_a_server_for_a_model_that_says_nothing() -> None:
    async with serving("silent") as server:
        report = await check(server.spec())
    assert (named(report, "chat").ok, named(report, "chat").code) == (None, "chat_silent")
    assert "chat" in can(report)


async def test_it_does_not_decide_where_the_model_ends_every_text() -> None:
    async with serving("ending") as server:
        report = await check(server.spec())
    assert named(report, "echo_logprobs").code == "echo_undecided"
    assert "loglikelihood" not in can(report)


async def test_it_finds_a_list_of_prompts_that_is_answered_wrongly() -> None:
    async with serving("confused") as server:
        report = await check(server.spec())
    assert named(report, "batch_prompts").code == "batch_differs"
    assert can(report) == EVERYTHING - {"batch_prompts", "tokenize"}


async def test_it_makes_verdicts_of_pages_that_are_no_api() -> None:
    async with serving() as server:
        server.always = answering(200, "<html>Welcome</html>", "text/html")
        report = await check(server.spec())
    assert not can(report)
    assert "HTML" in named(report, "chat").summary


async def test_it_keeps_short_evidence_without_the_key() -> None:
    key = "sk-CANARY-" + "x" * 20
    async with serving() as server:
        server.always = answering(400, json.dumps({"error": {"message": f"{key} " * 500}}))
        report = await check(server.spec(api_key=key))
    stored = json.dumps([asdict(verdict) for verdict in report.verdicts])
    assert "CANARY" not in stored
    shown = [text for verdict in report.verdicts for text in verdict.evidence.values()]
    assert max(map(len, shown)) == 600


async def test_it_removes_the_key_from_replies_that_are_right() -> None:
    async with serving("telling") as server:
        report = await check(server.spec(api_key="sk-CANARY-1234"))
    assert named(report, "chat").ok
    assert "CANARY" not in str(report)
    assert "[key]" in named(report, "chat").evidence["response"]


def test_it_has_a_sentence_for_every_code() -> None:
    for ok, sentence in SENTENCES.values():
        assert ok in {True, False, None}
        assert sentence.endswith((".", "}"))
