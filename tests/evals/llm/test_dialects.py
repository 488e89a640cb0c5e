"""Only what a server understands is sent to it, and only what it knows is believed."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from evals.llm import Client, LLMError, check
from evals.llm.dialects import DIALECTS

from .stub import serving

SILENT = sorted(name for name, dialect in DIALECTS.items() if not dialect.echoes)
NEEDED = {"model", "prompt", "max_tokens", "temperature", "seed", "stop"}
REPLY = {
    "choices": [{"text": " Berlin", "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
}


@pytest.mark.parametrize("name", DIALECTS)
async def test_it_sends_a_question_with_everything_that_decides_the_answer(name: str) -> None:
    async with serving() as server, Client(server.spec(dialect=name)) as client:
        await client.complete("Hello", max_tokens=4, stop=["\n"])
        [sent] = server.posted("/v1/completions")
    assert set(sent) == NEEDED


@pytest.mark.parametrize("name", SILENT)
async def test_it_never_takes_log_likelihoods_where_the_server_scores_no_prompts(name: str) -> None:
    async with serving() as server:
        report = await check(server.spec(dialect=name))
        sent = server.posted("/v1/completions")
        async with Client(server.spec(dialect=name)) as client:
            with pytest.raises(LLMError, match="scores no prompts"):
                await client.loglikelihoods("A b", [" c", " d"])
    assert report.capabilities["loglikelihood"] is False
    assert report.capabilities["completions"] is True
    assert not any(body.get("echo") for body in sent)


@pytest.mark.parametrize("name", sorted(set(DIALECTS) - set(SILENT)))
async def test_a_server_that_could_score_prompts_has_to_prove_it(name: str) -> None:
    async with serving("vllm") as true, serving("tabbyapi") as ignoring:
        assert (await check(true.spec(dialect=name))).capabilities["loglikelihood"] is True
        assert (await check(ignoring.spec(dialect=name))).capabilities["loglikelihood"] is False


@pytest.mark.parametrize(("name", "tokens"), [("openai_trtllm", None), ("vllm", 0)])
async def test_counts_that_a_server_makes_up_are_unknown(name: str, tokens: int | None) -> None:
    async def uncounted(request: web.Request) -> web.Response:
        return web.json_response(REPLY)

    async with serving() as server, Client(server.spec(dialect=name)) as client:
        server.always = uncounted
        said = await client.complete("Hello", max_tokens=4)
    assert (said.prompt_tokens, said.completion_tokens) == (tokens, tokens)


async def test_lightllm_is_told_to_sample_when_a_temperature_is_wished() -> None:
    async with serving() as server, Client(server.spec(dialect="lightllm")) as client:
        await client.complete("Hello", max_tokens=4, temperature=0.7)
        await client.complete("Hello", max_tokens=4)
        warm, cold = server.posted("/v1/completions")
    assert warm["do_sample"] is True
    assert "do_sample" not in cold


@given(st.sampled_from(sorted(DIALECTS)), st.text(min_size=1), st.integers(1, 50))
def test_a_field_that_a_server_does_not_know_is_not_sent(name: str, field: str, n: int) -> None:
    dialect = DIALECTS[name]
    for path, known in (("completions", dialect.completions), ("chat/completions", dialect.chat)):
        body = dialect.fitted(path, {field: "x", "top_logprobs": n})
        if known is not None:
            assert set(body) <= known
        assert body.get("top_logprobs", 0) <= dialect.most_logprobs


def test_the_documentation_lists_every_server() -> None:
    lines = Path("docs/servers.md").read_text().splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
    assert [[cell.strip() for cell in row] for row in rows] == [
        [
            f"`{name}`",
            dialect.label,
            "if the check proves it" if dialect.echoes else "no",
            "believed" if dialect.counts else "unknown",
        ]
        for name, dialect in DIALECTS.items()
    ]
